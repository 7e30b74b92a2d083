"""Where the corpus contradicts itself on a number: there, no number is marked wrong.

Two signs: a paragraph that says so (`Sources disagree`), and two points on the same thing with
different values in the same unit. Compares words; knows nothing of which value is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.bm25 import terms
from ingest.documents import Document
from rag.facts import Number, numbers
from rag.practice.bank import RubricPoint

_DISAGREE = re.compile(r"\*\*Sources disagree\b")
_SHARED = 2  # terms that a point shares with the paragraph that contests its number
_SAME_FACT = 0.6  # Jaccard similarity of the terms of two points


@dataclass(frozen=True, slots=True)
class _Contested:
    terms: frozenset[str]
    numbers: frozenset[Number]


def contested_points(documents: Iterable[Document], points: Sequence[RubricPoint]) -> set[str]:
    """Return the ids of the points whose numbers the corpus contests."""
    passages = [_passage(text) for document in documents for text in _passages(document.text)]
    numbered = [(point, _passage(point.text)) for point in points if point.numbers]
    found = {
        point.id
        for point, own in numbered
        if any(
            own.numbers & other.numbers and len(own.terms & other.terms) >= _SHARED
            for other in passages
        )
    }
    by_term: dict[str, list[int]] = defaultdict(list)
    for at, (_, own) in enumerate(numbered):
        for term in own.terms:
            by_term[term].append(at)
    pairs = {(a, b) for near in by_term.values() for n, a in enumerate(near) for b in near[n + 1 :]}
    for a, b in pairs:
        if _differ(numbered[a][1], numbered[b][1]):
            found |= {numbered[a][0].id, numbered[b][0].id}
    return found


def _passages(text: str) -> Iterable[str]:
    if not _DISAGREE.search(text):
        return ()
    return (part for part in re.split(r"\n\s*\n", text) if _DISAGREE.search(part))


def _passage(text: str) -> _Contested:
    words = (term for term in terms(text) if not any(char.isdigit() for char in term))
    return _Contested(frozenset(words), frozenset(numbers(text)))


def _differ(one: _Contested, other: _Contested) -> bool:
    """Tell whether two points say the same with other values of one unit."""
    union = one.terms | other.terms
    if not union or len(one.terms & other.terms) < _SAME_FACT * len(union):
        return False
    units = {number.unit for number in one.numbers} & {number.unit for number in other.numbers}
    return any(
        {n.value for n in one.numbers if n.unit == unit}.isdisjoint(
            {n.value for n in other.numbers if n.unit == unit}
        )
        for unit in units
    )
