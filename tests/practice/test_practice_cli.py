"""`rag practice ...`: over a pipe, at a terminal made of fakes, and what is loaded for it."""

from __future__ import annotations

import io
import json
import re
import stat
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag.cli
import rag.loading
import rag.practice.drafting
import rag.practice.loading
from index.storage import GenerationStore
from rag.errors import LLMError, ModelCorrupt, ModelError, ModelMissing
from rag.practice.drafting import Drafting, Said, edit, unwrapped
from rag.practice.errors import BankError
from rag.practice.loading import load_bank, open_practice, practice_over
from rag.practice.parsing import lint
from rag.practice.store import PracticeStore
from rag.settings import Settings
from tests.conftest import (
    FakeEmbedder,
    FakeLLM,
    FakeReranker,
    FakeTokenEmbedder,
    make_document,
    make_pipeline,
    publish,
)
from tests.practice.fakes import (
    BANK,
    DOCUMENT,
    LADDER,
    FakeGrader,
    answer_corpus,
    match,
    secrets_of,
)


class FakeModels:
    """What BackgroundModels gives, at once."""

    error: Exception | None = None

    def __init__(self, settings, *, llm):
        self.llm = llm

    def start(self):
        pass

    def grade(self, *arguments):
        if FakeModels.error is not None:
            raise FakeModels.error
        return FakeGrader().grade(*arguments)

    def match(self, text, others):
        return match(text, others)

    def answer(self, question):
        return answer_corpus(question)

    def close(self):
        pass


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `rag practice ARGUMENTS` over the fakes, with `typed` as standard input."""
    monkeypatch.setattr(rag.practice.loading, "BackgroundModels", FakeModels)
    monkeypatch.setattr(rag.practice.loading, "load_bank", lambda *_: (BANK, [DOCUMENT]))
    monkeypatch.setattr(FakeModels, "error", None)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments, typed="", stdin=None):
        words = ["rag", "practice", *map(str, arguments), "--data-dir", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.setattr(sys, "stdin", stdin or io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            rag.cli.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=captured.err)

    return call


def events(done):
    return [json.loads(line) for line in done.out.splitlines()]


def session_of(done):
    return done.err.split("resume ")[1].split()[0]


# Over a pipe


DRILL = ("drill", "--probe", "feed", "--seed", 1)


def test_a_drill_over_a_pipe(run):
    done = run(*DRILL, typed="Backfill,\nI think\n\nQuantised vectors\n.\nno more\n")
    assert done.code == 0
    assert "How would you rank a feed?" in done.out
    assert '50% so far; counted: "Backfill"' in done.out
    assert "50% of the points that count, 100% after follow-ups" in done.out
    assert ' c1 Quantised vectors save memory.\n    you: "Quantised"' in done.out
    assert "  1 Hedging trims stragglers. (missed, okay)\n    feeds.md\n" in done.out
    assert "Model answer Compress, then replay old logs." in done.out
    assert "Say this next time" in done.out
    assert "resume" not in done.err and "\x1b" not in done.out


def test_a_missed_point_is_cited_by_line(run):
    done = run(*DRILL, typed="/reveal\n")
    assert "Quantised vectors save memory. (missed, vital)\n    feeds.md:5\n" in done.out


def test_commands_in_the_middle_of_an_answer(run):
    done = run(*DRILL, typed="Backfill\n/hint\n/help\n/what is it\nand Quantised\n\n/end\n")
    assert "Hint:" in done.out and "/reveal" in done.err
    lines = events(run("resume", session(run), "--json"))
    answered = next(e for e in lines if e["event"] == "report")["data"]["transcript"][0]
    assert answered["answer"] == "Backfill\n/what is it\nand Quantised"
    assert len(answered["hints"]) == 1


def session(run):
    """The id of the newest session."""
    return json.loads(run("sessions", "--json").out)[0]["id"]


def test_an_unknown_command_is_no_answer(run):
    done = run(*DRILL, typed="/skipp\n")
    assert "/skipp does nothing here: /help lists the commands" in done.err
    assert "go on with: rag practice resume" in done.err


def test_what_is_left_can_be_resumed(run):
    left = run(*DRILL, typed="Backfill\n\n")
    assert left.code == 0
    done = run("resume", session_of(left), typed="Quantised\n\nno more\n")
    assert "100% after follow-ups" in done.out
    assert "resume" not in done.err


def test_json_is_the_events_and_then_the_report(run):
    done = run(*DRILL, "--json", typed="Backfill\n\n/skip\n/ask the first point I missed\n")
    lines = events(done)
    assert [line["event"] for line in lines] == [
        "session", "question", "answered", "graded", "question", "skipped", "feedback", "done",
        "report", "answer", "asked",
    ]  # fmt: skip
    assert [line["seq"] for line in lines if line["seq"]] == list(range(1, 9))
    assert lines[9]["data"]["question"] == '"Quantised vectors save memory."'


def test_json_gives_nothing_away_before_the_end(run):
    told = run("mock", "--minutes", 10, "--seed", 1, "--json", typed="Backfill\n\n/hint\n").out
    assert not [secret for secret in secrets_of(BANK) if secret in told]


def test_a_mock_shows_phases_times_and_feedback_at_the_end(run):
    done = run("mock", "--minutes", 10, "--seed", 1, typed="/skip\n" * 20)
    times = r"Clarify: 1:0\d left; of the interview (10:00|9:5\d) of 10:00 left"
    assert re.search(times, done.out)
    assert done.out.index("Sum up your design") < done.out.index("Deep dive: Deep question")
    assert "Clarify: Before you design" not in done.out  # nothing to say about it
    assert "Clarify: 0:00 of 1:07" in done.out


def test_calibrate_orders_and_says_what_it_cannot_read(run):
    done = run("calibrate", "--exercise", "order", "--seed", 1, typed="E\n\nA B C D\n")
    assert "name each of A, B, C, D once" in done.err
    assert "The levels were: A " in done.out
    assert LADDER.anchors[3].note in done.out


def test_an_estimate_is_checked_step_by_step(run):
    done = run("estimate", "--seed", 1, typed="5 billion\n\n57,870 QPS\n\n1 QPS\n")
    assert "Requests per day: right" in done.out
    assert "Peak load: wrong value" in done.out


def test_arithmetic_needs_no_models(run, monkeypatch):
    monkeypatch.setattr(FakeModels, "start", lambda _: pytest.fail("models were loaded"))
    assert "Recall" in run("estimate", "--seed", 1, typed="/end\n").out


def test_a_review_is_due_another_day(run):
    run(*DRILL, typed="/reveal\n")
    done = run("review")
    assert (done.code, done.out) == (1, "")
    assert "no review is due" in done.err


def test_a_verdict_is_corrected_by_its_name(run):
    done = run(*DRILL, typed="Backfill\n\n/end\n/covered 7\n/covered 1\n/missed c1\n")
    assert "no point is called '7'; there are: 1, 2, c1" in done.err
    assert "noted as said: Quantised vectors save memory." in done.err
    assert "noted as not said: Backfill keeps history honest." in done.err
    report = json.loads(run("report", session(run), "--format", "json").out)
    assert {(c["grader"], c["user"]) for c in report["contested"]} == {
        ("missed", "covered"),
        ("covered", "missed"),
    }


def test_text_after_the_end_is_not_lost_in_silence(run):
    assert "this was not used" in run(*DRILL, typed="/reveal\nBackfill\n").err


def test_an_ungraded_answer_is_kept(run, monkeypatch):
    monkeypatch.setattr(FakeModels, "error", LLMError("the endpoint is down: start it"))
    failed = run(*DRILL, typed="Backfill\n\n")
    assert failed.code == 1 and "start it" in failed.err
    monkeypatch.setattr(FakeModels, "error", None)
    done = run("resume", session_of(failed), typed="Quantised\n\nno more\n")
    assert "100% after follow-ups" in done.out


# Sessions and reports


def test_sessions_are_listed(run):
    run(*DRILL, typed="/reveal\n")
    run("estimate", "--seed", 1)
    listed = run("sessions").out.splitlines()
    assert "estimate  asking   0 answered  Peak load of a feed" in listed[0]
    assert "drill     over" in listed[1]
    assert len(run("sessions", "--last", 1).out.splitlines()) == 1


def test_reports_are_printed_or_written(run, tmp_path):
    run(*DRILL, typed="/reveal\n")
    name = session(run)
    assert run("report", name).out.startswith("# Practice report")
    page = tmp_path / "report.html"
    assert run("report", name, "--format", "html", "--out", page).out == ""
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    missing = run("report", name, "--out", tmp_path / "none" / "report.md")
    assert missing.code == 2 and "cannot be written" in missing.err


def test_no_report_before_the_end(run):
    left = run(*DRILL, typed="Backfill\n\n")
    done = run("report", session_of(left))
    assert (done.code, done.out) == (1, "") and "end it first" in done.err
    assert run("report", "none").code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drill", "--probe", "x"), "bank list"),
        (("drill", "--topic", "moon"), "widen it"),
        (("mock", "--clock", "sun"), "clock"),
        (("resume", "none"), "start one"),
    ],
)
def test_errors_are_one_line(run, arguments, message):
    done = run(*arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err and "Traceback" not in done.err


# At a terminal


class Keyboard(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at_terminal(run, monkeypatch):
    """Run at a terminal where `typed` are lines, or exceptions that a key press raises."""
    prompts = []

    def call(*arguments, typed):
        lines = iter(typed)

        def read(prompt):
            prompts.append(prompt)
            line = next(lines, None)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(rag.practice.drafting, "read_terminal", read)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return run(*arguments, stdin=Keyboard()), prompts

    return call


def test_the_first_interrupt_drops_the_line_the_second_leaves(at_terminal, run):
    keys = ["Backfill", KeyboardInterrupt(), "and more", "", KeyboardInterrupt()]
    done, _ = at_terminal(*DRILL, typed=[*keys, KeyboardInterrupt()])
    assert done.code == 130
    assert done.err.count("the line is dropped") == 2
    assert "go on with: rag practice resume" in done.err
    view = json.loads(run("sessions", "--json").out)[0]
    assert (view["state"], view["answered"]) == ("asking", 1)


def test_an_empty_line_leaves_after_the_end(at_terminal):
    done, prompts = at_terminal(*DRILL, typed=["", "Backfill", "", "/reveal", "", "never read"])
    assert done.code == 0
    assert "Enter leaves" in done.err
    assert prompts == ["> ", "> ", "| ", "> ", "> "]


def test_a_mock_prompts_with_the_time_that_is_left(at_terminal):
    _, prompts = at_terminal("mock", "--minutes", 10, "--seed", 1, typed=["/end", ""])
    assert re.fullmatch(r"\[(10:00|9:5\d) left\] > ", prompts[0])
    assert prompts[1:] == ["> "]


# Drafting


def drafting(lines, **more):
    notes = []
    left = iter(lines)
    return Drafting(lambda _: next(left, None), notes.append, **more), notes


def everything(draft, **more):
    said = []
    while (one := draft.next("> ", **more)) is not None:
        said.append(one)
    return said


def test_answers_end_with_an_empty_line_or_a_dot_or_the_input():
    draft, _ = drafting(["", "one", "two", "", "", ".", "three", " . ", "four"])
    assert [said.text for said in everything(draft)] == ["one\ntwo", "three", "four"]


LONG = "In training the position goes into a shallow side tower of its"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (f"{LONG}\nown.\nAnd so on", f"{LONG} own.\nAnd so on"),
        (f"{LONG}.\nown", f"{LONG}.\nown"),
        (f"{LONG}\n- own", f"{LONG}\n- own"),
        (f"{LONG}\n2. own", f"{LONG}\n2. own"),
        (f"{LONG}\n\nown", f"{LONG}\n\nown"),
        ("cache it\nshard it", "cache it\nshard it"),
        (f"{LONG}\n{LONG}\nend", f"{LONG} {LONG} end"),
    ],
)
def test_lines_broken_by_hand_are_joined(typed, answer):
    assert unwrapped(typed) == answer


@given(st.text())
def test_joining_changes_white_space_only(text):
    assert unwrapped(text).split() == text.split()


def test_an_empty_line_can_be_something_that_is_said():
    draft, _ = drafting(["one", "", ""])
    assert everything(draft, empty=True) == [Said("", "one"), Said("", "")]


def test_paths_are_no_commands():
    draft, _ = drafting(["/v1/ask answers", "/usr", ""])
    assert everything(draft) == [Said("", "/v1/ask answers\n/usr")]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=8)))
def test_no_line_of_an_answer_is_lost(lines):
    draft, _ = drafting(lines)
    texts = [said.text for said in everything(draft) if not said.command]
    words = [w for line in lines if line.strip() != "." and "/" not in line for w in line.split()]
    told = " ".join(texts).split()
    assert [word for word in told if word in words] == [word for word in words if word in told]
    assert all(word in told for word in words)


def editor(tmp_path, body):
    """A program that does `body` with the file `$1`."""
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_answer_is_written_in_the_editor(monkeypatch, tmp_path):
    monkeypatch.setenv("VISUAL", editor(tmp_path, 'printf "\\n\\nand more" >> "$1"'))
    draft, _ = drafting(["begun", "/edit"])
    assert everything(draft) == [Said("", "begun\n\nand more")]


@pytest.mark.parametrize("command", ["", "no-such-editor-here", "'", "/bin/false"])
def test_without_an_editor_the_lines_stay(monkeypatch, command):
    monkeypatch.setenv("VISUAL", command)
    monkeypatch.delenv("EDITOR", raising=False)
    draft, notes = drafting(["begun", "/edit"])
    assert everything(draft) == [Said("", "begun")]
    assert "set EDITOR" in notes[0]


def test_an_empty_file_of_the_editor_is_no_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("VISUAL", editor(tmp_path, ': > "$1"'))
    draft, _ = drafting(["/edit", "typed", ""])
    assert everything(draft) == [Said("", "typed")]
    assert edit("text") == ""


# Loading


TEXT = (
    "# Toast\n\n| Probe | Strong answer |\n|---|---|\n"
    "| How do you toast bread evenly? | Turn the slices around; watch the colour |\n"
)


@pytest.fixture
def sources(tmp_path):
    """A folder with an override file, and settings of an index that was made from it."""
    folder = tmp_path / "notes"
    folder.mkdir()
    document = make_document("toast.md", TEXT)
    store = GenerationStore(tmp_path / "index")
    publish(store, [document])
    path = store.candidates()[0] / "manifest.json"
    manifest = json.loads(path.read_text()) | {"sources": [str(tmp_path / "gone"), str(folder)]}
    path.write_text(json.dumps(manifest))
    return folder, tmp_path


def test_the_override_file_that_lies_with_the_documents_is_used(sources, tmp_path):
    folder, data_dir = sources
    bank, _ = load_bank(data_dir)
    overrides = folder / "practice-overrides.toml"
    overrides.write_text(f'[[drop]]\nid = "{bank.probes[0].points[0].id}"\n')
    assert [len(probe.points) for probe in load_bank(data_dir)[0].probes] == [1]
    other = tmp_path / "other.toml"
    other.write_text("")
    assert [len(probe.points) for probe in load_bank(data_dir, other)[0].probes] == [2]


def test_the_phrasings_that_lie_with_the_documents_are_attached(sources):
    folder, data_dir = sources
    before, _ = load_bank(data_dir)
    known = before.probes[0].points[0]
    row = {"doc": known.span.doc, "point": known.text.upper(), "right": ["r"], "wrong": ["w"]}
    gone = {**row, "point": "no such point"}
    path = folder / "phrasings.jsonl"
    path.write_text(f"{json.dumps(row)}\n\n{json.dumps(gone)}\n")
    bank, documents = load_bank(data_dir)
    first, second = bank.probes[0].points
    assert (first.right, first.wrong, second.right) == (("r",), ("w",), ())
    assert [problem for problem in lint(bank, documents) if "no such point" in problem]
    path.write_text('{"doc": "a.md"}\n')
    with pytest.raises(BankError, match=r"phrasings\.jsonl:1: point"):
        load_bank(data_dir)


@pytest.fixture
def loaders(monkeypatch):
    """Loaders of fakes, which count."""
    llm, calls = FakeLLM("NONE"), []

    def loader(name, result):
        def load(_):
            calls.append(name)
            return result

        monkeypatch.setattr(rag.loading, f"load_{name}", load)

    loader("embedders", (FakeEmbedder(), FakeTokenEmbedder()))
    loader("reranker", FakeReranker())
    loader("llm", llm)
    monkeypatch.setattr(rag.loading, "embedder_fingerprints", lambda _: ("a", "b"))
    return SimpleNamespace(calls=calls, llm=llm)


def test_models_load_once_and_answer_questions_too(sources, loaders):
    settings = Settings(data_dir=sources[1])
    with open_practice(settings) as practice:
        view = practice.start("drill", seed=1)
        practice.answer(view.id, "a", "I turn the slices around and watch the colour", turn=1)
        practice.end(view.id)
        assert practice.report(view.id).recall == 1.0
        found = practice.ask(view.id, "How do you toast bread evenly?")
        assert found.model != "fake-llm"
    assert loaders.calls == ["embedders", "reranker"]
    assert not loaders.llm.closed


def test_the_llm_is_loaded_only_if_it_is_asked_for(sources, loaders):
    with open_practice(Settings(data_dir=sources[1]), llm=True) as practice:
        view = practice.start("drill", seed=1)
        practice.answer(view.id, "a", "I turn the slices around", turn=1)
        assert not loaders.llm.closed
    assert "llm" in loaders.calls
    assert loaders.llm.closed


def test_what_fails_to_load_is_told_to_whoever_waits(sources, loaders, monkeypatch):
    def damaged(_):
        raise ModelCorrupt("run `rag models pull`")

    monkeypatch.setattr(rag.loading, "load_embedders", damaged)
    with open_practice(Settings(data_dir=sources[1])) as practice:
        view = practice.start("drill", seed=1)
        with pytest.raises(ModelCorrupt, match="models pull"):
            practice.answer(view.id, "a", "I turn the slices around", turn=1)
        assert practice.view(view.id).turns[0].state == "answered"


def test_a_list_or_a_report_loads_no_model(sources, loaders):
    with open_practice(Settings(data_dir=sources[1]), load=False) as practice:
        assert practice.sessions() == []
    assert loaders.calls == []


def test_a_missing_model_is_told_before_anything_is_typed(sources, monkeypatch):
    def missing(_):
        raise ModelMissing("run `rag models pull`")

    monkeypatch.setattr(rag.loading, "embedder_fingerprints", missing)
    with (
        pytest.raises(ModelMissing, match="models pull"),
        open_practice(Settings(data_dir=sources[1])),
    ):
        pytest.fail("practice was opened")


def test_the_service_practises_over_its_pipeline(tmp_path):
    document = make_document("toast.md", TEXT)
    pipeline = make_pipeline(tmp_path, [document], FakeLLM("NONE"))
    with PracticeStore(tmp_path / "practice.sqlite3") as store:
        practice = practice_over(pipeline, store)
        view = practice.start("drill", seed=1)
        turn = practice.answer(view.id, "a", "Turn the slices around; watch the colour", turn=1)
        assert turn.score == 1.0
        assert practice.view(view.id).attempts[0].covered[0].source.line_start == 5
        assert practice.ask(view.id, "How do you toast bread evenly?").question


def test_without_an_embedder_there_is_no_practice(tmp_path):
    pipeline = make_pipeline(tmp_path, [make_document("toast.md", TEXT)], embedder=None)
    with (
        PracticeStore(tmp_path / "practice.sqlite3") as store,
        pytest.raises(ModelError, match="settings"),
    ):
        practice_over(pipeline, store)
