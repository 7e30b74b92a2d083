from __future__ import annotations

import dataclasses

import pytest

from eval.bench import (
    TARGETS,
    beside_targets,
    heading_questions,
    invalid_citations,
    measure_answers,
    measured_search,
    peak_memory_gb,
)
from eval.cases import Case, GoldQuote
from eval.errors import BenchError
from eval.retrieval import measure_retrieval


@pytest.fixture
def pipeline(make_pipeline):
    return make_pipeline({"a.md": "alfa beta"}, lambda question, stage: ["alfa"])


def test_a_citation_must_quote_the_document_from_a_chunk_of_the_prompt(pipeline, make_answer):
    good = make_answer(pipeline, "q", "beta")
    shifted = make_answer(pipeline, "q", "beta", start=4, end=8)
    foreign = make_answer(pipeline, "q", "beta", chunk_id="alfa")
    unknown = make_answer(pipeline, "q", "beta", doc_id="z.md")
    assert invalid_citations(good, pipeline.document) == []
    assert invalid_citations(shifted, pipeline.document) == ["'q' c1: not the text at its offsets"]
    assert "not in the prompt" in invalid_citations(foreign, pipeline.document)[0]
    assert "not the text" in invalid_citations(unknown, pipeline.document)[0]


def test_answers_are_timed_and_their_citations_checked(pipeline, make_answer):
    written = dataclasses.replace(make_answer(pipeline, "q1", "alfa"), timings_ms={"llm": 1.0})
    refused = dataclasses.replace(written, status="abstained", sentences=(), citations=())
    untried = dataclasses.replace(refused, timings_ms={}, degraded=("reranker",))
    bad = make_answer(pipeline, "q4", "beta", quote="wrong")
    pipeline.answers = {"q1": written, "q2": refused, "q3": untried, "q4": bad}
    log = measure_answers(pipeline, ["q1", "q3", "q2", "q4"], with_llm=2)
    # Abstentions are not timed as extractive answers; q3 never reached the LLM, q4 was not needed.
    assert (len(log.extractive_ms), len(log.whole_s), len(log.first_sentence_s)) == (2, 2, 1)
    assert log.outcomes["llm: answered"] == 1
    assert log.outcomes["llm: abstained"] == 2
    assert log.outcomes["llm: degraded by reranker"] == 1
    assert log.outcomes["llm: no sentence kept"] == 1
    assert log.citations == 3  # two of q1, one of q4
    assert log.invalid == ["'q4' c1: not the text at its offsets"]
    assert log.measured()["valid citations"] == (pytest.approx(2 / 3), 3)


def test_search_is_read_from_the_report(pipeline):
    cases = [Case("q", "?", True, (), (GoldQuote("a.md", "alfa"),))]
    report = measure_retrieval(pipeline, cases, seed=0, stages=("late", "reranked"))
    measured = measured_search(report)
    assert measured["hit@5"] == (1.0, 1)
    assert measured["MRR@10"] == (1.0, 1)
    assert measured["search with cross-encoder, p95"][1] == 1
    assert set(measured) <= set(TARGETS)


def test_targets_are_met_or_not():
    rows = beside_targets(
        {
            "hit@5": (0.76, 51),
            "MRR@10": (0.64, 51),
            "rag --help, median": (0.6, 3),
            "valid citations": (None, 0),
            "extractive answer, p50": (1.0, 5),
        }
    )
    met = {name: row["met"] for name, row in rows.items()}
    assert met == {
        "rag --help, median": False,  # the target is "under"
        "hit@5": True,
        "MRR@10": False,
        "extractive answer, p50": None,
        "valid citations": None,
    }
    assert rows["hit@5"]["relation"] == ">="


def test_without_cases_the_headings_are_asked_about(make_pipeline):
    pipeline = make_pipeline({"a.md": "alfa beta gama zeta"}, lambda question, stage: [])
    assert heading_questions(pipeline.chunks(), n=2) == [
        "What should I know about About alfa?",
        "What should I know about About gama?",
    ]
    with pytest.raises(BenchError, match="--cases"):
        heading_questions([])


def test_peak_memory_is_that_of_a_python_with_numpy():
    assert 0.02 < peak_memory_gb() < 20
