"""The questions that people wrote for units of chunks, searched beside the text of the chunks.

A reader's question is compared with questions, which it resembles more than it does the passages.
Positions are those of the chunks; knows nothing of where the questions come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.hits import Ranking
from index.late_interaction import LateInteractionIndex
from ingest.documents import Chunk


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """Question `text` of unit number `unit` of the chunk at `position`."""

    position: int
    unit: int
    text: str


def question_rows(chunks: Sequence[Chunk]) -> list[QuestionRow]:
    """Return the questions of all chunks, in their order."""
    return [
        QuestionRow(position, number, text)
        for position, chunk in enumerate(chunks)
        for number, unit in enumerate(chunk.units)
        for text in unit.questions
    ]


class QuestionIndex:
    """Vectors of questions: `dense` (n, dimension) of unit length, `late` by token."""

    def __init__(
        self,
        rows: Sequence[QuestionRow],
        dense: NDArray[np.float32],
        late: LateInteractionIndex,
    ) -> None:
        self.rows, self.dense, self.late = rows, dense, late
        self._owners = np.array([row.position for row in rows], dtype=np.int64)
        self._starts = np.flatnonzero(np.diff(self._owners, prepend=-1))  # the first row of each

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """Return the chunks whose questions are nearest to `query` (dimension,), by cosine."""
        best = np.maximum.reduceat(self.dense @ query, self._starts)
        positions = self._owners[self._starts]
        ranking = [
            (position, cosine)
            for position, cosine in zip(positions.tolist(), best.tolist(), strict=True)
            if allowed is None or allowed[position]
        ]
        return sorted(ranking, key=lambda item: -item[1])[:k]

    def by_unit(
        self, query: NDArray[np.float32], positions: Sequence[int]
    ) -> Mapping[int, Mapping[int, float]]:
        """Return position -> unit number -> the best MaxSim of its questions with `query`.

        `query` is (tokens, dimension); scores are at most 1.
        """
        rows = [row for position in positions for row in self._of(position)]
        found: dict[int, dict[int, float]] = {}
        for number, score in self.late.rank(query, rows):
            row = self.rows[number]
            found.setdefault(row.position, {}).setdefault(row.unit, score)  # best first
        return found

    def _of(self, position: int) -> range:
        """Return the rows of one chunk, which follow each other."""
        first, last = np.searchsorted(self._owners, [position, position + 1])
        return range(int(first), int(last))

    def save(self, folder: Path) -> None:
        """Write the vectors; the questions themselves are in the chunks."""
        np.save(folder / "questions_dense.npy", self.dense)
        (folder / "questions").mkdir()
        self.late.save(folder / "questions")

    @classmethod
    def load(cls, folder: Path, chunks: Sequence[Chunk]) -> QuestionIndex:
        """Read what `save` wrote for these chunks."""
        dense = np.load(folder / "questions_dense.npy")
        return cls(question_rows(chunks), dense, LateInteractionIndex.load(folder / "questions"))
