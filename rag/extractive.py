"""The extractive answer: verbatim units of the best passages, chosen by late interaction.

No LLM takes part. It is what a reader sees while the LLM still writes, and what is left when it
cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.documents import Unit
from rag.answers import Citation, Sentence
from rag.citations import make_citation
from rag.evidence import Passage

_PASSAGE_WEIGHT = 0.5  # of a passage's score: a good unit of a bad passage misleads
_WITHIN = 0.07  # units this much below the best are left out: 0.12 finds no more key facts on dev
_MIN_WORDS = 5  # shorter units are labels


def closest_units(
    passages: Sequence[Passage], similarity: Mapping[Unit, float], n: int
) -> list[tuple[float, Passage, Unit]]:
    """Return up to `n` quotable units, closest to the question first: (score, passage, unit).

    `similarity` is that of each unit to the question. A unit that repeats a chosen one is skipped,
    one that is much less close than the best left out.
    """
    scored = sorted(
        (
            (similarity[unit] + _PASSAGE_WEIGHT * passage.score, passage, unit)
            for passage in passages
            for unit in passage.units
            if len(unit.plain.split()) >= _MIN_WORDS and unit.plain[-1] not in "?:"
        ),
        key=lambda item: -item[0],
    )
    chosen: list[tuple[float, Passage, Unit]] = []
    for score, passage, unit in scored:
        if len(chosen) == n or score < scored[0][0] - _WITHIN:
            break
        if not any(repeats(unit.plain, other.plain) for _, _, other in chosen):
            chosen.append((score, passage, unit))
    return chosen


def extract(
    closest: Sequence[tuple[float, Passage, Unit]],
) -> tuple[tuple[Sentence, ...], tuple[Citation, ...]]:
    """Quote the units of `closest_units` in reading order."""
    chosen = sorted(closest, key=lambda item: (item[1].label, item[2].start))
    citations = tuple(
        make_citation(number, passage, (unit,), 1.0)
        for number, (_, passage, unit) in enumerate(chosen, start=1)
    )
    sentences = tuple(
        Sentence(" ".join(unit.plain.split()), (citation.id,))
        for (_, _, unit), citation in zip(chosen, citations, strict=True)
    )
    return sentences, citations


def repeats(text: str, other: str) -> bool:
    """Tell whether most words of the shorter text stand in the longer one."""
    words, known = set(text.lower().split()), set(other.lower().split())
    return len(words & known) > 0.75 * min(len(words), len(known))
