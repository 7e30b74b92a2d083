"""What a search returns, what may restrict it, and what every engine can do.

An engine works on positions (0-based row numbers of the chunk list it was built from) and knows
nothing of chunks; `index.hybrid` turns positions into Hits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.documents import Chunk

Stage = Literal["bm25", "dense", "late", "fused", "reranked"]
Ranking = list[tuple[int, float]]  # (position, score), best first
Query = TypeVar("Query", contravariant=True)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a stage found. `score` is higher for better, `rank` counts from 1.

    `asked` tells by unit number how close the questions of a unit are, by late interaction.
    """

    chunk: Chunk
    score: float
    rank: int
    stage: Stage
    explain: Mapping[str, float] = field(default_factory=dict)
    asked: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filters:
    """Restricts a search; empty fields restrict nothing, several values of one field mean "any".

    `documents` are glob patterns over `Document.uri` (or exact ids), `headings` case-insensitive
    substrings of any heading above the chunk, `kinds` chunk kinds, `tags` front-matter tags.
    `without` are chunk ids to leave out.
    """

    documents: Sequence[str] = ()
    headings: Sequence[str] = ()
    kinds: Sequence[str] = ()
    tags: Sequence[str] = ()
    without: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any((self.documents, self.headings, self.kinds, self.tags, self.without))


class Searcher(Protocol[Query]):
    """An engine: finds the best `k` positions for a query in the engine's own form.

    That form is a text for BM25, a vector (dimension,) for HNSW, a matrix (tokens, dimension) for
    late interaction. Scores are floats, higher is better; equal scores keep the order of positions.
    """

    def search(self, query: Query, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """Return at most `k` (position, score) pairs, best first, only where `allowed` is true."""
        ...
