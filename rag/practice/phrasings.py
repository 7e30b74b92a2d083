"""How candidates say a rubric point, and how they get it wrong: `phrasings.jsonl` of a folder.

Rows `{"doc", "point", "right", "wrong"}`: `point` is the text of a point of document `doc`, `right`
are sentences of candidates that state it in other words, `wrong` fluent ones on the same point that
are false. The grader compares an answer with these, too, because candidates seldom speak in the
words of a rubric and no similarity to the point alone sees that a sentence is false. Knows nothing
of grading or of who wrote the sentences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.questions import letters
from rag.practice.bank import Bank, Probe
from rag.practice.errors import BankError

FILE_NAME = "phrasings.jsonl"


class Phrasing(BaseModel):
    """One row."""

    model_config = ConfigDict(extra="forbid", strict=True)
    doc: str
    point: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def load_phrasings(path: Path) -> list[Phrasing]:
    """Read the rows; raise BankError, with the line, at one that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BankError(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                found.append(Phrasing.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BankError(f"{path}:{number}: {where}: {first['msg']}") from error
    return found


def with_phrasings(bank: Bank, phrasings: Sequence[Phrasing]) -> Bank:
    """Return the bank with the phrasings in its points, found by the letters of their text.

    A phrasing of a point that is no more there is a problem for `rag practice bank lint`.
    """
    known = {(row.doc, letters(row.point)): row for row in phrasings}
    met: set[tuple[str, str]] = set()
    probes = tuple(_phrased(probe, known, met) for probe in bank.probes)
    lost = [
        f"{row.doc}: {FILE_NAME} has phrasings of {row.point!r}, which is no point"
        for key, row in known.items()
        if key not in met
    ]
    return dataclasses.replace(bank, probes=probes, problems=(*bank.problems, *lost))


def _phrased(
    probe: Probe, known: Mapping[tuple[str, str], Phrasing], met: set[tuple[str, str]]
) -> Probe:
    points = []
    for point in probe.points:
        key = (probe.span.doc, letters(point.text))
        if row := known.get(key):
            met.add(key)
            point = dataclasses.replace(point, right=row.right, wrong=row.wrong)
        points.append(point)
    return dataclasses.replace(probe, points=tuple(points))
