"""Ranked chunk ids and judgements to hit@k, recall@k, MRR@10 and nDCG@10.

Per-question values come first, every mean is derived from them. hit, MRR and nDCG count relevant
chunks and come from ir-measures; recall counts groups, which no library knows. Nothing here knows
how a ranking was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import ir_measures
from ir_measures import RR, Success, nDCG

from eval.estimates import Estimate, mean, rate
from eval.qrels import Groups

DEPTH = 20
RATES = ("hit@1", "hit@5", "hit@10")
RECALL_AT = (5, 10, 20)
_MEASURES = {
    Success @ 1: "hit@1",
    Success @ 5: "hit@5",
    Success @ 10: "hit@10",
    RR: "mrr@10",  # the provider ignores the cutoff of RR@10: the run is cut instead
    nDCG @ 10: "ndcg@10",
}
METRICS = (*RATES, *(f"recall@{k}" for k in RECALL_AT), "mrr@10", "ndcg@10")

PerQuestion = Mapping[str, Mapping[str, float]]


def per_question(
    groups: Mapping[str, Groups], run: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return query id -> metric -> value for every query of `groups`.

    `run` holds chunk ids, best first. A query without hits, or without any relevant chunk, is 0.
    """
    values = {query_id: dict.fromkeys(METRICS, 0.0) for query_id in groups}
    qrels = {
        query_id: {chunk_id: 1 for ids in wanted for chunk_id in ids}
        for query_id, wanted in groups.items()
        if any(wanted)
    }
    # The rank is the score, because providers break ties differently.
    scores = {
        query_id: {chunk_id: float(-rank) for rank, chunk_id in enumerate(ranking[:10], start=1)}
        for query_id, ranking in run.items()
        if query_id in qrels and ranking
    }
    for metric in ir_measures.pytrec_eval.iter_calc(list(_MEASURES), qrels, scores):
        values[metric.query_id][_MEASURES[metric.measure]] = float(metric.value)
    for query_id, wanted in groups.items():
        ranking = run.get(query_id, ())
        for k in RECALL_AT:
            values[query_id][f"recall@{k}"] = _group_recall(wanted, ranking[:k])
    return values


def summarise(values: PerQuestion, query_ids: Iterable[str], seed: int) -> dict[str, Estimate]:
    """Return each metric's mean over these queries, with its interval."""
    rows = [values[query_id] for query_id in query_ids]
    return {
        metric: rate([row[metric] for row in rows])
        if metric in RATES
        else mean([row[metric] for row in rows], seed)
        for metric in METRICS
    }


def _group_recall(wanted: Groups, ranking: Sequence[str]) -> float:
    """Return the share of groups of which the ranking holds a chunk."""
    found = set(ranking)
    return sum(not found.isdisjoint(ids) for ids in wanted) / len(wanted) if wanted else 0.0
