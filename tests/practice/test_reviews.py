"""Spaced repetition: buttons, dates, cards over points missed twice."""

from __future__ import annotations

import fsrs
import pytest

from rag.practice.errors import NothingDue
from rag.practice.reviews import button
from tests.practice.fakes import MEMORY, PROBE, FakeClock, make_practice

DAY = 86_400.0


@pytest.mark.parametrize(
    ("score", "hints", "rating"),
    [
        (0.0, 0, "Again"), (0.39, 0, "Again"), (0.4, 0, "Hard"), (0.69, 0, "Hard"),
        (0.7, 0, "Good"), (0.89, 0, "Good"), (0.9, 0, "Easy"), (1.0, 0, "Easy"),
        (1.0, 1, "Hard"), (0.7, 2, "Hard"), (0.39, 1, "Again"),
    ],
)  # fmt: skip
def test_the_first_answer_chooses_the_button(score, hints, rating):
    assert button(score, hints) is fsrs.Rating[rating]


def drill(practice, text: str, *, hints: int = 0) -> str:
    session = practice.start("drill", probe_id="feed", seed=1)
    for _ in range(hints):
        practice.hint(session.id, 1)
    practice.answer(session.id, "first", text, turn=1)
    practice.end(session.id)
    return session.id


@pytest.mark.parametrize(
    ("text", "hints", "days"),
    [("Quantised Backfill", 0, 8), ("Quantised Backfill", 1, 1), ("nothing", 0, 1)],
)  # Easy, Hard, Again: the scheduler's own first intervals
def test_a_drill_makes_a_card_with_a_date(tmp_path, text, hints, days):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    drill(practice, text, hints=hints)
    assert practice.due(clock.now + (days - 0.5) * DAY) == []
    (card,) = practice.due(clock.now + (days + 0.5) * DAY)
    assert card.probe_id == "feed" and card.prompt == PROBE.prompt
    assert card.last_score == (0.0 if text == "nothing" else 1.0)


def test_a_skipped_probe_makes_no_card_and_a_revealed_one_does(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    practice.skip(practice.start("drill", probe_id="feed").id, 1)
    assert practice.due(clock.now + 99 * DAY) == []
    practice.reveal(practice.start("drill", probe_id="feed").id, 1)
    (card,) = practice.due(clock.now + 2 * DAY)
    assert card.last_score == 0.0


def test_the_raw_score_and_the_button_are_logged(tmp_path):
    practice = make_practice(tmp_path)
    session_id = drill(practice, "Quantised")
    with practice._store.transaction(write=False) as db:
        (log,) = db.reviews("probe:feed")
    assert (log.raw_score, log.rating, log.session_id) == (0.5, 2, session_id)


def test_a_point_missed_twice_gets_a_card_of_its_own(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    drill(practice, "Backfill")
    with practice._store.transaction(write=False) as db:
        assert [card.key for card in db.cards()] == ["probe:feed"]
    drill(practice, "Backfill")
    with practice._store.transaction(write=False) as db:
        cards = {card.key: card for card in db.cards()}
    assert set(cards) == {"probe:feed", "point:p-memory"}
    assert cards["point:p-memory"].probe.points == (MEMORY,)


def test_two_cards_with_a_point_in_common_are_not_due_together(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    drill(practice, "Backfill")
    drill(practice, "Backfill")
    clock.tick(90 * DAY)
    assert len(practice.due()) == 1


def test_a_review_asks_what_is_due_and_waits_between_attempts(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    with pytest.raises(NothingDue, match="do a drill"):
        practice.start("review")
    drill(practice, "nothing")
    practice.reveal(practice.start("drill", probe_id="dive-1").id, 1)
    clock.tick(2 * DAY)
    session = practice.start("review", seed=1)
    assert session.questions_planned == 2
    practice.answer(session.id, "a", "Quantised Backfill", turn=1)
    view = practice.view(session.id)
    assert view.state == "between" and view.open_turn is None
    assert [a.attempt for a in view.attempts] == [1]
    assert practice.ask(session.id, "why?").text == "about why?"
    clock.tick(600)
    view = practice.go_on(session.id)
    assert view.open_turn == 2 and view.turns[1].asked_at == clock.now
    assert practice.go_on(session.id).open_turn == 2  # asks nothing twice
    practice.answer(session.id, "b", "Calibration", turn=2)
    assert practice.view(session.id).state == "over"
    assert practice.due() == []


def test_the_review_of_a_point_says_what_kind_it_is_not_what(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    drill(practice, "Backfill")
    drill(practice, "Backfill")
    session = practice.start("drill", probe_id="feed", seed=1)
    practice.answer(session.id, "x", "Quantised Backfill Hedging", turn=1)  # moves the probe's card
    practice.end(session.id)
    clock.tick(2 * DAY)
    session = practice.start("review", seed=1)
    (turn,) = session.turns
    assert PROBE.prompt in turn.prompt and "inside" in turn.prompt
    assert "memory" not in turn.prompt
    practice.answer(session.id, "a", "Quantised", turn=1)
    (feedback,) = practice.view(session.id).attempts
    assert feedback.first_score == 1.0


def test_an_override_moves_the_date_as_if_it_had_been_right_at_once(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    session = practice.start("drill", probe_id="feed", seed=1)
    practice.answer(session.id, "a", "Quantised", turn=1)  # 1 of 2: Hard, a day
    practice.end(session.id)
    clock.tick(3600)
    practice.override(session.id, 1, "p-history", True)  # 2 of 2: Easy, eight days
    assert practice.due(clock.now + 6 * DAY) == []
    (card,) = practice.due(clock.now + 9 * DAY)
    assert card.last_score == 1.0
    with practice._store.transaction(write=False) as db:
        assert len(db.reviews("probe:feed")) == 1
