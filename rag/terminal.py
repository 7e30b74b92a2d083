"""What the commands show on a terminal: tables, progress bars, an answer as it is written.

Answers and tables go to stdout, progress to stderr. Knows nothing of how results are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rag.answers import Answer, Event

out = Console(highlight=False, emoji=False)  # `:100:` in a document is text
err = Console(stderr=True, highlight=False, emoji=False)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback (what, done, total); one bar, on stderr, only where that is a terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            progress.update(task, description=what[-60:], completed=done, total=total or None)

        yield update


def print_answer_stream(events: Iterable[Event]) -> Answer:
    """Print an answer as its sentences arrive, then the citations; return the answer."""
    from rag.answers import Condensed, Done, SentenceReady, Sources

    shown = 0
    answer: Answer | None = None
    markers: dict[str, str] = {}
    status = err.status("searching ...") if err.is_terminal else None
    if status:
        status.start()
    try:
        for event in events:
            if isinstance(event, Condensed):
                out.print(f"[dim]asked as: {escape(event.question)}[/dim]")
            elif isinstance(event, Sources) and status:
                status.update("reading the passages and writing ...")
            elif isinstance(event, SentenceReady):
                markers |= {c.id: c.marker for c in event.citations}
                out.print(_sentence(event.sentence.text, event.sentence.citations, markers))
                shown += 1
            elif isinstance(event, Done):
                answer = event.answer
    finally:
        if status:
            status.stop()
    assert answer is not None, "a stream ends with Done"
    if not shown:
        markers = {c.id: c.marker for c in answer.citations}
        for sentence in answer.sentences:
            out.print(_sentence(sentence.text, sentence.citations, markers))
    _print_foot(answer)
    return answer


def _sentence(text: str, citations: Sequence[str], markers: Mapping[str, str]) -> str:
    marks = "".join(markers[c] for c in citations)
    return f"{escape(text)} [cyan]{escape(marks)}[/cyan]"


def _print_foot(answer: Answer) -> None:
    if answer.status == "abstained":
        out.print(f"[yellow]Not in the corpus.[/yellow] {escape(answer.message)}")
        for hit in answer.hits[:3]:
            heading = " > ".join(hit.chunk.heading_path[-2:])
            out.print(f"  [dim]nearest: {escape(heading)}[/dim]")
    for citation in answer.citations:
        heading = " > ".join(citation.heading_path[-2:]) or citation.title
        lines = f"lines {citation.line_start}-{citation.line_end}"
        if citation.line_start == citation.line_end:
            lines = f"line {citation.line_start}"
        out.print()
        out.print(
            f"[cyan]{escape(citation.marker)}[/cyan] [bold]{escape(citation.doc)}[/bold], "
            f"{escape(heading)}, {lines}"
        )
        out.print(f"    [dim]{escape(' '.join(citation.quote.split()))}[/dim]")
    for rejected in answer.rejected:
        err.print(f"[dim]left out: {escape(rejected.text)} ({escape(rejected.reason)})[/dim]")
    if answer.degraded:
        err.print(f"[yellow]degraded: {escape(', '.join(answer.degraded))}[/yellow]")
    seconds = answer.timings_ms.get("total", 0.0) / 1000
    by = answer.model or "search"
    likely = f"answerable with probability {answer.answerability:.2f}"
    err.print(f"[dim]{escape(answer.status)} by {escape(by)} in {seconds:.1f} s, {likely}[/dim]")


def print_source(source: Mapping[str, Any]) -> None:
    """Print the passage of a citation, every line with its number, those of the quote bright."""
    heading = " > ".join(source["heading_path"][-2:]) or source["title"]
    out.print(f"[bold]{escape(source['doc'])}[/bold], {escape(heading)}")
    for number, line in enumerate(source["lines"], start=source["passage_line"]):
        quoted = source["line_start"] <= number <= source["line_end"]
        style = "" if quoted else "dim"
        out.print(f"[cyan]{number:>5}[/cyan]  {escape(line)}", style=style)


def print_hits(found: Mapping[str, Any]) -> None:
    """Print the hits of `rag search`."""
    for hit in found["hits"]:
        heading = " > ".join(hit["heading_path"][-3:])
        out.print(
            f"[cyan]{hit['rank']:>2}[/cyan] {hit['score']:.3f} [bold]{escape(hit['doc'])}[/bold]"
            f":{hit['line_start']}  {escape(heading)}"
        )
        out.print(f"     [dim]{escape(' '.join(hit['text'].split())[:300])}[/dim]")
    timings = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in found["timings_ms"].items())
    err.print(f"[dim]{timings}[/dim]")
    if found["degraded"]:
        err.print(f"[yellow]degraded: {escape(', '.join(found['degraded']))}[/yellow]")


def print_ingest(report: Mapping[str, Any]) -> None:
    """Print the report of `rag ingest`."""
    counts = ("documents", "chunks", "questions", "added", "changed", "removed", "unchanged")
    out.print(", ".join(f"{report[name]} {name}" for name in counts if report.get(name)))
    if report.get("repaired_lines"):
        out.print(f"{report['repaired_lines']} mis-decoded lines repaired")
    for skipped in report["skipped"]:
        out.print(
            f"[yellow]skipped {escape(skipped['path'])}: {escape(skipped['reason'])}[/yellow]"
        )
    for name in ("duplicates", "near_duplicates"):
        pairs = report.get(name) or []
        if pairs:
            out.print(f"{len(pairs)} {name.replace('_', ' ')} (--json lists them)")
    out.print(f"[dim]generation {report['generation']}, {report['seconds']} s[/dim]")


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of `rag models list`, with the notice and path of each model below it."""
    table = Table()
    for column in ("name", "role", "licence", "size", "state"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        state = "verified" if row["verified"] else "damaged" if row["present"] else "missing"
        table.add_row(
            row["name"], row["role"], row["licence"], f"{row['size'] / 1e6:.0f} MB", state
        )
    out.print(table)
    for row in rows:
        out.print(f"[bold]{escape(row['name'])}[/bold]: {escape(row['notice'])}")
        out.print(f"    [dim]{escape(str(row['path']))}[/dim]", soft_wrap=True)


def print_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    """Print what `rag doctor` found."""
    for finding in findings:
        mark = "[green]ok[/green]     " if finding["ok"] else "[red]missing[/red]"
        out.print(f"{mark} {escape(finding['what'])}: {escape(finding['detail'])}")
        if not finding["ok"]:
            out.print(f"        fix: [bold]{escape(finding['fix'])}[/bold]")
