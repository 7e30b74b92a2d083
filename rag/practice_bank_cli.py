"""The commands `rag practice bank ...`: what was parsed, the rubrics included.

Imports of anything heavy are inside the commands. Exit codes as in rag/cli.py: `lint` ends with 1
where it finds something. Knows nothing of how the bank is parsed.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli_options import DataDir, Json

if TYPE_CHECKING:
    from ingest.documents import Document
    from rag.practice.bank import Bank, Estimate, PhaseClock, Probe, RedFlag

bank_app = typer.Typer(no_args_is_help=True, help="What practice asks, parsed from the corpus.")

OverrideFile = Annotated[
    Path | None,
    typer.Option(
        "--overrides",
        help="TOML file that drops or rewrites entries [practice-overrides.toml of the sources].",
        dir_okay=False,
    ),
]


@bank_app.command("list")
def bank_list(
    kind: Annotated[str | None, typer.Option(help="probe, transcript, quiz, ladder ...")] = None,
    topic: Annotated[str | None, typer.Option(help="Only probes on topics with this text.")] = None,
    company: Annotated[str | None, typer.Option(help="Only probes of this company.")] = None,
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the probes of the current index, and count the rest."""
    bank, _ = _bank(data_dir, overrides)
    probes = [p for p in bank.probes if _fits(p, kind, topic, company)]
    counts = _counts(bank)
    if as_json:
        rows = [_row(probe) for probe in probes]
        _print_json({"hash": bank.hash, "counts": counts, "probes": rows})
        return
    from rich.markup import escape

    from rag.terminal import err, out

    for probe in probes:
        points = f"{len(probe.points):>2} points"
        out.print(f"[cyan]{escape(probe.id)}[/cyan] [dim]{points}[/dim] {escape(probe.prompt)}")
    err.print(f"[dim]{', '.join(f'{n} {name}' for name, n in counts.items())}[/dim]")


@bank_app.command("show")
def bank_show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="An id that `bank list` prints.")],
    overrides: OverrideFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show one entry with its rubric and where it stands in the documents."""
    from rag.practice.errors import UnknownProbe

    bank, documents = _bank(data_dir, overrides)
    named: list[Probe | RedFlag | PhaseClock | Estimate] = [*bank.probes, *bank.red_flags]
    found = {one.id: one for one in [*named, *bank.clocks, *bank.estimates]}.get(entry)
    if found is None:
        raise UnknownProbe(f"nothing has the id {entry!r}: `rag practice bank list` prints the ids")
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    from rag.practice.bank import Probe as ProbeType

    if isinstance(found, ProbeType):
        _print_probe(found, documents)
    else:
        _print_json(dataclasses.asdict(found))


@bank_app.command("lint")
def bank_lint(
    overrides: OverrideFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Say what could not be parsed and what reads badly; exit code 1 if there is anything."""
    from rag.practice.parsing import lint

    bank, documents = _bank(data_dir, overrides)
    problems = lint(bank, documents)
    if as_json:
        _print_json({"hash": bank.hash, "counts": _counts(bank), "problems": problems})
    else:
        for problem in problems:
            sys.stdout.write(problem + "\n")
        sys.stderr.write(f"{len(problems)} problems in {len(bank.probes)} probes\n")
    if problems:
        raise typer.Exit(1)


def _bank(data_dir: Path | None, overrides: Path | None) -> tuple[Bank, list[Document]]:
    """Parse the bank of the current index; raises IndexMissing, IndexCorrupt or BankError."""
    from rag.practice.loading import load_bank
    from rag.settings import load_settings

    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    return load_bank(settings.data_dir, overrides)


def _fits(probe: Probe, kind: str | None, topic: str | None, company: str | None) -> bool:
    return (
        (kind is None or probe.kind == kind)
        and (topic is None or any(topic.casefold() in t.casefold() for t in probe.topics))
        and (company is None or company.casefold() in (c.casefold() for c in probe.companies))
    )


def _counts(bank: Bank) -> dict[str, int]:
    from collections import Counter

    kinds = Counter(probe.kind for probe in bank.probes)
    return {
        **dict(sorted(kinds.items())),
        "points": sum(len(probe.points) for probe in bank.probes),
        "red_flags": len(bank.red_flags),
        "clarifications": len(bank.clarifications),
        "clocks": len(bank.clocks),
        "lenses": len(bank.lenses),
        "estimates": len(bank.estimates),
    }


def _row(probe: Probe) -> dict[str, Any]:
    names = ("id", "kind", "prompt", "topics", "companies", "difficulty", "seconds")
    row = {name: getattr(probe, name) for name in names}
    return {**row, "doc": probe.span.doc, "points": len(probe.points)}


def _print_probe(probe: Probe, documents: list[Document]) -> None:
    from rich.markup import escape

    from rag.terminal import out

    text = next(d.text for d in documents if d.id == probe.span.doc_id)
    line = text.count("\n", 0, probe.span.start) + 1
    out.print(f"[bold]{escape(probe.prompt)}[/bold]")
    facts = [probe.kind, probe.difficulty, f"{probe.seconds} s", f"{probe.span.doc}:{line}"]
    out.print(f"[dim]{escape(', '.join(filter(None, facts)))}[/dim]")
    for name in ("context", "topics", "companies", "follow_ups"):
        if value := getattr(probe, name):
            shown = value if isinstance(value, str) else "; ".join(value)
            out.print(f"{name.replace('_', ' ')}: {escape(shown)}")
    for point in probe.points:
        line = text.count("\n", 0, point.span.start) + 1
        kind = " ".join(filter(None, (point.weight, point.facet, point.level)))
        out.print(f"- {escape(point.text)} [dim]({escape(kind)}; line {line})[/dim]")
        out.print(f"  [dim]{escape(point.id)} {escape(', '.join(point.numbers))}[/dim]")
    for row in probe.grid:
        out.print(f"[bold]{escape(row.dimension)}[/bold]: {escape(' | '.join(row.bars))}")
    for anchor in probe.anchors:
        out.print(f"[bold]{anchor.level}[/bold] {escape(anchor.text)}")
        out.print(f"   [dim]{escape(anchor.note)}[/dim]")
    if probe.model_answer and not probe.anchors:
        out.print(f"[bold]Model answer[/bold] {escape(probe.model_answer)}")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
