"""The mock interview: clock, plan, clarifying dialogue, time that runs out."""

from __future__ import annotations

import dataclasses

import pytest

from rag.practice import mock
from rag.practice.bank import Phase, PhaseClock
from rag.practice.choosing import Wanted
from rag.practice.clarifying import CLARIFYING_ROUNDS, GO_ON, UNKNOWN, questions_in
from rag.practice.errors import AttemptOpen, NothingFits
from tests.practice.fakes import BANK, CLOCK, FakeClock, make_practice, span

ALL = "Fanout Replicas Calibration Sharding Shedding 5 billion a day, 58k QPS, 174k QPS"


def phases(*names: str) -> PhaseClock:
    return PhaseClock(
        "c", tuple(Phase(n, 60 * i, 60 * i + 60, "", "") for i, n in enumerate(names)), span()
    )


def test_a_shorter_interview_is_the_same_clock_scaled():
    clock = mock.choose_clock(BANK, "", 9.0)
    assert mock.total(clock) == 540
    assert [(p.start, p.end) for p in clock.phases[:2]] == [(0, 60), (60, 120)]
    assert mock.choose_clock(BANK, "", None) == CLOCK


def test_a_clock_is_chosen_by_id_and_an_unknown_one_names_the_known():
    assert mock.choose_clock(BANK, "clock", None) == CLOCK
    with pytest.raises(NothingFits, match="the corpus has: clock"):
        mock.choose_clock(BANK, "nope", None)


