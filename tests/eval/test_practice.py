from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eval import practice_fit
from eval.practice import (
    Mark,
    Marked,
    calibration_error,
    cut_answers,
    macro_f1,
    mark_answers,
    measure,
    quality,
    with_made_answers,
)
from eval.practice_cases import GoldPoint, GradedAnswer, PracticeCase
from eval.practice_fit import Sample, fit, logistic, thresholds, to_toml, without_phrasings
from eval.practice_methods import baselines, best_thresholds, fit_samples
from rag.practice.features import PHRASED_SIGNS, SIGNS
from tests.conftest import FakeEmbedder, FakeReranker, FakeTokenEmbedder

POINTS = (
    GoldPoint("p1", "cache the head", "vital", "The head is cached."),
    GoldPoint("p2", "shard by user", "vital", "Users have shards."),
    GoldPoint("p3", "watch lag", "okay", "Lag is watched."),
)
WEAK = GradedAnswer("weak", "one two three four five six", ())
GOOD = GradedAnswer("good", "we cache the head and more", ("p1",))
STRONG = GradedAnswer(
    "strong", "we cache the head, shard by user and watch lag", ("p1", "p2", "p3")
)
WRONG = GradedAnswer("wrong", "nobody should cache the head at all, I think", ())
STUFFED = GradedAnswer("stuffed", "cache, head, shard", ())
CASE = PracticeCase("c1", "How?", ("a.md",), POINTS, (WEAK, GOOD, STRONG, WRONG, STUFFED))
OTHER = PracticeCase("c2", "Why?", ("a.md",), POINTS[:1], (WEAK, STRONG))


def oracle(case, text):
    """Right about everything, except that it believes `wrong`."""
    marks = {p.id: Mark(float(p.text in text), p.text in text) for p in case.points}
    return marks, sum(mark.covered for mark in marks.values()) / len(marks)


def test_macro_f1_by_hand():
    answer = GradedAnswer("good", "", ("p1", "p2"))
    said = {"p1": Mark(1, True), "p2": Mark(0, False), "p3": Mark(0, False)}
    # Covered: 1 hit, 0 false, 1 missed: 2/3. Not covered: 1 hit, 1 false, 0 missed: 2/3.
    assert macro_f1([Marked(CASE, answer, said, 0.5)]) == pytest.approx(2 / 3)


def test_calibration_error_by_hand():
    said = {"p1": Mark(0.9, True), "p2": Mark(0.9, True), "p3": Mark(0.2, False)}
    marked = [Marked(CASE, GradedAnswer("good", "", ("p1",)), said, 0.5)]
    assert calibration_error(marked) == pytest.approx((abs(1.8 - 1) + 0.2) / 3)


def test_quality_is_the_share_of_vital_points():
    assert [quality(CASE, answer) for answer in (WEAK, GOOD, STRONG)] == [0, 0.5, 1]


def test_answers_are_cut_to_the_shortest_honest_one():
    cut = cut_answers([CASE])
    assert [answer.level for _, answer in cut] == ["weak", "good", "strong", "wrong"]
    assert {len(answer.text.split()) for _, answer in cut} == {6}
    assert cut[2][1].covers == STRONG.covers  # as its writer labelled the whole


def test_an_echo_a_recital_and_a_foreign_answer_are_made_for_each_probe():
    made = [(c.id, a) for c, a in with_made_answers([CASE, OTHER]) if a not in c.answers]
    assert [(id_, answer.level) for id_, answer in made] == [
        ("c1", "echo"), ("c1", "recited"), ("c1", "other probe"),
        ("c2", "echo"), ("c2", "recited"), ("c2", "other probe"),
    ]  # fmt: skip
    assert made[1][1].text == "The head is cached. Lag is watched."
    assert made[1][1].covers == ("p1", "p3")
    assert made[0][1].covers == ()


