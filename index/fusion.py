"""Reciprocal rank fusion: joins rankings whose scores cannot be compared.

Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods" (2009).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from index.hits import Ranking


def reciprocal_rank_fusion(rankings: Sequence[Ranking], rrf_k: int = 60) -> Ranking:
    """Return the positions of all `rankings` by the sum of 1 / (rrf_k + rank), rank from 1.

    Ties keep the order of positions, so that the result never depends on the order of rankings.
    """
    shares: defaultdict[int, list[float]] = defaultdict(list)
    for ranking in rankings:
        for rank, (position, _) in enumerate(ranking, start=1):
            shares[position].append(1.0 / (rrf_k + rank))
    scores = [(position, math.fsum(parts)) for position, parts in shares.items()]
    return sorted(scores, key=lambda item: (-item[1], item[0]))
