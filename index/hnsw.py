"""Dense search: HNSW (hnswlib) over unit vectors, exact search where a filter applies.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
Navigable Small World graphs" (2016). Knows nothing of texts or embedding models.
"""

from __future__ import annotations

from pathlib import Path

import hnswlib
import numpy as np
from numpy.typing import NDArray

from index.hits import Ranking

M = 16
EF_CONSTRUCTION = 200
EF_SEARCH = 200


class HnswIndex:
    """Cosine search over the rows of `vectors` (n, dimension), float32, unit length.

    Immutable after `build`, because hnswlib must not search and add at the same time.
    """

    def __init__(self, graph: hnswlib.Index, vectors: NDArray[np.float32]) -> None:
        self._graph = graph
        self.vectors = vectors

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> HnswIndex:
        """Build the graph; the seed makes two builds of the same vectors alike."""
        graph = hnswlib.Index(space="cosine", dim=vectors.shape[1])
        graph.init_index(len(vectors), ef_construction=EF_CONSTRUCTION, M=M, random_seed=7)
        # One thread: with more, the order of insertion and so the graph would vary.
        graph.add_items(vectors, np.arange(len(vectors)), num_threads=1)
        graph.set_ef(EF_SEARCH)
        return cls(graph, vectors)

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """Return the nearest rows to `query` (dimension,); scores are cosines.

        With a filter the search is exact: hnswlib would call back into Python for every node.
        """
        if allowed is not None:
            return self.search_exactly(query, k, allowed)
        # The graph's own `ef` may be below k, where hnswlib raises; n items cannot yield more.
        k = min(k, len(self.vectors), EF_SEARCH)
        labels, distances = self._graph.knn_query(query, k=k, num_threads=1)
        return _ordered(labels[0], 1.0 - distances[0])

    def search_exactly(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """Return what `search` approximates, by comparing `query` with every row."""
        scores = self.vectors @ query
        positions = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
        order = positions[np.argsort(-scores[positions], kind="stable")][:k]
        return _ordered(order, scores[order])

    def recall(self, k: int = 10, sample: int = 200) -> float:
        """Return recall@k against exact search, with a sample of the rows as queries."""
        rows = np.linspace(0, len(self.vectors) - 1, min(sample, len(self.vectors)), dtype=int)
        found = 0
        for row in rows:
            exact = {position for position, _ in self.search_exactly(self.vectors[row], k)}
            found += len(exact & {position for position, _ in self.search(self.vectors[row], k)})
        return found / (len(rows) * min(k, len(self.vectors)))

    def save(self, folder: Path) -> None:
        """Write graph and vectors."""
        np.save(folder / "dense.npy", self.vectors)
        self._graph.save_index(str(folder / "hnsw.bin"))

    @classmethod
    def load(cls, folder: Path) -> HnswIndex:
        """Read what `save` wrote. hnswlib accepts any bytes: check the manifest's hashes first."""
        vectors = np.load(folder / "dense.npy")
        graph = hnswlib.Index(space="cosine", dim=vectors.shape[1])
        graph.load_index(str(folder / "hnsw.bin"), max_elements=len(vectors))
        graph.set_ef(EF_SEARCH)  # a load resets it to 10
        return cls(graph, vectors)


def _ordered(positions: NDArray[np.integer], scores: NDArray[np.floating]) -> Ranking:
    ranking = [(int(p), float(s)) for p, s in zip(positions, scores, strict=True)]
    return sorted(ranking, key=lambda item: (-item[1], item[0]))
