"""Where a session goes after a turn: another round, a follow-up, the next step, or the end.

A pure function of what is stored and of the time; knows nothing of grading or of the database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from rag.practice.bank import Probe, RubricPoint
from rag.practice.follow_ups import target
from rag.practice.mock import total
from rag.practice.rows import SessionRow, TurnRow, VerdictRow
from rag.practice.scoring import best
from rag.practice.steps import Step

FOLLOW_UP_S = 90
Phrase = Callable[[RubricPoint, Probe], str]


def next_step(
    session: SessionRow,
    turns: Sequence[TurnRow],
    verdicts: Sequence[VerdictRow],
    now: float,
    phrase: Phrase,
) -> Step | None:
    """Return what to ask after the last of `turns`, which is closed; None where it was the last.

    `phrase` words a follow-up. When the interview's time is up it ends; when that of a phase is
    up, its follow-ups and optional questions are dropped.
    """
    last = turns[-1]
    if session.clock is not None and now - session.created >= total(session.clock):
        return None
    if last.state == "graded" and _in_time(session, last.step, now):
        if last.outcome is not None and last.outcome.more:
            return last.step
        step = _follow_up(turns, verdicts, phrase)
        if step is not None:
            return step
    for step in session.plan[last.step.place + 1 :]:
        if not step.optional or _in_time(session, step, now):
            return step
    return None


def _in_time(session: SessionRow, step: Step, now: float) -> bool:
    if session.clock is None:
        return True
    ends = [phase.end for phase in session.clock.phases if phase.name == step.phase]
    return not ends or now - session.created < max(ends)


def _follow_up(
    turns: Sequence[TurnRow], verdicts: Sequence[VerdictRow], phrase: Phrase
) -> Step | None:
    step = turns[-1].step
    if step.probe is None or step.kind not in ("probe", "follow-up"):
        return None
    aimed = [turn.step.aim for turn in turns if turn.step.attempt == step.attempt and turn.step.aim]
    if len(aimed) >= step.follow_ups:
        return None
    standing = best(row for row in verdicts if row.attempt == step.attempt)
    point = target(step.probe.points, standing, aimed)
    if point is None:
        return None
    return dataclasses.replace(
        step,
        kind="follow-up",
        prompt=phrase(point, step.probe),
        aim=point.id,
        seconds=FOLLOW_UP_S,
    )


def is_over(session: SessionRow, turns: Sequence[TurnRow], attempt: int) -> bool:
    """Tell whether an attempt takes no more answers, so that its rubric is no secret any more."""
    if session.ended is not None:
        return True
    return not any(
        turn.step.attempt == attempt and turn.state in ("open", "answered") for turn in turns
    )
