"""What a finished session amounts to: time, recall, what was missed and what to say next time.

It coaches and gives no verdict on hiring. Makes the data; `report_markdown` and `report_html`
write it down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag.practice.feedback import (
    AttemptFeedback,
    CorpusQuote,
    CorpusText,
    PointFeedback,
    attempt_feedback,
)
from rag.practice.records import practised
from rag.practice.reviews import ReviewCard, shown
from rag.practice.rows import AttemptRow, SessionRow, TurnRow, VerdictRow
from rag.practice.scoring import CREDIT, WEIGHT, LevelRange
from rag.practice.steps import FlagFound, StepCheck
from rag.practice.store import Transaction
from rag.practice.views import TurnView, turn_view

NEXT_TIME = 3


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """The seconds of a phase by the server's clock, against what it should take."""

    name: str
    target_s: int
    spent_s: int
    over_s: int
    avoid: str


@dataclass(frozen=True, slots=True)
class FacetRecall:
    """The recall of the vital points of one facet."""

    facet: str
    points: int
    recall: float


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One attempt; `change` is against the first answer of the last attempt at the same thing."""

    attempt: int
    phase: str
    probe_id: str
    prompt: str
    first_score: float | None
    final_score: float | None
    previous_score: float | None
    change: float | None
    hints: int
    gate: str
    level: LevelRange | None
    checks: tuple[StepCheck, ...]


@dataclass(frozen=True, slots=True)
class SayNext:
    """Something to say next time, and where the corpus says it."""

    text: str
    source: CorpusQuote


@dataclass(frozen=True, slots=True)
class Contested:
    """A verdict that the user has overridden."""

    n: int
    point: str
    grader: str
    user: str


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """The mean score of the first answers of one session."""

    session_id: str
    when: float
    score: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about a session that is over. `recall` is None where nothing was graded."""

    session_id: str
    mode: str
    title: str
    started: float
    ended: float
    recall: float | None
    phases: tuple[PhaseTime, ...]
    facets: tuple[FacetRecall, ...]
    attempts: tuple[AttemptLine, ...]
    missed: tuple[PointFeedback, ...]
    say_next: tuple[SayNext, ...]
    flags: tuple[FlagFound, ...]
    reviews: tuple[ReviewCard, ...]
    progress: tuple[ProgressPoint, ...]
    contested: tuple[Contested, ...]
    transcript: tuple[TurnView, ...]
    versions: Mapping[str, tuple[str, ...]]
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def build_report(db: Transaction, session: SessionRow, corpus: CorpusText) -> Report:
    """Return the report on a session that is over."""
    turns, verdicts, records = db.turns(session.id), db.verdicts(session.id), db.attempts()
    numbers = dict.fromkeys(turn.step.attempt for turn in turns)
    attempts = [attempt_feedback(turns, verdicts, number, corpus) for number in numbers]
    points = [point for attempt in attempts for point in (*attempt.covered, *attempt.missed)]
    missed = sorted((p for p in points if p.state != "covered"), key=_loss, reverse=True)
    graded = [point for point in points if point.weight == "vital"] or points
    return Report(
        session_id=session.id,
        mode=session.mode,
        title=session.title,
        started=session.created,
        ended=session.ended or session.created,
        recall=_recall(graded),
        phases=_phases(session, turns),
        facets=_facets(graded),
        attempts=tuple(_line(attempt, turns, session, records) for attempt in attempts),
        missed=tuple(missed),
        say_next=tuple(SayNext(p.text, p.source) for p in missed[:NEXT_TIME]),
        flags=tuple(flag for attempt in attempts for flag in attempt.flags),
        reviews=tuple(shown(db, card) for card in db.cards_of(session.id)),
        progress=_progress(records),
        contested=_contested(points, verdicts),
        transcript=tuple(turn_view(session, turns, verdicts, turn) for turn in turns),
        versions=_versions(session, verdicts),
        notices=session.notices,
    )


def _loss(point: PointFeedback) -> float:
    return WEIGHT[point.weight] * (1 - point.probability)


def _recall(points: Sequence[PointFeedback]) -> float | None:
    return sum(CREDIT[point.state] for point in points) / len(points) if points else None


def _facets(points: Sequence[PointFeedback]) -> tuple[FacetRecall, ...]:
    found = []
    for facet in sorted({point.facet for point in points}):
        mine = [point for point in points if point.facet == facet]
        found.append(FacetRecall(facet, len(mine), _recall(mine) or 0.0))
    return tuple(found)


def _phases(session: SessionRow, turns: Sequence[TurnRow]) -> tuple[PhaseTime, ...]:
    """Return each phase's time; without a clock the target is what its questions should take."""
    spent: dict[str, float] = {}
    target: dict[str, int] = {}
    avoid: dict[str, str] = {}
    if session.clock is not None:
        for phase in session.clock.phases:
            spent[phase.name], avoid[phase.name] = 0.0, phase.avoid
            target[phase.name] = target.get(phase.name, 0) + phase.end - phase.start
    for turn in turns:
        name, until = turn.step.phase, turn.answered_at or turn.closed_at or turn.asked_at
        spent[name] = spent.get(name, 0.0) + until - turn.asked_at
        if session.clock is None:
            target[name] = target.get(name, 0) + turn.step.seconds
    return tuple(
        PhaseTime(
            name, target.get(name, 0), round(seconds),
            max(0, round(seconds) - target.get(name, 0)), avoid.get(name, ""),
        )
        for name, seconds in spent.items()
    )  # fmt: skip


def _line(
    feedback: AttemptFeedback,
    turns: Sequence[TurnRow],
    session: SessionRow,
    records: Sequence[AttemptRow],
) -> AttemptLine:
    step = next(turn.step for turn in turns if turn.step.attempt == feedback.attempt)
    before = None
    for record in records:  # the oldest first
        if (record.session_id, record.attempt) == (session.id, feedback.attempt):
            break
        if record.probe_id == practised(step):
            before = record.first_score
    first = feedback.first_score
    return AttemptLine(
        attempt=feedback.attempt,
        phase=feedback.phase,
        probe_id=feedback.probe_id,
        prompt=feedback.prompt,
        first_score=first,
        final_score=feedback.final_score,
        previous_score=before,
        change=None if before is None or first is None else round(first - before, 4),
        hints=feedback.hints,
        gate=feedback.gate,
        level=feedback.level,
        checks=feedback.checks,
    )


def _progress(records: Sequence[AttemptRow]) -> tuple[ProgressPoint, ...]:
    sessions: dict[str, list[AttemptRow]] = {}
    for record in records:
        sessions.setdefault(record.session_id, []).append(record)
    return tuple(
        ProgressPoint(
            session_id,
            max(record.finished for record in mine),
            sum(record.first_score for record in mine) / len(mine),
        )
        for session_id, mine in sessions.items()
    )


def _contested(
    points: Sequence[PointFeedback], verdicts: Sequence[VerdictRow]
) -> tuple[Contested, ...]:
    texts = {point.point_id: point.text for point in points}
    return tuple(
        Contested(
            row.n, texts.get(row.verdict.point_id, row.verdict.point_id), row.verdict.state,
            row.final,
        )
        for row in verdicts
        if row.overridden is not None
    )  # fmt: skip


def _versions(session: SessionRow, verdicts: Sequence[VerdictRow]) -> Mapping[str, tuple[str, ...]]:
    return {
        "bank": (session.bank_hash,),
        "grader": tuple(sorted({row.grader_version for row in verdicts})),
        "model": tuple(sorted({row.model for row in verdicts if row.model})),
    }
