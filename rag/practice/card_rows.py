"""Reads and writes of verdicts, the user's overrides, attempts, review cards and their log.

The other half of a transaction of `store`; knows nothing of scores or of scheduling.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rag.practice.rows import AttemptRow, Card, ReviewRow, VerdictRow
from rag.practice.steps import Verdict, dumps, load_probe


class CardRows:
    """What outlives a session: verdicts, attempts, cards."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def add_verdicts(self, session_id: str, rows: Sequence[VerdictRow], now: float) -> None:
        """Insert the verdicts of a turn."""
        self.db.executemany(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    session_id, row.n, row.attempt, row.verdict.point_id, row.verdict.state,
                    row.verdict.probability, row.verdict.quote, row.verdict.start,
                    row.verdict.end, row.bank_hash, row.grader_version, row.model, now,
                )
                for row in rows
            ],
        )  # fmt: skip

    def verdicts(self, session_id: str) -> tuple[VerdictRow, ...]:
        """Return the verdicts of a session, with what the user made of them."""
        rows = self.db.execute(
            "SELECT * FROM decided WHERE session_id = ? ORDER BY n, rowid", (session_id,)
        )
        return tuple(
            VerdictRow(
                n=r["n"],
                attempt=r["attempt"],
                verdict=Verdict(
                    r["point_id"], r["state"], r["probability"], r["quote"], r["start"], r["end"]
                ),
                final=r["final"],
                overridden=None if r["overridden"] is None else bool(r["overridden"]),
                bank_hash=r["bank_hash"],
                grader_version=r["grader_version"],
                model=r["model"],
            )
            for r in rows
        )

    def add_override(
        self, session_id: str, n: int, point_id: str, covered: bool, now: float
    ) -> None:
        """Log what the user decided about a verdict; the verdict itself stays."""
        self.db.execute(
            "INSERT INTO overrides (session_id, n, point_id, covered, created)"
            " VALUES (?, ?, ?, ?, ?)",
            (session_id, n, point_id, covered, now),
        )

    def misses(self, point_id: str) -> int:
        """Return in how many attempts a point was missed to the end."""
        row = self.db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM decided WHERE point_id = ?"
            " GROUP BY session_id, attempt HAVING sum(final <> 'missed') = 0)",
            (point_id,),
        ).fetchone()
        return int(row[0])

    def save_attempt(self, row: AttemptRow) -> None:
        """Insert an attempt, or replace its scores."""
        self.db.execute(
            "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET first_score = excluded.first_score, final_score = excluded.final_score",
            (
                row.session_id, row.attempt, row.probe_id, row.first_score, row.final_score,
                row.hints, row.finished,
            ),
        )  # fmt: skip

    def attempts(self) -> tuple[AttemptRow, ...]:
        """Return every attempt, the oldest first."""
        rows = self.db.execute("SELECT * FROM attempts ORDER BY finished, rowid")
        return tuple(AttemptRow(**dict(row)) for row in rows)

    def save_card(self, card: Card, now: float) -> None:
        """Insert a card, or replace its schedule and its probe."""
        self.db.execute(
            "INSERT INTO cards VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
            " SET fsrs = excluded.fsrs, due = excluded.due, probe = excluded.probe",
            (
                card.key, card.probe.id, card.point_id, dumps(card.probe), card.fsrs, card.due,
                now,
            ),
        )  # fmt: skip

    def card(self, key: str) -> Card | None:
        """Return a card."""
        row = self.db.execute("SELECT * FROM cards WHERE key = ?", (key,)).fetchone()
        return _card(row) if row else None

    def cards(self) -> tuple[Card, ...]:
        """Return all cards, the one due first in front."""
        return tuple(_card(row) for row in self.db.execute("SELECT * FROM cards ORDER BY due, key"))

    def cards_of(self, session_id: str) -> tuple[Card, ...]:
        """Return the cards that a session has reviewed or made, the one due first in front."""
        rows = self.db.execute(
            "SELECT * FROM cards WHERE key IN (SELECT card_key FROM review_log"
            " WHERE session_id = ?) ORDER BY due, key",
            (session_id,),
        )
        return tuple(_card(row) for row in rows)

    def log_review(self, row: ReviewRow) -> None:
        """Log a review; one of the same attempt is replaced."""
        self.db.execute(
            "INSERT OR REPLACE INTO review_log (card_key, session_id, attempt, raw_score, hints,"
            " rating, before, reviewed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.card_key, row.session_id, row.attempt, row.raw_score, row.hints, row.rating,
                row.before, row.reviewed,
            ),
        )  # fmt: skip

    def reviews(self, card_key: str) -> tuple[ReviewRow, ...]:
        """Return the reviews of a card, the oldest first."""
        rows = self.db.execute(
            "SELECT card_key, session_id, attempt, raw_score, hints, rating, before, reviewed"
            " FROM review_log WHERE card_key = ? ORDER BY reviewed, id",
            (card_key,),
        )
        return tuple(ReviewRow(**dict(row)) for row in rows)


def _card(row: sqlite3.Row) -> Card:
    return Card(row["key"], load_probe(row["probe"]), row["point_id"], row["fsrs"], row["due"])
