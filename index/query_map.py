"""A linear map that query vectors pass through before dense search, and where it may be used.

It is fitted on questions about one field (`eval.query_map`) and brings those closer to the passages
that answer them; in another field it does harm (eval/LOG.md), so it knows its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Cosine of mean passage vectors: other documents about the same field .98, another field .78.
_SAME_FIELD = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class QueryMap:
    """`weights` (dimension, dimension); `centre` (dimension,): mean of the passages fitted on."""

    weights: NDArray[np.float32]
    centre: NDArray[np.float32]

    def suits(self, vectors: NDArray[np.float32]) -> bool:
        """Tell whether passages with these vectors (n, dimension) are of the field fitted on."""
        if not len(vectors) or vectors.shape[1] != len(self.centre):
            return False
        mean = vectors.mean(axis=0)
        norms = np.linalg.norm(mean) * np.linalg.norm(self.centre)
        return bool(mean @ self.centre >= _SAME_FIELD * norms)

    def __call__(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the unit vector of q + q @ weights, for a query (dimension,)."""
        mapped = query + query @ self.weights
        return np.asarray(mapped / np.linalg.norm(mapped), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write it as an .npz file, in half precision."""
        np.savez(
            path, weights=self.weights.astype(np.float16), centre=self.centre.astype(np.float16)
        )

    @staticmethod
    def load(path: Path) -> QueryMap:
        """Read what `save` wrote."""
        with np.load(path) as found:
            return QueryMap(found["weights"].astype(np.float32), found["centre"].astype(np.float32))
