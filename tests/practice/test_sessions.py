"""The state machine: turns, follow-ups, hints, two clients, nothing given away."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.bm25 import terms
from rag.errors import LLMError
from rag.practice.asking import name_point
from rag.practice.bank import Bank
from rag.practice.choosing import Wanted, choose_probe
from rag.practice.errors import (
    AttemptOpen,
    NoSuchSession,
    NothingFits,
    SessionError,
    SessionOver,
    TurnConflict,
    UnknownProbe,
    UnreadableAnswer,
)
from rag.practice.follow_ups import ABOUT, follow_up, hint, key_terms
from rag.practice.steps import Step
from rag.practice.store import PracticeStore
from tests.practice.fakes import (
    BANK,
    HISTORY,
    LADDER,
    MEMORY,
    PROBE,
    FakeClock,
    FakeGrader,
    make_practice,
    match,
    point,
    probe,
    secrets_of,
)


@pytest.fixture
def practice(tmp_path):
    return make_practice(tmp_path)


def drill(practice, **more):
    return practice.start("drill", probe_id="feed", seed=1, **more)


def test_a_drill_goes_from_question_over_two_follow_ups_to_feedback(practice):
    session = drill(practice)
    assert (session.state, session.open_turn) == ("asking", 1)
    assert session.turns[0].prompt == PROBE.prompt
    turn = practice.answer(session.id, "a", "Backfill, I think", turn=1)
    assert (turn.state, turn.score, turn.own_words) == ("graded", 0.5, ("Backfill",))
    view = practice.view(session.id)
    assert view.turns[1].kind == "follow-up" and view.attempts == ()
    practice.answer(session.id, "b", "Quantised vectors", turn=2)
    practice.answer(session.id, "c", "no more", turn=3)
    view = practice.view(session.id)
    assert view.state == "over" and len(view.turns) == 3  # two follow-ups at most
    (feedback,) = view.attempts
    assert (feedback.first_score, feedback.final_score) == (0.5, 1.0)
    assert [p.own_words for p in feedback.covered] == ["Quantised", "Backfill"]
    assert [p.text for p in feedback.missed] == ["Hedging trims stragglers."]
    assert feedback.model_answer == PROBE.model_answer


def test_a_full_answer_needs_no_follow_up(practice):
    session = drill(practice)
    practice.answer(session.id, "a", "Quantised Backfill Hedging")
    assert practice.view(session.id).state == "over"


def test_with_feedback_at_the_end_a_turn_says_nothing(practice):
    session = drill(practice, feedback="end")
    turn = practice.answer(session.id, "a", "Backfill", turn=1)
    assert turn.score is None and turn.own_words == ()
    practice.end(session.id)
    assert practice.view(session.id).turns[0].score == 0.5


def test_follow_ups_grade_only_what_is_not_covered_yet(tmp_path):
    asked = []

    class Grader(FakeGrader):
        def grade(self, prompt, points, answer, red_flags=()):
            asked.append([p.id for p in points])
            return super().grade(prompt, points, answer, red_flags)

    practice = make_practice(tmp_path, grader=Grader())
    session = drill(practice)
    practice.answer(session.id, "a", "Backfill", turn=1)
    practice.answer(session.id, "b", "Quantised", turn=2)
    assert asked == [["p-memory", "p-history", "p-bonus"], ["p-memory", "p-bonus"]]


# Idempotent turns, two clients


def test_the_same_client_turn_again_changes_nothing(practice):
    session = drill(practice)
    once = practice.answer(session.id, "a", "Backfill", turn=1)
    events = practice.events(session.id)
    assert practice.answer(session.id, "a", "Backfill", turn=1) == once
    assert practice.answer(session.id, "a", "Backfill") == once
    assert practice.events(session.id) == events
    with pytest.raises(TurnConflict, match="use a new id"):
        practice.answer(session.id, "a", "something else", turn=1)


def test_a_second_answer_to_a_turn_is_refused(practice):
    session = drill(practice)
    practice.answer(session.id, "a", "Backfill", turn=1)
    with pytest.raises(TurnConflict, match="turn 1 is graded already"):
        practice.answer(session.id, "b", "another answer", turn=1)
    practice.answer(session.id, "c", "Quantised", turn=2, grade=False)
    with pytest.raises(TurnConflict, match="being graded"):
        practice.answer(session.id, "d", "another answer", turn=2)


def test_two_clients_at_once_one_wins_and_nothing_breaks(tmp_path):
    one = make_practice(tmp_path)
    two = make_practice(tmp_path)  # a second process, as far as the database can tell
    session = drill(one)
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def answer(practice, name: str) -> None:
        start.wait()
        try:
            practice.answer(session.id, name, f"Backfill {name}", turn=1)
            outcomes.append(name)
        except TurnConflict:
            outcomes.append("refused")

    threads = [
        threading.Thread(target=answer, args=(practice, f"{i}{j}"))
        for i, practice in enumerate((one, two))
        for j in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name in outcomes if name != "refused"]
    assert len(outcomes) == 6 and len(winners) == 1
    view = two.view(session.id)
    assert view.turns[0].answer == f"Backfill {winners[0]}"
    assert [turn.n for turn in view.turns] == [1, 2]
    names = [event.name for event in one.events(session.id)]
    assert names == ["question", "answered", "graded", "question"]


def test_an_answer_that_was_not_graded_is_graded_at_the_next_look(tmp_path):
    practice = make_practice(tmp_path)
    session = drill(practice)
    turn = practice.answer(session.id, "a", "Backfill", turn=1, grade=False)
    assert turn.state == "answered"
    assert make_practice(tmp_path).view(session.id).turns[0].score == 0.5


def test_a_look_does_not_wait_for_a_grader_at_work(tmp_path):
    grading, go_on = threading.Event(), threading.Event()

    class SlowGrader(FakeGrader):
        def grade(self, *args, **kwargs):
            grading.set()
            assert go_on.wait(10)
            return super().grade(*args, **kwargs)

    practice = make_practice(tmp_path, grader=SlowGrader())
    session = drill(practice)
    thread = threading.Thread(target=practice.answer, args=(session.id, "a", "Backfill"))
    thread.start()
    assert grading.wait(10)
    assert practice.view(session.id).state == "grading"
    with pytest.raises(TurnConflict, match="being graded"):
        practice.skip(session.id, 1)
    go_on.set()
    thread.join()
    assert practice.view(session.id).state == "asking"


def test_a_grader_that_fails_keeps_the_answer(tmp_path):
    class BrokenGrader(FakeGrader):
        def grade(self, *args, **kwargs):
            raise LLMError("the endpoint went away: start it again")

    practice = make_practice(tmp_path, grader=BrokenGrader())
    session = drill(practice)
    with pytest.raises(LLMError):
        practice.answer(session.id, "a", "Backfill", turn=1)
    view = practice.view(session.id)
    assert view.state == "grading" and view.turns[0].answer == "Backfill"
    assert any("start it again" in notice for notice in view.notices)
    assert make_practice(tmp_path).view(session.id).turns[0].state == "graded"


# Follow-ups and hints


def test_a_follow_up_takes_the_probes_own_question_if_it_is_near():
    own = dataclasses.replace(PROBE, follow_ups=("What about stragglers?", "Why keep history?"))
    bank_question = follow_up(point("x", "Tails hurt why"), own, (), match, 0.3)
    assert bank_question == "Why keep history?"


def test_a_follow_up_takes_another_probe_that_carries_the_point():
    other = probe("other", "And at night?", point("o", "Quantised vectors save much memory."))
    assert follow_up(MEMORY, PROBE, (PROBE, other), match, 0.8) == "And at night?"


def test_a_follow_up_never_names_what_it_is_after():
    leaky = dataclasses.replace(PROBE, follow_ups=("Do quantised vectors save memory?",))
    asked = follow_up(MEMORY, leaky, (), lambda _, others: [1.0] * len(others), 0.5)
    assert not key_terms(MEMORY, PROBE.prompt) & set(terms(asked))


@settings(deadline=None)
@given(st.text(alphabet="abcdefgh ijklmnopqrstuvwxyz", max_size=60), st.sampled_from(BANK.probes))
def test_no_question_shares_a_key_term_with_any_point(text, asked):
    wanted = point("any", text, facet="failure")
    question = follow_up(wanted, asked, BANK.probes, match, 0.2)
    assert not key_terms(wanted, f"{asked.context} {asked.prompt}") & set(terms(question))


def test_hints_climb_and_the_fourth_reveals(practice):
    session = drill(practice)
    for n in range(1, 4):
        turn = practice.hint(session.id, 1)
        assert len(turn.hints) == n
        assert not any(p.text in " ".join(turn.hints) for p in PROBE.points)
    assert "Q… (9)" in turn.hints[2]  # initials of the words that are missing
    assert practice.hint(session.id, 1).state == "revealed"
    (feedback,) = practice.view(session.id).attempts
    assert (feedback.first_score, feedback.hints) == (0.0, 3)


WORDS = st.lists(st.from_regex(r"[a-z]{5,10}", fullmatch=True), min_size=2, max_size=8)


@settings(deadline=None)
@given(WORDS, st.integers(1, 3))
def test_a_hint_never_holds_the_text_of_its_point(words, rung):
    wanted = point("any", " ".join(words))
    given_ = hint(Step("probe", PROBE.prompt, 1, 0, probe=PROBE), rung, wanted)
    assert wanted.text not in given_
    assert not [word for word in words if word in given_ and word not in ABOUT["depth"]]


def test_a_skipped_question_goes_on_without_a_score(practice):
    session = drill(practice)
    assert practice.skip(session.id, 1).state == "skipped"
    (feedback,) = practice.view(session.id).attempts
    assert feedback.first_score is None


# What a user may ask for


def test_the_corpus_is_closed_while_an_attempt_is_open(practice):
    session = drill(practice)
    with pytest.raises(AttemptOpen, match="finish the attempt first"):
        practice.ask(session.id, "how do I save memory?")
    practice.answer(session.id, "a", "nothing", turn=1)
    with pytest.raises(AttemptOpen):
        practice.ask(session.id, "how do I save memory?")
    practice.end(session.id)
    found = practice.ask(session.id, "explain the second point I missed")
    assert found.text == f'about explain "{HISTORY.text}"'
    assert practice.events(session.id)[-1].name == "asked"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("explain the second point I missed", 'explain "B"'),
        ("why does missed point 1 matter?", 'why does "A" matter?'),
        ("the last point?", '"B"?'),
        ("the 3rd point I missed", "the 3rd point I missed"),
        ("what is a data point?", "what is a data point?"),
    ],
)
def test_a_point_is_named_by_its_number(question, expected):
    assert name_point(question, ["A", "B"]) == expected


def test_without_a_corpus_there_is_nobody_to_ask(tmp_path):
    practice = make_practice(tmp_path, answer=None)
    session = practice.end(drill(practice).id)
    with pytest.raises(SessionError, match="with the index"):
        practice.ask(session.id, "why?")


def test_an_override_needs_a_verdict_that_is_shown(practice):
    session = drill(practice)
    practice.answer(session.id, "a", "Backfill", turn=1)
    with pytest.raises(AttemptOpen):
        practice.override(session.id, 1, "p-memory", True)
    practice.end(session.id)
    with pytest.raises(NoSuchSession, match="no verdict"):
        practice.override(session.id, 1, "p-none", True)
    view = practice.override(session.id, 1, "p-memory", True)
    (feedback,) = view.attempts
    assert feedback.first_score == 1.0
    assert [p.overridden for p in feedback.covered] == [True, None]


def test_errors_say_what_to_do(practice):
    with pytest.raises(UnknownProbe, match="bank list"):
        practice.start("drill", probe_id="nope")
    with pytest.raises(NothingFits, match="topic 'quantum'"):
        practice.start("drill", topic="quantum")
    with pytest.raises(NoSuchSession, match="start one"):
        practice.view("nope")
    session = drill(practice)
    with pytest.raises(NoSuchSession, match="no turn 9"):
        practice.hint(session.id, 9)
    with pytest.raises(UnreadableAnswer, match="shorten"):
        practice.answer(session.id, "x", "long" * 6000)
    practice.end(session.id)
    assert practice.end(session.id).state == "over"
    with pytest.raises(SessionOver, match="see its report"):
        practice.answer(session.id, "y", "late")


def test_filters_and_seeds_choose(practice):
    assert practice.start("drill", company="meta", seed=4).title == PROBE.prompt
    titles = {practice.start("drill", seed=seed).title for seed in range(12)}
    assert len(titles) > 2
    again = practice.start("drill", seed=5).title
    assert again == practice.start("drill", seed=5).title


def test_what_was_practised_is_not_drawn_while_there_is_anything_new(practice):
    drawn = set()
    for _ in range(5):  # feed, design-feed, two dives, ladder
        session = practice.start("drill")
        practice.reveal(session.id, 1)
        drawn.add(session.title)
    assert len(drawn) == 5


def test_a_session_goes_on_with_its_questions_when_the_bank_changes(tmp_path):
    session = drill(make_practice(tmp_path))
    changed = make_practice(tmp_path, bank=Bank())
    changed.answer(session.id, "a", "Quantised Backfill Hedging")
    view = changed.view(session.id)
    assert view.attempts[0].first_score == 1.0
    assert any("corpus has changed" in notice for notice in view.notices)


def test_the_clock_is_the_servers(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    session = drill(practice)
    clock.tick(42)
    turn = practice.answer(session.id, "a", "Backfill", elapsed_ms=1)
    assert (turn.answered_at - turn.asked_at, turn.elapsed_ms) == (42, 1)
    assert practice.view(session.id).elapsed_s == 42


def test_events_can_be_taken_up_where_they_broke_off(practice):
    session = drill(practice)
    practice.answer(session.id, "a", "Backfill", turn=1)
    practice.end(session.id)
    names = [event.name for event in practice.events(session.id)]
    assert names == ["question", "answered", "graded", "question", "feedback", "done"]
    assert [e.name for e in practice.events(session.id, after=4)] == ["feedback", "done"]


def test_the_estimate_is_asked_step_by_step(practice):
    session = practice.start("estimate", seed=1)
    practice.answer(session.id, "a", "5e9 per day", turn=1)
    view = practice.view(session.id)
    assert view.turns[0].score == 1.0 and view.attempts[0].checks[0].state == "right"
    practice.answer(session.id, "b", "58k", turn=2)
    hints = [practice.hint(session.id, 3).hints[-1] for _ in range(3)]
    assert "a × b" in hints[2] and "58" not in " ".join(hints)
    practice.reveal(session.id, 3)
    view = practice.view(session.id)
    assert view.state == "over"
    assert view.turns[1].score == 0.5
    assert view.attempts[2].checks[0].expected == "174,000 QPS"


# Nothing is given away


def leaks(practice, session_id: str, allowed=()) -> list[str]:
    """Return the secrets in anything that a client could see now."""
    view = practice.view(session_id)
    seen = json.dumps(dataclasses.asdict(view))
    seen += json.dumps([event.data for event in practice.events(session_id)])
    seen += json.dumps([dataclasses.asdict(card) for card in practice.due(4e9)])
    return [
        secret
        for secret in secrets_of(BANK)
        if secret not in allowed and json.dumps(secret)[1:-1] in seen
    ]


MODES = [
    ("drill", {"probe_id": "feed"}, "now"), ("drill", {"probe_id": "feed"}, "end"),
    ("drill", {"probe_id": "ladder"}, "now"), ("mock", {}, "now"), ("mock", {"minutes": 10}, "end"),
    ("calibrate", {"exercise": "place"}, "now"), ("calibrate", {}, "now"),
    ("calibrate", {}, "end"), ("estimate", {}, "end"), ("review", {}, "end"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "more", "feedback"), MODES)
@pytest.mark.parametrize("text", ["no idea", "Quantised Fanout Several D C B A 5e9"])
def test_nothing_of_a_rubric_is_seen_before_the_end(tmp_path, mode, more, feedback, text):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    if mode == "review":
        for id_ in ("feed", "dive-1"):
            practice.reveal(practice.start("drill", probe_id=id_).id, 1)
        clock.tick(5 * 86_400)
    session = practice.start(mode, feedback=feedback, seed=2, **more)
    view = session
    while view.state == "asking":
        turn = view.turns[-1]
        # The answers of a ladder are the material of the ordering exercise; their notes are not.
        allowed = [a.text for a in LADDER.anchors] if turn.kind == "order" else ()
        for _ in range(3):
            practice.hint(session.id, turn.n)
        assert leaks(practice, session.id, allowed) == []
        said = "D C B A" if turn.kind == "order" else text
        practice.answer(session.id, f"c{turn.n}", said, turn=turn.n)
        view = practice.view(session.id)
        if view.state == "asking" and view.turns[-1].kind != "order":
            assert leaks(practice, session.id) == []
    assert view.state == "over"
    assert leaks(practice, session.id) != []  # and the test would notice


@pytest.mark.parametrize("mode", ["review", "estimate"])
def test_feedback_now_shows_finished_attempts_only(tmp_path, mode):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    if mode == "review":
        for id_ in ("feed", "dive-1"):
            practice.reveal(practice.start("drill", probe_id=id_).id, 1)
        clock.tick(5 * 86_400)
    view = practice.start(mode, seed=2)
    session_id = view.id
    while view.state != "over":
        if view.state == "between":
            view = practice.go_on(session_id)
            continue
        shown = {feedback.attempt for feedback in view.attempts}
        assert view.turns[-1].attempt not in shown
        practice.answer(session_id, f"c{view.open_turn}", "no idea", turn=view.open_turn)
        view = practice.view(session_id)


ACTIONS = st.lists(
    st.sampled_from(["answer", "stale answer", "hint", "skip", "reveal", "go_on", "look", "end"]),
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["drill", "mock", "calibrate", "estimate"]), ACTIONS)
def test_any_order_of_actions_leaves_a_sound_session(tmp_path_factory, mode, actions):
    folder = tmp_path_factory.mktemp("s")
    with PracticeStore(folder / "p.sqlite3") as store:
        practice = make_practice(folder, store=store)
        session_id = practice.start(mode, seed=3).id
        for number, action in enumerate(actions):
            view = practice.view(session_id)
            n = view.open_turn or 1
            said = "D C B A" if view.turns[-1].kind == "order" else "Backfill"
            try:
                match action:
                    case "answer":
                        practice.answer(session_id, f"c{number}", said, turn=n)
                    case "stale answer":
                        practice.answer(session_id, f"s{number}", said, turn=1)
                    case "hint" | "skip" | "reveal":
                        getattr(practice, action)(session_id, n)
                    case "go_on" | "end":
                        getattr(practice, action)(session_id)
            except SessionError:
                pass
            view = practice.view(session_id)
            assert (view.open_turn is None) == (view.state != "asking")
            assert sum(t.state in ("open", "answered") for t in view.turns) <= 1
            if view.state != "over" and view.feedback == "end":
                assert view.attempts == ()
        practice.end(session_id)
        assert practice.report(session_id).session_id == session_id


def test_a_probe_about_the_topic_goes_before_one_of_a_document_about_it():
    named = probe("named", "How do you handle a cold-start?", point("n-p", "Explore."))
    beside = [
        probe(f"beside-{n}", "How do you rank?", point(f"b-{n}", "Learn."), topics=("cold start",))
        for n in range(5)
    ]
    bank = Bank((*beside, named))
    wanted = Wanted(topic="Cold start")
    assert {choose_probe(bank, wanted, seed).id for seed in range(20)} == {"named"}
    assert choose_probe(Bank(tuple(beside)), wanted, 0) in beside
