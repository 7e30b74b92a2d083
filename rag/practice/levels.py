"""Answers of a known level and bars of a grid, as anchors and as the points that separate them.

Shared by the marked and the unmarked shapes of ladders and drills; knows neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag.practice.bank import AnchorAnswer, RedFlag, Weight
from rag.practice.notes import missed_points, scored_points
from rag.practice.points import cell_points, plain
from rag.practice.source import Draft, Source
from rag.practice.tabled import red_flag

LEVELS = ("L4", "L5", "L6", "L7")
BARS = ("Weak", "Passing", "Strong", "Staff bar")
_SAME = re.compile(r"^(?:the )?same\b[^.]*\.\s+", re.I)


def anchor(
    source: Source, level: str, answer: tuple[int, int], note: str, below: AnchorAnswer | None
) -> AnchorAnswer:
    """Return a levelled answer; one that begins "The same" gets the text of the level below."""
    text = "\n\n".join(map(plain, source.text[slice(*answer)].split("\n\n")))
    span = source.span(*answer)
    same = _SAME.match(text)
    if same and below:
        text = f"{below.text}\n\n{text[same.end() :]}"
        span = replace(span, start=below.span.start)
    return AnchorAnswer(level, text, note, span)


def ladder_drafts(source: Source, level: str, note: tuple[int, int]) -> list[Draft]:
    """Return the points that separate levels: what one answer missed belongs to the next."""
    if level == LEVELS[-1]:
        return [Draft(piece, "okay", level) for piece in scored_points(source.text, *note)]
    higher = LEVELS[LEVELS.index(level) + 1]
    return [Draft(piece, "vital", higher) for piece in missed_points(source.text, *note)]


def grid_drafts(source: Source, bars: Sequence[tuple[int, int]]) -> list[Draft]:
    """Return the points of the two highest bars of a grid row: strong is vital."""
    drafts: list[Draft] = []
    for (start, end), level in zip(bars, BARS, strict=True):
        if level in BARS[2:]:
            weight: Weight = "vital" if level == "Strong" else "okay"
            pieces = [piece for part in cell_points(source.text, start, end) for piece in part]
            drafts += [Draft(piece, weight, level) for piece in pieces]
    return drafts


def failure(source: Source, start: int, end: int) -> RedFlag:
    """Return a common failure as a red flag: what is done, up to the first stop, and why not."""
    text, why, *_ = (*re.split(r"[:.]\s+", plain(source.text[start:end]), maxsplit=1), "")
    return red_flag(source, (text, why, ""), (start, end))
