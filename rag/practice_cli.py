"""The commands `rag practice ...`: start a session, go on with one, list them, report.

Imports of anything heavy are inside the commands. Exit codes as in rag/cli.py. Knows nothing of
how a session goes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli_options import DataDir, Json
from rag.practice_bank_cli import OverrideFile, bank_app

if TYPE_CHECKING:
    from rag.practice.sessions import Practice
    from rag.practice.views import SessionView
    from rag.settings import Settings

practice_app = typer.Typer(no_args_is_help=True, help="Practise for interviews on the corpus.")
practice_app.add_typer(bank_app, name="bank")

ProbeId = Annotated[
    str | None,
    typer.Option("--probe", help="An id of `rag practice bank list`; else one is drawn."),
]
Topic = Annotated[str | None, typer.Option(help="Only what is about this.")]
Company = Annotated[str | None, typer.Option(help="Only questions of this company.")]
Difficulty = Annotated[str | None, typer.Option(help="Only questions of this difficulty.")]
Seed = Annotated[int | None, typer.Option(help="Draw the same again.")]
Llm = Annotated[
    bool | None,
    typer.Option("--llm/--no-llm", help="An LLM judges what the grader is unsure of, and writes"
                 " what /ask answers; also RAG_PRACTICE_LLM [no]."),
]  # fmt: skip
Events = Annotated[bool, typer.Option("--json", help="Print one JSON object for each event.")]
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="`rag practice sessions`.")]


class FeedbackTime(StrEnum):
    """When feedback is given."""

    now = "now"
    end = "end"


class ReportFormat(StrEnum):
    """How a report is written."""

    json = "json"
    md = "md"
    html = "html"


class ExerciseKind(StrEnum):
    """What to do with a ladder."""

    both = "both"
    place = "place"
    order = "order"


Feedback = Annotated[FeedbackTime, typer.Option(help="After each question, or at the end.")]
Exercise = Annotated[
    ExerciseKind, typer.Option(help="Place an answer of yours, order the ladder's, or both.")
]


@practice_app.command()
def drill(
    probe: ProbeId = None,
    topic: Topic = None,
    company: Company = None,
    difficulty: Difficulty = None,
    feedback: Feedback = FeedbackTime.now,
    seed: Seed = None,
    llm: Llm = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Answer one question, with hints, follow-ups and feedback on each point.

    An answer is several lines and ends with an empty line, or with a single dot. Where standard
    input is no terminal, answers and commands are read from it in the same form.
    """

    def start(practice: Practice) -> SessionView:
        return practice.start(
            "drill", probe_id=probe, topic=topic, company=company, difficulty=difficulty,
            feedback=feedback.value, seed=seed,
        )  # fmt: skip

    _play(start, data_dir, overrides, llm, as_json=as_json)


@practice_app.command()
def mock(
    minutes: Annotated[
        float | None, typer.Option(help="Scale the clock to this [its own].")
    ] = None,
    clock: Annotated[str | None, typer.Option(help="Id of a phase clock of the corpus.")] = None,
    topic: Topic = None,
    company: Company = None,
    difficulty: Difficulty = None,
    seed: Seed = None,
    llm: Llm = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Hold a whole interview against the clock; feedback and report come at its end."""

    def start(practice: Practice) -> SessionView:
        return practice.start(
            "mock", topic=topic, company=company, difficulty=difficulty, clock=clock,
            minutes=minutes, seed=seed,
        )  # fmt: skip

    _play(start, data_dir, overrides, llm, as_json=as_json)


@practice_app.command()
def review(
    feedback: Feedback = FeedbackTime.now,
    llm: Llm = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Answer again what is due by spaced repetition."""
    _play(
        lambda practice: practice.start("review", feedback=feedback.value),
        data_dir, overrides, llm, as_json=as_json,
    )  # fmt: skip


@practice_app.command()
def calibrate(
    probe: ProbeId = None,
    topic: Topic = None,
    exercise: Exercise = ExerciseKind.both,
    seed: Seed = None,
    llm: Llm = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Place an answer on a ladder of levels, and order the ladder's own answers."""

    def start(practice: Practice) -> SessionView:
        return practice.start(
            "calibrate", probe_id=probe, topic=topic, exercise=exercise.value, seed=seed
        )

    _play(start, data_dir, overrides, llm, as_json=as_json)


@practice_app.command()
def estimate(
    probe: ProbeId = None,
    topic: Topic = None,
    seed: Seed = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Estimate load and storage; numbers are checked with their units."""
    _play(
        lambda practice: practice.start("estimate", probe_id=probe, topic=topic, seed=seed),
        data_dir, overrides, None, as_json=as_json, load=False,
    )  # fmt: skip


@practice_app.command()
def resume(
    session: SessionId,
    llm: Llm = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Events = False,
) -> None:
    """Go on with a session where it was left."""
    _play(lambda practice: practice.view(session), data_dir, overrides, llm, as_json=as_json)


@practice_app.command("sessions")
def list_all(
    last: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the sessions, the newest first."""
    from rag.practice.listing import list_sessions
    from rag.practice.loading import DATABASE
    from rag.practice.store import PracticeStore

    with PracticeStore(_settings(data_dir).data_dir / DATABASE) as store:
        lines = list_sessions(store, last)
    if as_json:
        text = json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2)
        sys.stdout.write(text + "\n")
        return
    from rag.practice.terminal import print_sessions

    print_sessions(lines)


@practice_app.command()
def report(
    session: SessionId,
    form: Annotated[ReportFormat, typer.Option("--format")] = ReportFormat.md,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write to this file.", dir_okay=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print the report on a session that is over."""
    from rag.practice.loading import open_practice
    from rag.practice.report_html import to_html
    from rag.practice.report_markdown import to_markdown

    with open_practice(_settings(data_dir), load=False) as practice:
        found = practice.report(session)
    if form is ReportFormat.json:
        text = json.dumps(found.to_dict(), ensure_ascii=False, indent=2) + "\n"
    else:
        text = to_html(found) if form is ReportFormat.html else to_markdown(found)
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from error
    sys.stderr.write(f"{file}\n")


def _play(
    start: Callable[[Practice], SessionView],
    data_dir: Path | None,
    overrides: Path | None,
    llm: bool | None,
    *,
    as_json: bool,
    load: bool = True,
) -> None:
    from rag.practice.drafting import Drafting, read_pipe, read_terminal
    from rag.practice.loading import open_practice
    from rag.practice.playing import TerminalPractice
    from rag.practice.screens import JsonScreen
    from rag.practice.terminal import TextScreen

    settings = _settings(data_dir)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    screen = JsonScreen() if as_json else TextScreen()
    read = read_terminal if at_terminal else read_pipe
    drafting = Drafting(read, screen.note, interrupts=at_terminal)
    with_llm = settings.practice_llm if llm is None else llm
    with open_practice(settings, overrides=overrides, llm=with_llm, load=load) as practice:
        player = TerminalPractice(
            practice, start(practice), screen, drafting, at_terminal=at_terminal
        )
        try:
            player.run()
        finally:
            if not player.is_over:
                ends = "\n" if at_terminal else ""  # the line that was not finished
                sys.stderr.write(
                    f"{ends}kept; go on with: rag practice resume {player.session_id}\n"
                )


def _settings(data_dir: Path | None) -> Settings:
    from rag.settings import load_settings

    return load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
