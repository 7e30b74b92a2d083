"""Practice files: an interviewer's probe, its rubric points, and answers graded by a person.

Nothing here knows how an answer is graded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eval.json_lines import load_rows


@dataclass(frozen=True, slots=True)
class GoldPoint:
    """One thing that an answer should say; `evidence` is a quote from a document.

    `right` and `wrong` are phrasings as in `rag.practice.phrasings`, by a writer who saw no answer.
    """

    id: str
    text: str
    weight: Literal["vital", "okay"]
    evidence: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """An answer and the ids of the points that a strict person found covered."""

    level: str
    text: str
    covers: tuple[str, ...]
    red_flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PracticeCase:
    """One probe."""

    id: str
    probe: str
    docs: tuple[str, ...]
    points: tuple[GoldPoint, ...]
    answers: tuple[GradedAnswer, ...]
    topic: str = ""


def load_practice(path: Path) -> list[PracticeCase]:
    """Read and check a practice file; raise CaseFileError, with file and line, at a mistake."""
    return load_rows(path, PracticeCase, "id", _mistakes)


def _mistakes(case: PracticeCase) -> Iterator[str]:
    known = {point.id for point in case.points}
    if not known:
        yield "a probe needs at least one point"
    if len(known) < len(case.points):
        yield "two points have one id"
    for number, answer in enumerate(case.answers):
        if unknown := sorted(set(answer.covers) - known):
            yield f"answers.{number}.covers names {', '.join(unknown)}, which is no point"
