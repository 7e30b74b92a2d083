"""Sessions, turns, verdicts, cards and events in SQLite: WAL, and synced before a commit returns.

`transaction` is the only way in; what it holds is written together or not at all. Knows nothing
of what the rows mean to an interview.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from rag.migrations import migrate
from rag.practice.card_rows import CardRows
from rag.practice.errors import NoSuchSession, StoreError
from rag.practice.rows import EventRow, SessionRow, TurnRow
from rag.practice.schema import MIGRATIONS
from rag.practice.steps import (
    Outcome,
    Step,
    TurnState,
    dumps,
    load_clock,
    load_outcome,
    load_plan,
    load_step,
)

_BUSY_S = 10.0


class PracticeStore:
    """The database at `path`. Safe for several threads, and for several processes."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be opened: {error}; check the data folder") from error
        self._path = path
        try:
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, MIGRATIONS, what="the practice database is", error=StoreError)
        except (StoreError, sqlite3.Error) as error:
            self._connection.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path} is no practice database: {error}; move it away") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was committed is on disk already."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Transaction]:
        """Give a consistent view of the data; writes are kept only if the block ends well."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield Transaction(self._connection)
                    self._connection.execute("COMMIT")
                finally:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise StoreError(
                    f"{self._path}: {error}; nothing was changed, try again"
                ) from error


class Transaction(CardRows):
    """Reads and writes inside one transaction."""

    def add_session(self, row: SessionRow) -> None:
        """Insert a session."""
        self.db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.id, row.mode, row.title, row.feedback, row.seed, row.created, row.ended,
                row.bank_hash, dumps(row.clock) if row.clock else None, dumps(row.plan),
                json.dumps(row.notices),
            ),
        )  # fmt: skip

    def session(self, session_id: str) -> SessionRow:
        """Return a session; raises NoSuchSession."""
        row = self.db.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone()
        if row is None:
            raise NoSuchSession(f"there is no practice session {session_id!r}: start one")
        values = dict(row)
        values["clock"] = load_clock(row["clock"]) if row["clock"] else None
        values["plan"] = load_plan(row["plan"])
        values["notices"] = tuple(json.loads(row["notices"]))
        return SessionRow(**values)

    def session_ids(self) -> list[str]:
        """Return the ids of all sessions, the newest first."""
        rows = self.db.execute("SELECT id FROM sessions ORDER BY created DESC, rowid DESC")
        return [row[0] for row in rows]

    def end_session(self, session_id: str, now: float) -> None:
        """Mark a session as over."""
        self.db.execute("UPDATE sessions SET ended = ? WHERE id = ?", (now, session_id))

    def add_turn(self, session_id: str, step: Step, now: float) -> int:
        """Open a turn that asks `step`; returns its number, from 1."""
        n = 1 + int(
            self.db.execute(
                "SELECT coalesce(max(n), 0) FROM turns WHERE session_id = ?", (session_id,)
            ).fetchone()[0]
        )
        self.db.execute(
            "INSERT INTO turns (session_id, n, attempt, state, step, asked_at)"
            " VALUES (?, ?, ?, 'open', ?, ?)",
            (session_id, n, step.attempt, dumps(step), now),
        )
        return n

    def turns(self, session_id: str) -> tuple[TurnRow, ...]:
        """Return the turns of a session in order."""
        rows = self.db.execute(
            "SELECT n, state, step, asked_at, client_turn_id, answer, elapsed_ms, answered_at,"
            " closed_at, hints, outcome FROM turns WHERE session_id = ? ORDER BY n",
            (session_id,),
        )
        return tuple(_turn(row) for row in rows)

    def store_answer(
        self,
        session_id: str,
        n: int,
        client_turn_id: str,
        answer: str,
        elapsed_ms: int | None,
        now: float,
    ) -> bool:
        """Write an answer to an open turn; tells whether it was open."""
        return self._changed(
            "UPDATE turns SET state = 'answered', client_turn_id = ?, answer = ?, elapsed_ms = ?,"
            " answered_at = ? WHERE session_id = ? AND n = ? AND state = 'open'",
            (client_turn_id, answer, elapsed_ms, now, session_id, n),
        )

    def close_turn(
        self, session_id: str, n: int, *, was: TurnState, now_is: TurnState, now: float
    ) -> bool:
        """Move a turn on from state `was`; tells whether it was in it."""
        return self._changed(
            "UPDATE turns SET state = ?, closed_at = ? WHERE session_id = ? AND n = ?"
            " AND state = ?",
            (now_is, now, session_id, n, was),
        )

    def set_outcome(self, session_id: str, n: int, outcome: Outcome) -> None:
        """Write what became of a turn's answer."""
        self.db.execute(
            "UPDATE turns SET outcome = ? WHERE session_id = ? AND n = ?",
            (dumps(outcome), session_id, n),
        )

    def set_hints(self, session_id: str, n: int, hints: Sequence[str]) -> None:
        """Write the hints given so far in a turn."""
        self.db.execute(
            "UPDATE turns SET hints = ? WHERE session_id = ? AND n = ?",
            (json.dumps(list(hints)), session_id, n),
        )

    def add_event(self, session_id: str, name: str, data: Mapping[str, Any], now: float) -> None:
        """Append an event."""
        self.db.execute(
            "INSERT INTO events SELECT ?, coalesce(max(seq), 0) + 1, ?, ?, ? FROM events"
            " WHERE session_id = ?",
            (session_id, name, json.dumps(data), now, session_id),
        )

    def events(self, session_id: str, after: int) -> list[EventRow]:
        """Return the events with a `seq` above `after`."""
        rows = self.db.execute(
            "SELECT seq, name, data, created FROM events WHERE session_id = ? AND seq > ?"
            " ORDER BY seq",
            (session_id, after),
        )
        return [EventRow(r["seq"], r["name"], json.loads(r["data"]), r["created"]) for r in rows]

    def _changed(self, statement: str, values: Sequence[Any]) -> bool:
        return self.db.execute(statement, values).rowcount == 1


def _turn(row: sqlite3.Row) -> TurnRow:
    values = dict(row)
    values["step"] = load_step(row["step"])
    values["hints"] = tuple(json.loads(row["hints"]))
    values["outcome"] = load_outcome(row["outcome"]) if row["outcome"] else None
    return TurnRow(**values)
