"""What a session asks, one Step at a time, and what became of an answer, an Outcome.

Both are stored as JSON with everything they need, so that a session goes on unchanged when the
bank changes. Knows nothing of the database or of how answers are graded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic_core import to_json

from rag.practice.bank import Clarification, Estimate, PhaseClock, Probe

PracticeMode = Literal["drill", "mock", "review", "calibrate", "estimate"]
Feedback = Literal["now", "end"]
StepKind = Literal["probe", "follow-up", "clarify", "estimate", "order", "talk"]
TurnState = Literal["open", "answered", "graded", "skipped", "revealed"]
PointState = Literal["covered", "partial", "missed", "unsure"]


@dataclass(frozen=True, slots=True)
class Step:
    """One question of a session, with all that its answer is graded by.

    Steps of one `attempt` keep their rubric secret together; `place` is the position in the plan.
    An `optional` step is dropped when its phase has run out of time. `asked` are the steps of
    the estimate that are wanted, `order` the levels of the options A, B, C, D.
    """

    kind: StepKind
    prompt: str
    attempt: int
    place: int
    phase: str = ""
    seconds: int = 0
    probe: Probe | None = None
    follow_ups: int = 0
    aim: str = ""
    optional: bool = False
    estimate: Estimate | None = None
    asked: tuple[int, ...] = ()
    clarifications: tuple[Clarification, ...] = ()
    order: tuple[str, ...] = ()
    card: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a turn's answer did for one point; `quote` is the answer's `[start:end]`."""

    point_id: str
    state: PointState
    probability: float
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FlagFound:
    """A red flag in an answer, with what to say instead."""

    text: str
    why: str
    better: str
    quote: str


@dataclass(frozen=True, slots=True)
class StepCheck:
    """How one step of an estimate was answered; `note` names a likely slip."""

    name: str
    state: Literal["right", "wrong value", "wrong unit", "no unit", "no number"]
    given: str
    expected: str
    expression: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a turn's answer; `score` is None where nothing is graded.

    `more` says that a clarifying round may be followed by another one.
    """

    score: float | None = None
    gate: str = ""
    reply: str = ""
    more: bool = False
    flags: tuple[FlagFound, ...] = ()
    checks: tuple[StepCheck, ...] = ()
    version: str = ""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dumps(value: object) -> str:
    """Return a Step, a plan, an Outcome, a Probe or a PhaseClock as JSON."""
    return to_json(value).decode()


def load_plan(text: str) -> tuple[Step, ...]:
    """Read what `dumps` wrote of a plan."""
    plan: tuple[Step, ...] = _adapter(tuple[Step, ...]).validate_json(text)
    return plan


def load_step(text: str) -> Step:
    """Read a Step."""
    step: Step = _adapter(Step).validate_json(text)
    return step


def load_outcome(text: str) -> Outcome:
    """Read an Outcome."""
    outcome: Outcome = _adapter(Outcome).validate_json(text)
    return outcome


def load_probe(text: str) -> Probe:
    """Read a Probe."""
    probe: Probe = _adapter(Probe).validate_json(text)
    return probe


def load_clock(text: str) -> PhaseClock:
    """Read a PhaseClock."""
    clock: PhaseClock = _adapter(PhaseClock).validate_json(text)
    return clock
