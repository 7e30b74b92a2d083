"""Spaced repetition: a graded attempt becomes one of FSRS's four buttons, and a card its next date.

A card per probe, and one per point that was missed twice. The scheduler is `fsrs` without learning
steps or fuzzing, so that a date follows from the reviews alone. Knows nothing of what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import fsrs

from rag.practice.bank import Probe
from rag.practice.rows import Card, ReviewRow
from rag.practice.store import Transaction

MISSED_OFTEN = 2  # attempts in which a point was missed, from which it gets a card of its own
_SCHEDULER = fsrs.Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A card as a client sees it: what will be asked, never what is wanted."""

    key: str
    probe_id: str
    prompt: str
    about: str
    due: float
    last_score: float | None


def button(score: float, hints: int) -> fsrs.Rating:
    """Return the button for the recall of the first answer; a hint allows no more than Hard."""
    if score < 0.4:
        return fsrs.Rating.Again
    if score < 0.7 or hints:
        return fsrs.Rating.Hard
    return fsrs.Rating.Good if score < 0.9 else fsrs.Rating.Easy


def probe_key(probe: Probe) -> str:
    """Return the key of the card over a probe."""
    return f"probe:{probe.id}"


def point_key(point_id: str) -> str:
    """Return the key of the card over one point."""
    return f"point:{point_id}"


def review(
    db: Transaction,
    key: str,
    probe: Probe,
    *,
    point_id: str = "",
    score: float,
    hints: int,
    session_id: str,
    attempt: int,
    now: float,
) -> None:
    """Review a card, making it first where there is none; a second time replaces the first.

    So that a score which the user corrects later moves the date as if it had been right at once,
    unless the card was reviewed again in the meantime.
    """
    reviews = db.reviews(key)
    mine = next((r for r in reviews if (r.session_id, r.attempt) == (session_id, attempt)), None)
    if mine is not None and mine != reviews[-1]:
        return
    if mine is not None:
        before, now = mine.before, mine.reviewed
    else:
        stored = db.card(key)
        new = fsrs.Card(card_id=1, due=_moment(now)).to_json()  # `key` is the card's name
        before = stored.fsrs if stored else new
    rating = button(score, hints)
    after, _ = _SCHEDULER.review_card(fsrs.Card.from_json(before), rating, _moment(now))
    db.save_card(Card(key, probe, point_id, after.to_json(), after.due.timestamp()), now)
    db.log_review(ReviewRow(key, session_id, attempt, score, hints, int(rating), before, now))


def due_cards(db: Transaction, now: float) -> list[Card]:
    """Return the cards that are due, the longest overdue first, no two with a point in common.

    In one session the feedback on the one would give the other away.
    """
    found: list[Card] = []
    taken: set[str] = set()
    for card in db.cards():
        points = {point.id for point in card.probe.points}
        if card.due <= now and not points & taken:
            found.append(card)
            taken |= points
    return found


def shown(db: Transaction, card: Card) -> ReviewCard:
    """Return what a client may see of a card."""
    reviews = db.reviews(card.key)
    about = "one point that was missed twice" if card.point_id else "the whole probe"
    last = reviews[-1].raw_score if reviews else None
    return ReviewCard(card.key, card.probe.id, card.probe.prompt, about, card.due, last)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
