import math

import pytest

from index.hits import Hit
from rag.abstention import YES_OR_NO, answerability, logit, with_opinions
from tests.conftest import make_chunks, make_document

DOCUMENT = make_document("bias.md", "Position bias inflates clicks.\n\nKafka keeps the log.")
FIRST, SECOND = make_chunks(DOCUMENT)


def hit(chunk=FIRST, **explain):
    return Hit(chunk, 1.0, 1, "reranked", explain)


def logistic(z):
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(
    ("question", "hits", "z"),
    [
        ("what is bias?", [hit(dense=0.8, cross_encoder=2.0)], -1.48 + 7.3 * 0.8),
        ("what is bias?", [hit(bm25=9.0)], -1.48),
        ("what is bias?", [hit(dense=0.5), hit(SECOND, dense=0.9)], -1.48 + 7.3 * 0.9),
        (
            "what is bias?",
            [hit(dense=0.7, asked_late=0.8), hit(SECOND, dense=0.5, asked_late=0.9)],
            -23.45 + 10.39 * 0.7 + 24.67 * 0.9,
        ),
        (
            "how does Flink differ from Kafka?",
            [hit(SECOND, dense=0.8, cross_encoder=0.0)],
            -1.48 + 7.3 * 0.8 - 3.62,
        ),
    ],
)
def test_the_logistic_model(question, hits, z):
    assert answerability(question, hits) == pytest.approx(logistic(z))


def test_nothing_found_is_not_answerable():
    assert answerability("what is bias?", []) == 0.0


def test_only_the_best_five_hits_can_hold_a_name():
    hits = [hit(dense=0.8)] * 5 + [hit(SECOND, dense=0.8)]
    assert answerability("what keeps Kafka?", hits) < answerability("what keeps a log?", hits)


def judged(prior, *yes, number_missing=False):
    opinions = [logit(p) for p in yes]
    return with_opinions(prior, opinions, YES_OR_NO, number_missing=number_missing)


def test_an_opinion_moves_the_answerability_its_way():
    low, middle, high = (judged(0.6, opinion) for opinion in (0.0, 0.5, 1.0))
    assert 0 < low < middle < high < 1
    assert judged(0.3, 0.5) < middle
    assert judged(0.6) == 0.6
    assert judged(0.6, 0.9, 0.9, 0.9) > judged(0.6, 0.9, 0.9, 0.1)
    assert judged(0.6, 0.9, number_missing=True) < judged(0.6, 0.9)


def test_no_opinion_is_certain():
    assert with_opinions(0.6, [1e9], YES_OR_NO, number_missing=False) == judged(0.6, 1.0)
