from __future__ import annotations

import math

import pytest

from eval.retrieval_metrics import METRICS, per_question, summarise

A, B, C = frozenset({"a"}), frozenset({"b", "b2"}), frozenset({"c"})


def test_values_by_hand():
    values = per_question({"q": (A, B)}, {"q": ["x", "a", "y", "z", "w", "b2"]})["q"]
    dcg = 1 / math.log2(3) + 1 / math.log2(7)  # ranks 2 and 6
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)  # three relevant chunks
    assert values == pytest.approx(
        {
            "hit@1": 0, "hit@5": 1, "hit@10": 1,
            "recall@5": 0.5, "recall@10": 1, "recall@20": 1,
            "mrr@10": 0.5, "ndcg@10": dcg / ideal,
        }
    )  # fmt: skip
    assert tuple(values) == METRICS


def test_recall_counts_groups_not_chunks():
    # b and b2 are one place: finding both is half of two groups, finding one is the same half.
    assert per_question({"q": (A, B)}, {"q": ["b", "b2"]})["q"]["recall@5"] == 0.5
    assert per_question({"q": (A, B)}, {"q": ["b"]})["q"]["recall@5"] == 0.5


def test_rank_ten_counts_and_rank_eleven_does_not():
    filler = [f"x{i}" for i in range(10)]
    tenth = per_question({"q": (C,)}, {"q": [*filler[:9], "c"]})["q"]
    eleventh = per_question({"q": (C,)}, {"q": [*filler, "c"]})["q"]
    assert (tenth["hit@10"], tenth["mrr@10"]) == (1.0, pytest.approx(0.1))
    assert (eleventh["hit@10"], eleventh["mrr@10"], eleventh["recall@20"]) == (0, 0, 1)


@pytest.mark.parametrize("run", [{}, {"q": []}, {"q": ["x"]}])
def test_a_query_without_hits_counts_zero(run):
    assert per_question({"q": (A,)}, run)["q"] == dict.fromkeys(METRICS, 0.0)


def test_a_query_whose_quotes_are_missing_counts_zero():
    values = per_question({"q": (frozenset(),), "r": (A, frozenset())}, {"q": ["a"], "r": ["a"]})
    assert values["q"] == dict.fromkeys(METRICS, 0.0)
    assert values["r"]["hit@1"] == 1
    assert values["r"]["recall@20"] == 0.5


def test_order_decides_not_the_chunk_id():
    # trec_eval breaks ties by id; with score = -rank there are none.
    assert per_question({"q": (A,)}, {"q": ["z", "a"]})["q"]["mrr@10"] == 0.5
    assert per_question({"q": (A,)}, {"q": ["a", "z"]})["q"]["mrr@10"] == 1.0


def test_summary_is_the_mean_over_the_named_queries():
    values = per_question({"q": (A,), "r": (C,), "s": (A,)}, {"q": ["a"], "r": ["x", "c"]})
    everything = summarise(values, values, seed=0)
    assert everything["hit@1"].value == pytest.approx(1 / 3)
    assert everything["mrr@10"].value == pytest.approx(0.5)
    assert everything["mrr@10"].n == everything["hit@1"].n == 3
    assert summarise(values, ["r", "q"], seed=0)["mrr@10"].value == pytest.approx(0.75)
