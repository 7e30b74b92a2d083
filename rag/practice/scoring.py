"""Verdicts of several turns -> one standing per point -> recall of vital points and a level.

Arithmetic only: knows nothing of grading, of the database or of what a client may see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag.practice.bank import AnchorAnswer, RubricPoint
from rag.practice.rows import VerdictRow
from rag.practice.steps import PointState

CREDIT: Mapping[PointState, float] = {
    "covered": 1.0, "partial": 0.5, "unsure": 0.0, "missed": 0.0,
}  # fmt: skip
WEIGHT = {"vital": 1.0, "okay": 0.5}
_RANK: Mapping[PointState, int] = {"missed": 0, "unsure": 1, "partial": 2, "covered": 3}
_PASSES = 0.6  # of the points that separate a level from the one below it
_NEARLY = 0.3


@dataclass(frozen=True, slots=True)
class LevelRange:
    """From which ladder level to which an answer reaches, and what says so."""

    low: str
    high: str
    basis: str


def best(rows: Iterable[VerdictRow]) -> dict[str, VerdictRow]:
    """Return the best verdict of each point: what a follow-up brings out counts."""
    found: dict[str, VerdictRow] = {}
    for row in rows:
        before = found.get(row.verdict.point_id)
        if before is None or _order(row) > _order(before):
            found[row.verdict.point_id] = row
    return found


def _order(row: VerdictRow) -> tuple[int, float]:
    return _RANK[row.final], row.verdict.probability


def vital(points: Sequence[RubricPoint]) -> list[RubricPoint]:
    """Return the points that count: the vital ones, or all where none is vital."""
    return [point for point in points if point.weight == "vital"] or list(points)


def recall(points: Sequence[RubricPoint], states: Mapping[str, PointState]) -> float | None:
    """Return the recall of the vital points, a partial one half; None where there are no points."""
    counted = vital(points)
    if not counted:
        return None
    return sum(CREDIT[states.get(point.id, "missed")] for point in counted) / len(counted)


def level_range(
    points: Sequence[RubricPoint],
    anchors: Sequence[AnchorAnswer],
    states: Mapping[str, PointState],
) -> LevelRange | None:
    """Return the levels that an answer reaches; None without levelled anchors and points.

    A level is passed with 60% of the points that separate it from the one below, if all levels
    below it are; the next one is in reach with 30%.
    """
    separating = {point.level for point in points if point.level}
    levels = [anchor.level for anchor in anchors]
    if not levels or not separating:
        return None
    low, shares = levels[0], []
    for position, level in enumerate(levels):
        mine = [point for point in points if point.level == level]
        if not mine:
            continue
        share = sum(CREDIT[states.get(point.id, "missed")] for point in mine) / len(mine)
        shares.append(f"{level}: {share:.0%} of {len(mine)} separating points")
        if share >= _PASSES:
            low = level
            continue
        high = level if share >= _NEARLY else levels[max(position - 1, 0)]
        return LevelRange(low, high, "; ".join(shares))
    return LevelRange(low, low, "; ".join(shares))
