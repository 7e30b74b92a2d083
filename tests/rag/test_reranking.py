import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.hits import Hit
from rag.reranking import rerank
from tests.conftest import make_chunks, make_document

TEXTS = [f"passage {letter}" for letter in "abcdefghij"]
CHUNKS = make_chunks(make_document("all.md", "\n\n".join(TEXTS)))
ALL_MS = 60_000.0


class ScriptedReranker:
    """A logit for each passage; notes the sizes of the batches."""

    def __init__(self, logits):
        self.logits = logits
        self.batches = []

    def score(self, question, passages):
        self.batches.append(len(passages))
        return np.array([self.logits[p[-1]] for p in passages], dtype=np.float32)


def hits(*scores, name="late"):
    return [
        Hit(CHUNKS[i], score, i + 1, "late", {name: score, "late_rank": i + 1})
        for i, score in enumerate(scores)
    ]


def letters(found):
    return "".join(hit.chunk.text[-1] for hit in found)


def test_the_logit_joins_the_weighted_scores():
    reranker = ScriptedReranker({"a": -1.0, "b": 4.0, "c": 0.0})
    found, cut = rerank(
        reranker, "q", hits(0.8, 0.7, 0.6), depth=3,
        weights={"late": 1.0, "cross_encoder": 0.1}, budget_ms=ALL_MS,
    )  # fmt: skip
    assert letters(found) == "bac"
    assert [hit.score for hit in found] == pytest.approx([0.7 + 0.4, 0.8 - 0.1, 0.6])
    assert [(hit.rank, hit.stage) for hit in found] == [(n, "reranked") for n in (1, 2, 3)]
    assert [hit.explain["cross_encoder"] for hit in found] == [4.0, -1.0, 0.0]
    assert cut == 0


def test_bm25_is_divided_by_its_best():
    found, _ = rerank(
        ScriptedReranker({"a": 0, "b": 0}), "q", hits(10.0, 5.0, name="bm25"), depth=2,
        weights={"bm25": 0.5}, budget_ms=ALL_MS,
    )  # fmt: skip
    assert [hit.score for hit in found] == pytest.approx([0.5, 0.25])


def test_what_is_below_the_depth_stays_below():
    reranker = ScriptedReranker({"a": -9.0, "b": -8.0})
    found, cut = rerank(
        reranker, "q", hits(0.9, 0.8, 0.7), depth=2,
        weights={"late": 1.0, "cross_encoder": 1.0}, budget_ms=ALL_MS,
    )  # fmt: skip
    assert letters(found) == "bac"
    assert found[2].score == found[1].score == pytest.approx(0.9 - 9.0)
    assert "cross_encoder" not in found[2].explain
    assert (reranker.batches, cut) == ([2], 0)


def test_a_spent_budget_cuts_after_the_first_batch_and_says_so():
    reranker = ScriptedReranker(dict.fromkeys("abcdefghij", 1.0))
    found, cut = rerank(
        reranker, "q", hits(*[0.5] * 10), depth=10, weights={"late": 1.0}, budget_ms=0.0
    )
    assert (reranker.batches, cut, len(found)) == ([4], 6, 10)
    assert letters(found) == "abcdefghij"


def test_nothing_to_rerank():
    assert rerank(ScriptedReranker({}), "q", [], depth=5, weights={}, budget_ms=1.0) == ((), 0)


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-12, 12)), max_size=10),
    st.integers(0, 10),
    st.floats(0, 2),
)
def test_every_hit_comes_out_once_in_the_order_of_its_score(scores, depth, weight):
    logits = {TEXTS[i][-1]: logit for i, (_, logit) in enumerate(scores)}
    found, cut = rerank(
        ScriptedReranker(logits), "q", hits(*(late for late, _ in scores)), depth=depth,
        weights={"late": 1.0, "cross_encoder": weight}, budget_ms=ALL_MS,
    )  # fmt: skip
    assert sorted(letters(found)) == sorted(logits)
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert cut == 0


def test_a_passage_without_questions_counts_as_its_own_question():
    explains = [
        {"late": 0.6, "dense": 0.5},
        {"late": 0.5, "dense": 0.5, "asked_late": 0.8, "asked": 0.7},
    ]
    found, _ = rerank(
        ScriptedReranker({}),
        "q",
        [Hit(CHUNKS[i], 0.0, i + 1, "late", explain) for i, explain in enumerate(explains)],
        depth=0,
        weights={"late": 1.0, "asked_late": 0.5, "asked": 1.0},
        budget_ms=ALL_MS,
    )
    assert [hit.score for hit in found] == pytest.approx([0.5 + 0.4 + 0.7, 0.6 + 0.3 + 0.5])