def test_figures_by_hand():
    whole = mark_answers(oracle, with_made_answers([CASE]))
    figures = measure(whole, mark_answers(oracle, cut_answers([CASE])), seed=0)
    assert figures["coverage_macro_f1_honest"]["value"] == 1
    assert figures["false_cover_rate"]["value"] == pytest.approx(1 / 6)  # "cache the head"
    assert figures["false_cover_rate wrong"]["value"] == pytest.approx(1 / 3)
    assert figures["false_cover_rate stuffed"]["value"] == 0
    assert figures["covered_recall"]["value"] == 1
    assert figures["covered_precision"]["value"] == pytest.approx(4 / 5)
    assert figures["quotes_verbatim"]["value"] is None  # nothing was quoted
    # Cut to six words, good and strong say one point, weak none, and wrong is believed.
    assert figures["spearman_equal_length_honest"]["value"] == pytest.approx(np.sqrt(3) / 2)
    assert figures["pairwise_equal_length"]["value"] == pytest.approx((1 + 1 + 0.5 + 0.5 + 0.5) / 5)
    assert json.dumps(figures, allow_nan=False)


def test_word_count_orders_nothing_at_equal_length():
    methods = baselines(FakeEmbedder())
    assert list(methods) == ["word_count", "tfidf", "cosine"]
    cut = mark_answers(methods["word_count"], cut_answers([CASE]))
    assert measure(cut, cut, seed=0)["spearman_equal_length"]["value"] == 0


def test_baselines_find_the_sentence_with_the_points_words():
    methods = baselines(FakeEmbedder(), {"word_count": 5, "tfidf": 0.5, "cosine": 0.8})
    for name in ("tfidf", "cosine"):
        marks, _ = methods[name](CASE, "We said hello. Cache the head. Bye.")
        assert [mark.covered for mark in marks.values()] == [True, False, False]
    assert set(best_thresholds([CASE], FakeEmbedder())) == set(methods)


def sample(probe, covered, late, level="good"):
    values = tuple(late if name == "late" else 0.0 for name in SIGNS)
    return Sample(probe, level, covered, values)


def test_a_weight_never_gets_the_sign_that_it_must_not_have():
    backwards = [sample("a", late < 0.5, late) for late in (0.1, 0.2, 0.3, 0.7, 0.8, 0.9)]
    _, weights = logistic(backwards)
    assert weights[0] == 0
    _, weights = logistic([sample("a", late > 0.5, late) for late in (0.1, 0.2, 0.8, 0.9)])
    assert weights[0] > 0


def test_thresholds_keep_false_covers_rare():
    samples = [sample("a", True, 1)] * 5 + [sample("a", False, 1, "wrong")] * 10
    probability = np.array([0.5, 0.6, 0.7, 0.75, 0.75] + [0.55] * 2 + [0.1] * 8)
    covered_from, unsure_from = thresholds(samples, probability, ("wrong",))
    assert (probability[5:] >= covered_from).mean() <= practice_fit.MAX_FALSE_COVER
    assert 0.55 < covered_from <= 0.6
    assert unsure_from < covered_from


def test_a_fit_becomes_a_readable_file():
    samples = [sample(p, late > 0.5, late) for p in "abc" for late in (0.1, 0.3, 0.8, 0.9)]
    samples.append(Sample("a", "stuffed", False, None))
    import tomllib

    more = [replace(s, values=s.values and (*s.values, *[0.0] * 4)) for s in samples]
    assert without_phrasings(more) == samples
    text = to_toml(fit(samples, ("stuffed",)), fit(more, ("stuffed",)), "A note.")
    stored = tomllib.loads(text)
    assert set(stored["plain"]["weights"]) == set(SIGNS)
    assert set(stored["phrased"]["weights"]) == {*SIGNS, *PHRASED_SIGNS}
    for model in (stored["plain"], stored["phrased"]):
        assert model["unsure_from"] < model["covered_from"]


def test_samples_are_the_labelled_answers_and_a_recital():
    samples = fit_samples([CASE], FakeEmbedder(), FakeTokenEmbedder(), FakeReranker())
    assert len(samples) == 3 * 6
    assert {s.level for s in samples} == {"weak", "good", "strong", "wrong", "stuffed", "recited"}
    assert all(s.values is None or len(s.values) == len(SIGNS) for s in samples)
