from __future__ import annotations

from pathlib import Path

from eval.answers import Record, ask, auroc, causal_test, measure_answers, risk_coverage
from eval.cache import Cache
from eval.cases import Case, GoldQuote
from index.hits import Filters
from rag.answers import Answer
from rag.errors import RagError

SOURCES = {"k1": "alfa beta", "k2": "gamma", "k3": "delta"}
GOLD = (GoldQuote("a.md", "alfa"),)


def contains(claim: str, source: str) -> float:
    """A judge: every word of the claim stands in the source."""
    return float(set(claim.split()) <= set(source.split()))


def record(query_id: str, *sentences: tuple[str, list[str]], **changes) -> Record:
    """`sentences` are (text, chunk ids cited)."""
    citations = [
        {"id": f"{i}{chunk}", "chunk_id": chunk}
        for i, (_, chunks) in enumerate(sentences)
        for chunk in chunks
    ]
    written = [
        {"text": text, "citations": [f"{i}{chunk}" for chunk in chunks]}
        for i, (text, chunks) in enumerate(sentences)
    ]
    status = "answered" if sentences else "abstained"
    return Record(query_id, status, written, citations, sources=SOURCES, **changes)


def case(query_id: str, *facts: str) -> Case:
    return Case(query_id, f"{query_id}?", True, ("t",), GOLD, "", facts)


def measure(*pairs: tuple[Case, Record]):
    cases, records = zip(*pairs, strict=True)
    return measure_answers(cases, records, contains, seed=0)


def value(result, name: str):
    return result["figures"][name]["value"]


def test_citations_facts_and_faithfulness():
    result = measure(
        # Supported by k1 alone; k2 adds nothing and is an unprecise citation.
        (case("a", "alfa", "omega"), record("a", ("alfa beta", ["k1", "k2"]))),
        # Needs both passages together: both citations are needed.
        (case("b", "gamma"), record("b", ("alfa gamma", ["k1", "k2"]))),
        # Supported by a passage that is not cited: faithful, but not recalled.
        (case("c", "delta"), record("c", ("delta", ["k1"]))),
        # Supported by nothing.
        (case("d", "delta"), record("d", ("omega", ["k1"]))),
    )
    assert value(result, "citation recall") == 2 / 4
    assert value(result, "citation precision") == 3 / 6
    assert value(result, "faithfulness") == 3 / 4
    assert value(result, "hallucination rate") == 1 / 4
    assert value(result, "key-fact recall, of answered") == (0.5 + 1 + 1 + 0) / 4


def test_abstention_is_counted_on_both_sides():
    nobody = Case("u", "u?", False, ("near_miss",))
    result = measure(
        (case("a", "alfa"), record("a", ("alfa", ["k1"]), answerability=0.9)),
        (case("b", "alfa"), record("b", answerability=0.4)),
        (nobody, record("u", ("alfa", ["k1"]), answerability=0.5)),
    )
    assert value(result, "coverage") == 0.5
    assert value(result, "refused though answerable") == 0.5
    assert value(result, "answered though unanswerable") == 1.0
    assert value(result, "abstention AUROC") == 0.5
    assert value(result, "key-fact recall, of all answerable") == 0.5
    assert result["unanswerable_by_tag"]["near_miss"]["answered"]["n"] == 1


def test_unknown_labels_and_invalid_citations():
    rejected = [{"text": "x", "reason": "unknown label [9]"}]
    broken = record("a", ("alfa", ["k1"]), rejected=rejected, invalid=["c1: wrong"])
    result = measure((case("a", "alfa"), broken))
    assert value(result, "citation validity") == 0.0
    assert value(result, "citation validity before the checks") == 0.5
    assert result["rejected"] == {"unknown label": 1}


def test_nothing_answered_is_not_measured_instead_of_zero():
    result = measure((case("a", "alfa"), record("a")))
    assert value(result, "citation recall") is None
    assert value(result, "key-fact recall, of answered") is None


def test_risk_grows_with_wrong_answers_from_sure_to_unsure():
    rows = [
        {"answered": True, "answerability": 0.9, "answerable": True, "key_facts": 1.0},
        {"answered": True, "answerability": 0.5, "answerable": False, "key_facts": 0.0},
        {"answered": False, "answerability": 0.1, "answerable": True, "key_facts": 0.0},
    ]
    assert risk_coverage(rows) == [
        {"coverage": 1 / 3, "risk": 0.0},
        {"coverage": 2 / 3, "risk": 0.5},
    ]


def test_auroc_needs_both_labels():
    assert auroc([True, True], [0.1, 0.2], 0).value is None
    assert auroc([True, False], [0.9, 0.2], 0).value == 1.0


class Pipeline:
    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def answer(self, question: str, *, mode: str, filters: Filters) -> Answer:
        self.asked.append((question, tuple(filters.without)))
        if question == "broken?":
            raise RagError("no")
        return Answer(question, "abstained")

    def document(self, doc_id: str):
        return None


def test_answers_are_cached_and_a_failure_is_a_record(tmp_path: Path):
    cache, pipeline = Cache(tmp_path / "c.jsonl"), Pipeline()
    cases = [case("a"), case("broken")]
    records = ask(pipeline, cases, cache, "v1")
    assert [r.status for r in records] == ["abstained", "failed"]
    assert records[1].error == "RagError: no"
    ask(pipeline, cases, cache, "v1")
    assert len(pipeline.asked) == 2
    ask(pipeline, cases, cache, "v2")
    assert len(pipeline.asked) == 4


def test_the_causal_test_leaves_the_cited_chunks_out(tmp_path: Path):
    pipeline = Pipeline()
    outcome = causal_test(
        pipeline, [case("a")], [record("a", ("alfa", ["k1", "k2"]))],
        Cache(tmp_path / "c.jsonl"), "v", contains,
    )  # fmt: skip
    assert outcome == {"n": 1, "abstains": 1}
    assert pipeline.asked == [("a?", ("k1", "k2"))]
