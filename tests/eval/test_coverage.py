from __future__ import annotations

import pytest

from eval.cases import Case, GoldQuote
from eval.coverage import coverage_lines, measure_coverage

GOLD = (GoldQuote("a.md", "alfa"),)


def case(query_id: str, *facts: str) -> Case:
    return Case(query_id, query_id, True, (), GOLD, "", facts)


@pytest.fixture
def measure(make_pipeline, fakes):
    """Every question finds the first six words of two documents, of which five count."""
    words = "alfa beta gamma delta 300ms zeta".split()
    texts = {"a.md": " ".join(words[:3]), "b.md": " ".join(words[3:])}

    def run(*cases: Case) -> dict:
        pipeline = make_pipeline(texts, lambda question, stage: words[:5])
        result = measure_coverage(pipeline, fakes["token_embedder"], cases, seed=0)
        assert {(stage, k) for _, stage, k in pipeline.asked} == {("reranked", 5)}
        return result

    return run


def test_a_fact_counts_where_one_passage_has_its_terms(measure):
    result = measure(case("q1", "alfa", "zeta"), case("q2", "beta gamma"))
    assert result["per_question"] == {"q1": 0.5, "q2": 0.0}  # "gamma" stands in another passage
    assert (result["facts"], result["facts_found"]) == (3, 1)
    assert result["key_fact_share"]["value"] == 0.25
    alfa = result["findings"][0]
    assert (alfa["found"], alfa["terms"], alfa["rank"], alfa["doc"]) == (True, 1.0, 1, "a.md")
    assert alfa["similarity"] == pytest.approx(1.0, abs=0.02)


def test_one_term_of_three_is_not_enough(measure):
    assert measure(case("q", "about alfa gold silver"))["facts_found"] == 0
    assert measure(case("q", "alfa alfa"))["facts_found"] == 1


def test_the_numbers_must_be_there(measure):
    result = measure(case("q", "delta 300 ms", "300 ms", "400 ms"))
    assert [row["found"] for row in result["findings"]] == [False, True, False]
    assert result["findings"][2]["missing_numbers"] == ("0.4 s",)


def test_a_question_without_facts_is_not_averaged(measure):
    result = measure(case("q1", "alfa"), case("q2"))
    assert result["per_question"] == {"q1": 1.0}
    assert result["key_fact_share"]["n"] == 1


def test_the_report_lists_what_is_missing_and_ends_with_the_shares(measure):
    lines = coverage_lines(measure(case("q1", "alfa", "400 ms")))
    assert lines[0].startswith("missing: q1: 400 ms (nearest: ")
    assert "without 0.4 s" in lines[0]
    assert lines[1] == "key facts in the first 5 passages: 1 of 2, 0.500"
    assert lines[2] == "mean over 1 questions: 0.500 (0.000 to 1.000)"


def test_cases_without_facts_are_said_to_have_none(measure):
    assert coverage_lines(measure(case("q"))) == [
        "the cases have no key_facts: nothing to look for"
    ]
