"""Fits the linear map that the embedder's query vectors pass through before dense search.

Trained on the questions of an index (ingest.questions): a question's vector q becomes q + q @ W, so
that it lies closer to the passages that answer it than to all others of the index. The passages'
vectors stay as they are, so that no index has to be built again. Knows nothing of case files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.retrieval import Advance
from index.query_map import QueryMap

if TYPE_CHECKING:
    from index.embedding import Embedder
    from index.hybrid import HybridIndex

STEPS = 400
_BATCH = 256
_LEARNING_RATE = 3e-3
_TEMPERATURE = 0.02
# Of what was fitted: as good here as all of it, and half the harm to questions of another field.
_SHARE = 0.75


def fit_query_map(
    index: HybridIndex, embedder: Embedder, *, seed: int, advance: Advance = lambda: None
) -> QueryMap:
    """Return the map that is best by the softmax over all passages, found by AdamW.

    A question that stands at several passages counts all of them as right. `embedder` must not map
    its queries already. Raises ValueError where the index has no questions.
    """
    import torch
    from torch.nn.functional import normalize

    if index.questions is None:
        raise ValueError("the index has no questions: write a questions.jsonl first")
    owners: dict[str, list[int]] = {}
    for row in index.questions.rows:
        owners.setdefault(row.text, []).append(row.position)
    queries = torch.tensor(np.stack([embedder.embed_query(text) for text in owners]))
    passages = torch.tensor(index.dense.vectors)
    wrong = torch.ones(len(owners), len(passages), dtype=torch.bool)
    for number, positions in enumerate(owners.values()):
        wrong[number, positions] = False
    weight = torch.zeros(passages.shape[1], passages.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=_LEARNING_RATE, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    drawn = np.random.default_rng(seed)
    for _ in range(STEPS):
        batch = drawn.integers(0, len(owners), _BATCH)
        mapped = normalize(queries[batch] + queries[batch] @ weight, dim=1)
        logits = mapped @ passages.T / _TEMPERATURE
        right = logits.masked_fill(wrong[batch], -torch.inf)
        loss = (logits.logsumexp(1) - right.logsumexp(1)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        advance()
    weights = (_SHARE * weight.detach().numpy()).astype(np.float32)
    return QueryMap(weights, index.dense.vectors.mean(axis=0))
