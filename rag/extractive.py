"""The extractive answer: verbatim units of the best passages, chosen by late interaction.

No LLM takes part. It is what a reader sees while the LLM still writes, and what is left when it
cannot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rag.answers import Citation, Sentence
from rag.citations import make_citation
from rag.evidence import Passage, Unit
from rag.grounding import Grounds

_PASSAGE_WEIGHT = (
    0.5  # of a passage's score against its unit's: a good unit in a bad passage misleads
)
_WITHIN = 0.12  # units this much below the best are left out


def extract(
    query: NDArray[np.float32], grounds: Grounds, *, max_sentences: int
) -> tuple[tuple[Sentence, ...], tuple[Citation, ...]]:
    """Return up to `max_sentences` quotes that are closest to the question, best passage first.

    `query` holds the question's token vectors. A unit that repeats a chosen one is skipped.
    """
    scored = [
        (similarity + _PASSAGE_WEIGHT * passage.score, passage, unit)
        for passage, unit, similarity in grounds.similarities(query)
        if len(unit.plain.split()) >= 4 and not unit.plain.rstrip().endswith(("?", ":"))
    ]
    scored.sort(key=lambda item: -item[0])
    chosen: list[tuple[Passage, Unit]] = []
    for score, passage, unit in scored:
        if len(chosen) == max_sentences or score < scored[0][0] - _WITHIN:
            break
        if not any(_repeats(unit.plain, other.plain) for _, other in chosen):
            chosen.append((passage, unit))
    chosen.sort(key=lambda item: (item[0].label, item[1].start))
    citations = tuple(
        make_citation(number, passage, (unit,), 1.0)
        for number, (passage, unit) in enumerate(chosen, start=1)
    )
    sentences = tuple(
        Sentence(unit.plain, (citation.id,))
        for (_, unit), citation in zip(chosen, citations, strict=True)
    )
    return sentences, citations


def _repeats(text: str, other: str) -> bool:
    words, known = set(text.lower().split()), set(other.lower().split())
    return len(words & known) > 0.7 * min(len(words), len(known))