def test_without_a_clock_in_the_corpus_a_built_in_one_is_used_and_said(tmp_path):
    practice = make_practice(tmp_path, bank=dataclasses.replace(BANK, clocks=()))
    view = practice.start("mock", seed=1)
    assert view.total_s == 45 * 60
    assert any("built-in" in notice for notice in view.notices)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("Clarify", "Requirements and estimate", "High-level architecture", "Deep dive",
             "Trade-offs and failure modes", "Follow-ups"),
            (0, 1, 2, 3, 4, 4, 5),
        ),
        (
            ("Clarify", "Capacity", "API and architecture", "Deep dive",
             "Evaluation, monitoring, gotchas"),
            (0, 1, 2, 3, 4, 4, 4),
        ),
        (
            ("Clarify", "Architecture", "Deep dive", "Infrastructure and evaluation",
             "Gotchas and close"),
            (0, 0, 1, 2, 3, 4, 4),
        ),
        (("Everything",), (0, 0, 0, 0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_the_parts_find_their_phase_in_every_clock(names, expected):
    clock = phases(*names)
    found = [clock.phases.index(phase) for phase in mock.phases_of(clock).values()]
    assert tuple(found) == expected


def test_the_plan_has_all_parts_in_order():
    title, steps = mock.plan(BANK, Wanted(), CLOCK, seed=3)
    assert title == "Design a social feed" or title == "Feeds"
    assert [step.phase for step in steps] == [
        "Clarify", "Estimate", "Architecture", "Deep dive", "Deep dive", "Deep dive",
        "Trade-offs and failure modes", "Trade-offs and failure modes", "Close",
    ]  # fmt: skip
    assert [step.kind for step in steps if step.phase == "Close"] == ["talk"]
    assert [step.optional for step in steps if step.phase == "Deep dive"] == [False, True, True]
    assert mock.plan(BANK, Wanted(), CLOCK, seed=3)[1] == steps
    assert sum(s.probe is not None and s.probe.id == "curve" for s in steps) == 1


def test_no_point_is_asked_for_twice():
    for seed in range(20):
        _, steps = mock.plan(BANK, Wanted(), CLOCK, seed)
        points = [point.id for step in steps if step.probe for point in step.probe.points]
        assert len(points) == len(set(points))


def test_a_short_interview_has_two_deep_dives():
    _, steps = mock.plan(BANK, Wanted(), mock.scale(CLOCK, 10), seed=3)
    assert sum(step.phase == "Deep dive" for step in steps) == 2


def test_a_wish_that_nothing_fits_is_said():
    with pytest.raises(NothingFits, match="topic 'quantum'"):
        mock.plan(BANK, Wanted(topic="quantum"), CLOCK, 1)


def test_questions_are_told_from_statements():
    text = "I see. What is the scale?\n- latency budget?\nwhich users. We go on."
    assert questions_in(text) == ["What is the scale?", "latency budget?", "which users."]


def test_the_interviewer_answers_from_the_corpus_or_leaves_it_open(tmp_path):
    practice = make_practice(tmp_path, floor=0.9)
    session = practice.start("mock", topic="feed", seed=1)
    turn = practice.answer(
        session.id, "a", "What is the latency budget? Who pays for lunch?", turn=1
    )
    assert "under 200 ms" in turn.reply and UNKNOWN in turn.reply
    assert "light ranker" not in turn.reply  # what an answer changes is for the candidate to say
    view = practice.view(session.id)
    assert view.turns[1].kind == "clarify"
    turn = practice.answer(session.id, "b", "Fine, I assume the rest. Let us go on.", turn=2)
    assert turn.reply == GO_ON
    assert practice.view(session.id).turns[2].kind == "estimate"


def test_clarifying_rounds_come_to_an_end(tmp_path):
    practice = make_practice(tmp_path)
    session = practice.start("mock", seed=1)
    for n in range(1, CLARIFYING_ROUNDS + 1):
        practice.answer(session.id, f"c{n}", "And why?", turn=n)
    assert practice.view(session.id).turns[-1].kind == "estimate"


def walk(practice, session_id: str, text: str, seconds: float, clock: FakeClock) -> list[str]:
    """Answer everything with the same text; returns the phases in order."""
    view = practice.view(session_id)
    while view.state == "asking":
        clock.tick(seconds)
        practice.answer(session_id, f"c{view.open_turn}", text, turn=view.open_turn)
        view = practice.view(session_id)
    return [turn.phase for turn in view.turns]


def test_a_whole_interview_ends_with_its_report(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    session = practice.start("mock", seed=3)
    assert session.feedback == "end"  # whatever was asked for
    walked = walk(practice, session.id, ALL, 60, clock)
    assert walked[0] == "Clarify" and walked[-1] == "Close"
    report = practice.report(session.id)
    assert report.mode == "mock"
    assert {phase.name: phase.target_s for phase in report.phases}["Deep dive"] == 900
    assert "silent" not in [flag.text for flag in report.flags]
    assert any(flag.text.startswith("monitoring") for flag in report.flags)  # never said


def test_a_phase_without_time_drops_follow_ups_and_optional_questions(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    session = practice.start("mock", seed=3)
    walked = walk(practice, session.id, "let us go on", 420, clock)
    # 7 minutes a turn: 7, 14, 21 (architecture is over), 28 a dive, 35 its follow-up or the next
    assert walked.count("Deep dive") <= 3
    assert len(walked) <= 7  # 45 minutes


def test_the_interview_ends_when_its_time_is_up(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    session = practice.start("mock", seed=3, minutes=10)
    assert session.total_s == 600
    clock.tick(601)
    practice.answer(session.id, "late", "I would begin with", turn=1)
    view = practice.view(session.id)
    assert view.state == "over" and len(view.turns) == 1
    assert view.turns[0].answer == "I would begin with"


def test_nothing_is_revealed_before_the_end(tmp_path):
    practice = make_practice(tmp_path)
    session = practice.start("mock", seed=3)
    with pytest.raises(AttemptOpen, match="at the end"):
        practice.reveal(session.id, 1)
    with pytest.raises(AttemptOpen):
        practice.report(session.id)
    with pytest.raises(AttemptOpen):
        practice.ask(session.id, "what should I say?")
    for _ in range(3):
        practice.hint(session.id, 1)
    with pytest.raises(AttemptOpen):
        practice.hint(session.id, 1)


def test_the_interview_needs_a_minute():
    with pytest.raises(NothingFits, match="--minutes"):
        mock.scale(CLOCK, 0.0)
