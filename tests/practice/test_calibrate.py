"""Ladders: the level of an answer, and putting four answers in order."""

from __future__ import annotations

import pytest

from rag.practice.calibrate import options, order_score, plan, read_order
from rag.practice.errors import NothingFits, UnreadableAnswer
from rag.practice.scoring import level_range
from tests.practice.fakes import LADDER, PROBE, make_practice

LEVELS = ("L4", "L5", "L6", "L7")


def test_the_options_are_shuffled_and_the_same_for_the_same_seed():
    place, order = plan(LADDER, 3)
    assert place.kind == "probe" and order.kind == "order"
    assert place.attempt == order.attempt
    assert sorted(order.order) == list(LEVELS) and order.order != LEVELS
    assert plan(LADDER, 3)[1].order == order.order
    texts = {anchor.level: anchor.text for anchor in LADDER.anchors}
    assert options(order) == tuple(texts[level] for level in order.order)


def test_a_probe_without_levels_cannot_be_calibrated():
    with pytest.raises(NothingFits, match="choose a ladder"):
        plan(PROBE, 1)


@pytest.mark.parametrize("text", ["B A D C", "b, a, d, c", "badc", "B < A < D < C"])
def test_an_order_is_read_from_letters(text):
    (step,) = plan(LADDER, 1, "order")
    a, b, c, d = step.order
    assert read_order(step, text) == [b, a, d, c]


@pytest.mark.parametrize("text", ["", "A B C", "A A B C", "the first one"])
def test_an_order_that_is_none_is_refused_with_the_form(text):
    (step,) = plan(LADDER, 1, "order")
    with pytest.raises(UnreadableAnswer, match="each of A, B, C, D once"):
        read_order(step, text)


@pytest.mark.parametrize(
    ("given_", "share"),
    [
        (["L4", "L5", "L6", "L7"], 1.0),
        (["L7", "L6", "L5", "L4"], 0.0),
        (["L5", "L4", "L6", "L7"], 5 / 6),
        (["L5", "L4", "L7", "L6"], 4 / 6),
    ],
)
def test_an_order_scores_its_pairs(given_, share):
    assert order_score(given_, LEVELS) == pytest.approx(share)


@pytest.mark.parametrize(
    ("covered", "low", "high"),
    [
        ((), "L4", "L4"),
        (("l5",), "L5", "L5"),
        (("l5", "l6"), "L6", "L6"),
        (("l5", "l6", "l7"), "L7", "L7"),
        (("l6", "l7"), "L4", "L4"),  # a level counts only on top of those below
    ],
)
def test_a_level_stands_on_those_below(covered, low, high):
    found = level_range(LADDER.points, LADDER.anchors, dict.fromkeys(covered, "covered"))
    assert (found.low, found.high) == (low, high)
    assert "separating points" in found.basis


def test_a_half_said_point_puts_the_next_level_in_reach():
    found = level_range(LADDER.points, LADDER.anchors, {"l5": "partial"})
    assert (found.low, found.high) == ("L4", "L5")


def test_no_level_without_levelled_answers():
    assert level_range(PROBE.points, (), {}) is None


def test_a_calibration_reveals_the_ladder_at_its_end(tmp_path):
    practice = make_practice(tmp_path)
    session = practice.start("calibrate", seed=5)
    practice.answer(session.id, "a", "Several sources, Measured", turn=1)
    view = practice.view(session.id)
    assert view.attempts == () and view.turns[1].kind == "order"
    with pytest.raises(UnreadableAnswer):
        practice.answer(session.id, "b", "no letters", turn=2)
    shown = {anchor.text: anchor.level for anchor in LADDER.anchors}
    letters = sorted("ABCD", key=lambda c: shown[view.turns[1].options["ABCD".index(c)]])
    turn = practice.answer(session.id, "b", " ".join(letters), turn=2)
    assert turn.score == 1.0
    view = practice.view(session.id)
    assert view.state == "over"
    (feedback,) = view.attempts
    assert (feedback.level.low, feedback.level.high) == ("L6", "L6")
    assert [anchor.level for anchor in feedback.anchors] == list(LEVELS)
    assert feedback.first_score == pytest.approx(2 / 3)


def test_ordering_alone(tmp_path):
    practice = make_practice(tmp_path)
    session = practice.start("calibrate", exercise="order", seed=5)
    assert [turn.kind for turn in session.turns] == ["order"]
    practice.answer(session.id, "a", "A B C D")
    report = practice.report(session.id)
    assert report.attempts[0].first_score is not None
    assert report.recall is None
