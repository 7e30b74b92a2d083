"""What a practice session shows on a terminal or in a pipe, as text by Rich.

Everything shown comes from views, which hold nothing of a rubric before its time. Computes no
scores and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from rag.answers import Answer, Done
from rag.practice.feedback import AttemptFeedback, CorpusQuote, PointFeedback
from rag.practice.listing import SessionLine
from rag.practice.report import Report
from rag.practice.report_markdown import day, minutes, percent
from rag.practice.rows import EventRow
from rag.practice.screens import Labels
from rag.practice.views import SessionView, TurnView
from rag.terminal import err, out, print_answer_stream

NAMES = "ABCDEFGH"  # of the options of an ordering exercise
_STATES = {"partial": "half said", "missed": "missed", "unsure": "unsure: you decide"}


class TextScreen:
    """Interview on stdout, notes and progress on stderr."""

    def begin(self, view: SessionView) -> None:
        """Print title, clock and notices."""
        out.rule(f"[bold]{escape(view.mode)}[/bold]", style="dim")
        if view.mode == "mock":
            out.print(f"[bold]{escape(view.title)}[/bold]")
            names = (f"{phase.name} {minutes(phase.end - phase.start)}" for phase in view.phases)
            out.print(f"[dim]{escape(' · '.join(names))}[/dim]")
        for notice in view.notices:
            self.note(notice)
        self.note(f"session {view.id}, seed {view.seed}; /help lists the commands")

    def events(self, rows: Sequence[EventRow]) -> None:
        """Print nothing: text comes from the views."""

    def question(self, view: SessionView, turn: TurnView) -> None:
        """Print phase, times and question."""
        out.print()
        out.print(f"[dim]{escape(_times(view, turn))}[/dim]")
        out.print(f"[bold]{escape(turn.prompt)}[/bold]")
        for name, option in zip(NAMES, turn.options, strict=False):
            out.print(f"\n[cyan]{name}[/cyan] {escape(option)}")
        for hint in turn.hints:  # of a session that is taken up again
            self.hint(hint)

    def taken(self, turn: TurnView) -> None:
        """Print the reply, the score and the user's words that covered something."""
        if turn.reply:
            out.print(f"[bold]Interviewer:[/bold] {escape(turn.reply)}")
        if turn.score is not None and turn.kind in ("probe", "follow-up"):
            said = "; ".join(f'"{_line(words)}"' for words in turn.own_words) or "nothing"
            if turn.kind == "probe":  # the score of a follow-up is of what was left to say
                said = f"{percent(turn.score)} so far; counted: {said}"
            else:
                said = f"new: {said}"
            out.print(f"[dim]{escape(said)}[/dim]")

    def hint(self, text: str) -> None:
        """Print a hint."""
        out.print(f"[yellow]Hint:[/yellow] {escape(text)}")

    def feedback(self, attempt: AttemptFeedback, labels: Labels) -> None:
        """Print scores, points, flags, checks, levels and the model answer, if there is any."""
        if attempt.first_score is None and not any(
            (attempt.covered, attempt.missed, attempt.flags, attempt.checks, attempt.order)
        ):
            return
        asked = _line(attempt.prompt.rpartition("\n\n")[2])  # without the context
        out.print()
        out.rule(f"{escape(attempt.phase)}: {escape(asked[:60])}", style="dim")
        out.print(escape(_scores(attempt)))
        _print_points("Covered", attempt, attempt.covered, labels)
        _print_points("Missed", attempt, attempt.missed, labels)
        _print_rest(attempt)

    def over(self, report: Report) -> None:
        """Print what a report begins with, and how to get the whole."""
        out.print()
        out.rule("over", style="dim")
        out.print(f"Recall of the points that count: [bold]{percent(report.recall)}[/bold]")
        if report.mode == "mock":
            for phase in report.phases:
                late = f", over by {minutes(phase.over_s)}" if phase.over_s else ""
                spent = f"{minutes(phase.spent_s)} of {minutes(phase.target_s)}{late}"
                out.print(f"  {escape(phase.name)}: {spent}")
        if report.say_next:
            out.print("[bold]Say this next time[/bold]")
        for number, say in enumerate(report.say_next, start=1):
            out.print(f" {number}. {escape(say.text)} [dim]{escape(lines_of(say.source))}[/dim]")
        for card in report.reviews:
            what = f"{day(card.due)}: {_line(card.prompt)} ({card.about})"
            out.print(f"[dim]review {escape(what)}[/dim]")
        self.note(f"rag practice report {report.session_id} --format html --out report.html")

    def answer(self, answer: Answer) -> None:
        """Print an answer with its citations."""
        print_answer_stream([Done(answer)])

    def note(self, text: str) -> None:
        """Print to stderr."""
        err.print(text, style="dim", markup=False)

    def busy(self, what: str) -> AbstractContextManager[object]:
        """Spin on stderr where that is a terminal."""
        return err.status(what) if err.is_terminal else nullcontext()


