"""What a client may see of a session: nothing of a rubric before its attempt is over.

The only module that turns stored sessions into what leaves the process; `shows` decides. Knows
nothing of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag.practice.calibrate import options
from rag.practice.feedback import AttemptFeedback, CorpusText, attempt_feedback
from rag.practice.flow import is_over
from rag.practice.mock import total
from rag.practice.rows import SessionRow, TurnRow, VerdictRow
from rag.practice.steps import Feedback, PracticeMode, StepKind, TurnState

SessionState = Literal["asking", "grading", "between", "over"]


@dataclass(frozen=True, slots=True)
class PhaseView:
    """A phase of the clock, in seconds from the beginning of the session."""

    name: str
    start: int
    end: int
    do: str
    avoid: str


@dataclass(frozen=True, slots=True)
class TurnView:
    """A question with what was answered.

    `options` are the answers to put in order; `reply` is what the interviewer says to an answer.
    `score` and `own_words`, the words that covered something, are None and empty until they may
    be seen.
    """

    session_id: str
    n: int
    attempt: int
    kind: StepKind
    phase: str
    prompt: str
    seconds: int
    options: tuple[str, ...]
    state: TurnState
    hints: tuple[str, ...]
    answer: str
    reply: str
    score: float | None
    own_words: tuple[str, ...]
    asked_at: float
    answered_at: float | None
    elapsed_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as a client sees it.

    `state`: `asking` while `open_turn` waits for an answer, `grading`, `between` two attempts
    (the user may ask the corpus; `go_on` asks the next question), `over`. `attempts` holds the
    feedback on what is over.
    """

    id: str
    mode: PracticeMode
    title: str
    state: SessionState
    feedback: Feedback
    seed: int
    created: float
    ended: float | None
    elapsed_s: float
    total_s: int | None
    phases: tuple[PhaseView, ...]
    open_turn: int | None
    questions_planned: int
    turns: tuple[TurnView, ...]
    attempts: tuple[AttemptFeedback, ...]
    notices: tuple[str, ...]


def shows(session: SessionRow, turns: Sequence[TurnRow], attempt: int) -> bool:
    """Tell whether the feedback on an attempt may be seen: it is over, and it is time for it."""
    if session.ended is not None:
        return True
    return session.feedback == "now" and is_over(session, turns, attempt)


def state_of(session: SessionRow, turns: Sequence[TurnRow]) -> SessionState:
    """Return what the session is waiting for."""
    if session.ended is not None:
        return "over"
    states: dict[TurnState, SessionState] = {"open": "asking", "answered": "grading"}
    return states.get(turns[-1].state, "between")


def turn_view(
    session: SessionRow,
    turns: Sequence[TurnRow],
    verdicts: Sequence[VerdictRow],
    turn: TurnRow,
) -> TurnView:
    """Return what may be seen of a turn."""
    step, outcome = turn.step, turn.outcome
    told = session.feedback == "now" or shows(session, turns, step.attempt)
    own = (
        row.verdict.quote
        for row in verdicts
        if row.n == turn.n and row.final in ("covered", "partial") and row.verdict.quote
    )
    return TurnView(
        session_id=session.id,
        n=turn.n,
        attempt=step.attempt,
        kind=step.kind,
        phase=step.phase,
        prompt=step.prompt,
        seconds=step.seconds,
        options=options(step) if step.kind == "order" else (),
        state=turn.state,
        hints=turn.hints,
        answer=turn.answer,
        reply=outcome.reply if outcome else "",
        score=outcome.score if outcome and told else None,
        own_words=tuple(dict.fromkeys(own)) if told else (),
        asked_at=turn.asked_at,
        answered_at=turn.answered_at,
        elapsed_ms=turn.elapsed_ms,
    )


def session_view(
    session: SessionRow,
    turns: Sequence[TurnRow],
    verdicts: Sequence[VerdictRow],
    corpus: CorpusText,
    *,
    now: float,
    notices: Sequence[str] = (),
) -> SessionView:
    """Return what may be seen of a session."""
    clock = session.clock
    shown = dict.fromkeys(
        turn.step.attempt for turn in turns if shows(session, turns, turn.step.attempt)
    )
    waiting = turns[-1] if turns[-1].state == "open" else None
    return SessionView(
        id=session.id,
        mode=session.mode,
        title=session.title,
        state=state_of(session, turns),
        feedback=session.feedback,
        seed=session.seed,
        created=session.created,
        ended=session.ended,
        elapsed_s=round((session.ended or now) - session.created, 1),
        total_s=total(clock) if clock else None,
        phases=tuple(
            PhaseView(p.name, p.start, p.end, p.do, p.avoid)
            for p in (clock.phases if clock else ())
        ),
        open_turn=waiting.n if waiting else None,
        questions_planned=len(session.plan),
        turns=tuple(turn_view(session, turns, verdicts, turn) for turn in turns),
        attempts=tuple(attempt_feedback(turns, verdicts, attempt, corpus) for attempt in shown),
        notices=(*session.notices, *notices),
    )
