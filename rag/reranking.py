"""The cross-encoder: reads question and passage together and scores how well they fit.

Its score joins the late-interaction score rather than replacing it: measured, the two together
order better than either. Knows nothing of how candidates were found.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.hits import Hit

_BATCH = 4  # passages between two looks at the clock; larger batches were not faster


class Reranker(Protocol):
    """Scores passages for a question."""

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return a logit per passage; higher is better."""
        ...


class CrossEncoderReranker:
    """The Reranker of a sentence-transformers cross-encoder with one output."""

    def __init__(
        self, reference: Path | str, *, max_tokens: int = 320, threads: int | None = None
    ) -> None:
        import torch
        from sentence_transformers import CrossEncoder

        folder = Path(reference)
        if (folder / "model.onnx").is_file():
            from index.onnx import OnnxTransformer

            module = OnnxTransformer(
                folder, output="scores", max_tokens=max_tokens, threads=threads
            )
            self._model = CrossEncoder(modules=[module], device="cpu")
        else:
            self._model = CrossEncoder(str(reference), max_length=max_tokens, device="cpu")
        self._identity = torch.nn.Identity()

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return the logits, shape (len(passages),)."""
        scores = self._model.predict(
            [(question, passage) for passage in passages],
            batch_size=_BATCH,
            activation_fn=self._identity,
            show_progress_bar=False,
        )
        return np.asarray(scores, dtype=np.float32).reshape(-1)


def rerank(
    reranker: Reranker | None,
    question: str,
    hits: Sequence[Hit],
    *,
    depth: int,
    weights: Mapping[str, float],
    budget_ms: float,
) -> tuple[tuple[Hit, ...], int]:
    """Order `hits` by the weighted sum of their scores; the best `depth` get the reranker's, too.

    The scores are those in `explain` (cosines: `late` and `dense` of the passage, `asked_late` and
    `asked` of its questions; `bm25`, divided by the best) and the cross-encoder's logit. Scoring
    stops between batches when `budget_ms` is spent. What was not scored stays below what was.
    Returns the hits and how many candidates the budget cut.
    """
    deadline = time.perf_counter() + budget_ms / 1000
    best_bm25 = max((hit.explain.get("bm25", 0.0) for hit in hits), default=0.0) or 1.0

    def first_stage(hit: Hit) -> float:
        scores = {**hit.explain, "bm25": hit.explain.get("bm25", 0.0) / best_bm25}
        # A passage that nobody wrote questions for counts as its own question.
        scores.setdefault("asked", scores.get("dense", 0.0))
        scores.setdefault("asked_late", scores.get("late", 0.0))
        return sum(weights.get(name, 0.0) * score for name, score in scores.items())

    ordered = sorted(
        (dataclasses.replace(hit, score=first_stage(hit)) for hit in hits),
        key=lambda hit: (-hit.score, hit.rank),
    )
    candidates = ordered[:depth] if reranker is not None else []
    logits: list[float] = []
    while len(logits) < len(candidates) and (not logits or time.perf_counter() < deadline):
        assert reranker is not None  # without one there are no candidates
        batch = candidates[len(logits) : len(logits) + _BATCH]
        logits.extend(reranker.score(question, [hit.chunk.search_text for hit in batch]).tolist())
    scored = [
        dataclasses.replace(
            hit,
            score=hit.score + weights.get("cross_encoder", 0.0) * logit,
            explain={**hit.explain, "cross_encoder": round(logit, 3)},
        )
        for hit, logit in zip(candidates, logits, strict=False)
    ]
    scored.sort(key=lambda hit: -hit.score)
    floor = scored[-1].score if scored else math.inf
    rest = [dataclasses.replace(hit, score=min(hit.score, floor)) for hit in ordered[len(scored) :]]
    reranked = tuple(
        dataclasses.replace(hit, rank=rank, stage="reranked")
        for rank, hit in enumerate([*scored, *rest], start=1)
    )
    return reranked, len(candidates) - len(logits)
