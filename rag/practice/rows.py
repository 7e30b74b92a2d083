"""The rows of the practice database as dataclasses; times in seconds since 1970.

Knows nothing of SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.practice.bank import PhaseClock, Probe
from rag.practice.steps import Feedback, Outcome, PointState, PracticeMode, Step, TurnState, Verdict


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as stored."""

    id: str
    mode: PracticeMode
    title: str
    feedback: Feedback
    seed: int
    created: float
    ended: float | None
    bank_hash: str
    clock: PhaseClock | None
    plan: tuple[Step, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn as stored. Only an open turn takes an answer, only an answered one a grade."""

    n: int
    state: TurnState
    step: Step
    asked_at: float
    client_turn_id: str | None
    answer: str
    elapsed_ms: int | None
    answered_at: float | None
    closed_at: float | None
    hints: tuple[str, ...]
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A verdict with its turn and its origin; `final` is the user's decision where there is one."""

    n: int
    attempt: int
    verdict: Verdict
    final: PointState
    overridden: bool | None
    bank_hash: str
    grader_version: str
    model: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """The scores of one attempt at a probe."""

    session_id: str
    attempt: int
    probe_id: str
    first_score: float
    final_score: float
    hints: int
    finished: float


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that a client was or will be told; `seq` counts from 1 within a session."""

    seq: int
    name: str
    data: Mapping[str, Any]
    created: float


@dataclass(frozen=True, slots=True)
class Card:
    """A review card: over a probe, or over the one point `point_id` of it.

    `probe` is what is asked; `fsrs` the scheduler's own state, as JSON.
    """

    key: str
    probe: Probe
    point_id: str
    fsrs: str
    due: float


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One review of a card: the raw score, the button it became, the card before it."""

    card_key: str
    session_id: str
    attempt: int
    raw_score: float
    hints: int
    rating: int
    before: str
    reviewed: float
