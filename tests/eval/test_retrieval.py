from __future__ import annotations

import pytest

from eval.cases import Case, GoldQuote
from eval.retrieval import measure_retrieval, percentiles

TEXTS = {"a.md": "alfa beta gama", "b.md": "zeta"}
CASES = [
    Case("q1", "first", True, ("easy", "both"), (GoldQuote("a.md", "alfa"),)),
    Case(
        "q2", "second", True, ("both",), (GoldQuote("a.md", "beta"), GoldQuote("b.md", "zeta", 1))
    ),
]


def ranker(question: str, stage: str) -> list[str]:
    if stage == "bm25":
        return ["gama"]
    return {"first": ["alfa"], "second": ["gama", "beta"]}.get(question, [])


def test_stages_tags_and_values(make_pipeline):
    report = measure_retrieval(make_pipeline(TEXTS, ranker), CASES, seed=0).to_dict()
    assert list(report["stages"]) == ["bm25", "dense", "late", "fused", "reranked"]
    assert report["stages"]["bm25"]["hit@10"]["value"] == 0
    assert report["stages"]["late"]["hit@1"]["value"] == 0.5
    assert report["stages"]["late"]["hit@1"]["n"] == 2
    assert report["stages"]["late"]["mrr@10"]["value"] == 0.75  # ranks 1 and 2
    assert report["stages"]["late"]["recall@10"]["value"] == 0.75  # one of one, one of two
    assert list(report["tags"]) == ["both", "easy"]
    assert report["tags"]["easy"]["late"]["mrr@10"]["value"] == 1
    assert report["tags"]["both"]["late"]["hit@5"]["n"] == 2
    assert report["per_question"]["late"]["q2"]["mrr@10"] == 0.5
    assert report["failed"] == 0
    assert report["missing_quotes"] == []


def test_every_call_is_timed_but_the_first_of_a_stage(make_pipeline):
    pipeline, ticks = make_pipeline(TEXTS, ranker), []
    report = measure_retrieval(
        pipeline, CASES, seed=0, stages=("late",), advance=lambda: ticks.append(1)
    )
    assert [question for question, _, _ in pipeline.asked][1:] == ["first", "second"]
    assert {k for _, _, k in pipeline.asked} == {20}
    assert len(ticks) == 2
    assert report.latency_ms["late"]["p50"] <= report.latency_ms["late"]["p95"]


def test_a_failed_question_counts_zero_and_is_listed(make_pipeline):
    broken = Case("q3", "broken", True, (), (GoldQuote("a.md", "alfa"),))
    report = measure_retrieval(
        make_pipeline(TEXTS, ranker), [*CASES, broken], seed=0, stages=("late",)
    ).to_dict()
    assert report["failed"] == 1
    assert report["failures"] == [
        {"query_id": "q3", "stage": "late", "error": "RagError: the question broke it"}
    ]
    assert report["stages"]["late"]["hit@5"]["value"] == pytest.approx(2 / 3)
    assert report["stages"]["late"]["hit@5"]["n"] == 3


def test_degraded_retrievals_are_counted(make_pipeline):
    report = measure_retrieval(make_pipeline(TEXTS, ranker), CASES, seed=0)
    assert report.degraded == {"reranked": {"reranker": 2}}


def test_a_missing_quote_is_reported(make_pipeline):
    lost = Case("q4", "first", True, (), (GoldQuote("c.md", "alfa"),))
    report = measure_retrieval(make_pipeline(TEXTS, ranker), [lost], seed=0).to_dict()
    assert report["missing_quotes"] == [
        {
            "query_id": "q4",
            "doc": "c.md",
            "quote": "alfa",
            "reason": "no such document in the index",
        }
    ]
    assert report["stages"]["late"]["hit@10"] == {
        "value": 0,
        "low": 0.0,
        "high": pytest.approx(0.7934, abs=1e-4),
        "n": 1,
    }


def test_percentiles_by_hand():
    assert percentiles([10.0, 20.0, 30.0]) == {"p50": 20.0, "p95": 29.0}
    assert percentiles([]) == {"p50": None, "p95": None}