def print_sessions(lines: Iterable[SessionLine]) -> None:
    """Print a session a line."""
    for line in lines:
        out.print(
            f"[cyan]{line.id}[/cyan] {day(line.created)} {line.mode:<9} {line.state:<7}"
            f" {line.answered:>2} answered  {escape(_line(line.title)[:70])}"
        )


def lines_of(source: CorpusQuote) -> str:
    """Return `doc:lines`; the document alone where it has changed since."""
    if not source.line_start:
        return source.doc
    last = f"-{source.line_end}" if source.line_end != source.line_start else ""
    return f"{source.doc}:{source.line_start}{last}"


def _times(view: SessionView, turn: TurnView) -> str:
    name = turn.phase or turn.kind
    if turn.kind == "follow-up":
        name += ", follow-up"
    if view.total_s is None:
        return f"{name}, about {minutes(turn.seconds)}"
    ends = max((phase.end for phase in view.phases if phase.name == turn.phase), default=0)
    left = ends - view.elapsed_s
    phase = f"{minutes(left)} left" if left >= 0 else f"over by {minutes(-left)}"
    whole = max(0.0, view.total_s - view.elapsed_s)
    return f"{name}: {phase}; of the interview {minutes(whole)} of {minutes(view.total_s)} left"


def _scores(attempt: AttemptFeedback) -> str:
    if attempt.first_score is None:
        return "not graded"
    text = f"{percent(attempt.first_score)} of the points that count"
    if attempt.final_score != attempt.first_score:
        text += f", {percent(attempt.final_score)} after follow-ups"
    if attempt.hints:
        text += f", {attempt.hints} hint{'s' * (attempt.hints > 1)}"
    return text + (f"; not graded further: {attempt.gate}" if attempt.gate else "")


def _print_points(
    title: str, attempt: AttemptFeedback, points: Iterable[PointFeedback], labels: Labels
) -> None:
    points = list(points)
    if points:
        out.print(f"[bold]{title}[/bold]")
    for point in points:
        label = labels.get((attempt.attempt, point.point_id), "")
        state = _STATES.get(point.state, "")
        facts = ", ".join(filter(None, (state, point.weight if state else "", point.level)))
        out.print(
            f"[cyan]{escape(label):>3}[/cyan] {escape(point.text)}"
            + (f" [dim]({escape(facts)})[/dim]" if facts else "")
        )
        if point.own_words:
            _print_below(f'you: [green]"{escape(_line(point.own_words))}"[/green]')
        if point.state != "covered":
            quote = _line(point.source.quote)
            if quote.strip(".") != _line(point.text).strip("."):
                _print_below(f"[dim]> {escape(quote)}[/dim]")
            _print_below(f"[dim]{escape(lines_of(point.source))}[/dim]")


def _print_rest(attempt: AttemptFeedback) -> None:
    for flag in attempt.flags:
        said = f' you: "{_line(flag.quote)}"' if flag.quote else ""
        out.print(f"[red]Red flag:[/red] {escape(flag.text)}{escape(said)}")
        _print_below(f"{escape(flag.why)} Say instead: {escape(flag.better)}")
    for check in attempt.checks:
        note = f" ({check.note})" if check.note else ""
        right = f"{check.expression} = {check.expected}"
        out.print(
            f"{escape(check.name)}: [bold]{check.state}[/bold]{escape(note)}; {escape(right)}"
        )
    if attempt.level is not None:
        reach = "–".join(dict.fromkeys((attempt.level.low, attempt.level.high)))
        out.print(f"Level {escape(reach)}, low confidence ({escape(attempt.level.basis)})")
    if attempt.order:
        right = ", ".join(
            f"{name} {level}" for name, level in zip(NAMES, attempt.order, strict=False)
        )
        out.print(f"The levels were: {escape(right)}")
    for anchor in attempt.anchors:
        out.print(f"[bold]{escape(anchor.level)}[/bold] {escape(anchor.text)}")
        _print_below(f"[dim]{escape(anchor.note)}[/dim]")
    if attempt.model_answer and not attempt.anchors:
        out.print(f"[bold]Model answer[/bold] {escape(attempt.model_answer)}")


def _print_below(markup: str) -> None:
    out.print(Padding(Text.from_markup(markup), (0, 0, 0, 4), expand=False))


def _line(text: str) -> str:
    return " ".join(text.split())
