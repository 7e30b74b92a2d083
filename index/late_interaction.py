"""Late interaction: MaxSim between the token vectors of a query and those of each passage.

Khattab and Zaharia, "ColBERT" (2020): for every query token the best cosine over the passage's
tokens, summed over the query. Passages are kept as int8 (one unit vector needs 384 bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.hits import Ranking

_SCALE = 127.0


def quantize(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return unit vectors as int8; a component is off by at most 1/254."""
    quantized: NDArray[np.int8] = np.rint(vectors * _SCALE).astype(np.int8)
    return quantized


def dequantize(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return what `quantize` was given, up to its rounding."""
    return np.divide(vectors, _SCALE, dtype=np.float32)


def maxsim(query: NDArray[np.float32], passage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return, for each query token, its best cosine among the passage tokens."""
    best: NDArray[np.float32] = (query @ passage.T).max(axis=1)
    return best


class LateInteractionIndex:
    """Token vectors of all passages, one after the other: rows `offsets[i]:offsets[i + 1]`."""

    def __init__(self, tokens: NDArray[np.int8], offsets: NDArray[np.int64]) -> None:
        self.tokens = tokens
        self.offsets = offsets

    @classmethod
    def build(cls, passages: Sequence[NDArray[np.int8]]) -> LateInteractionIndex:
        """Index one quantized (tokens, dimension) matrix per passage; every matrix has a row."""
        offsets = np.cumsum([0, *(len(passage) for passage in passages)], dtype=np.int64)
        return cls(np.concatenate(passages), offsets)

    def passage(self, position: int) -> NDArray[np.int8]:
        """Return the token vectors of one passage."""
        return self.tokens[self.offsets[position] : self.offsets[position + 1]]

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """Score every allowed passage: about 0.15 ms each, so mostly used on candidates."""
        positions = np.arange(len(self.offsets) - 1) if allowed is None else np.flatnonzero(allowed)
        return self.rank(query, [int(position) for position in positions])[:k]

    def rank(self, query: NDArray[np.float32], positions: Sequence[int]) -> Ranking:
        """Return `positions` by MaxSim divided by the number of query tokens, so at most 1."""
        if not positions:
            return []
        matrix = np.concatenate([self.passage(p) for p in positions]).astype(np.float32)
        lengths = [int(self.offsets[p + 1] - self.offsets[p]) for p in positions]
        starts = np.cumsum([0, *lengths[:-1]])
        similarity = matrix @ (query.T / _SCALE)  # (all tokens, query tokens)
        scores = np.maximum.reduceat(similarity, starts, axis=0).mean(axis=1)
        ranking = [(p, float(s)) for p, s in zip(positions, scores, strict=True)]
        return sorted(ranking, key=lambda item: (-item[1], item[0]))

    def save(self, folder: Path) -> None:
        """Write the vectors and offsets."""
        np.save(folder / "late_tokens.npy", self.tokens)
        np.save(folder / "late_offsets.npy", self.offsets)

    @classmethod
    def load(cls, folder: Path) -> LateInteractionIndex:
        """Read what `save` wrote; the vectors stay on disk until they are touched."""
        tokens = np.load(folder / "late_tokens.npy", mmap_mode="r")
        return cls(tokens, np.load(folder / "late_offsets.npy"))
