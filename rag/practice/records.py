"""What an attempt that is over leaves behind: its scores, its review card, cards of missed points.

`record` can be done again for the same attempt, after the user has overridden a verdict. Knows
nothing of what a client may see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rag.practice.feedback import scores
from rag.practice.reviews import MISSED_OFTEN, point_key, review
from rag.practice.rows import AttemptRow, SessionRow, TurnRow
from rag.practice.scoring import best, vital
from rag.practice.steps import Step
from rag.practice.store import Transaction


def record(
    db: Transaction, session: SessionRow, turns: Sequence[TurnRow], attempt: int, now: float
) -> None:
    """Write the scores of an attempt and move its cards; a skipped attempt leaves nothing."""
    mine = [turn for turn in turns if turn.step.attempt == attempt]
    rows = [row for row in db.verdicts(session.id) if row.attempt == attempt]
    first, final = scores(mine, rows)
    if first is None or final is None:
        return
    step, hints = mine[0].step, len(mine[0].hints)
    db.save_attempt(AttemptRow(session.id, attempt, practised(step), first, final, hints, now))
    if step.kind != "probe" or step.probe is None:
        return
    if step.card:
        point_id = step.card.removeprefix(point_key("")) if _is_point(step) else ""
        review(
            db, step.card, step.probe, point_id=point_id, score=first, hints=hints,
            session_id=session.id, attempt=attempt, now=now,
        )  # fmt: skip
    merged = best(rows)
    for point in vital(step.probe.points):
        missed = point.id in merged and merged[point.id].final == "missed"
        key = point_key(point.id)
        if missed and db.card(key) is None and db.misses(point.id) >= MISSED_OFTEN:
            alone = dataclasses.replace(step.probe, points=(point,))
            review(
                db, key, alone, point_id=point.id, score=0.0, hints=0,
                session_id=session.id, attempt=attempt, now=now,
            )  # fmt: skip


def _is_point(step: Step) -> bool:
    return step.card.startswith(point_key(""))


def practised(step: Step) -> str:
    """Return what attempts at the same thing share; one point is not the whole probe."""
    if step.card and _is_point(step):
        return step.card
    if step.estimate is not None:
        return f"{step.estimate.id}/{','.join(map(str, step.asked))}"
    probe_id = step.probe.id if step.probe is not None else ""
    return probe_id if step.kind == "probe" else f"{step.kind}:{probe_id}"
