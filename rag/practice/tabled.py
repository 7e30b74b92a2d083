"""The tables that practice reads: probes, red flags, curveballs, questions to ask, clocks, lenses.

A table is known by its first and second header. Knows nothing of what stands around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rag.practice.bank import (
    Clarification,
    CompanyLens,
    Detector,
    Estimate,
    Phase,
    PhaseClock,
    Probe,
    ProbeKind,
    RedFlag,
)
from rag.practice.pages import Table, tables
from rag.practice.points import cell_points, plain
from rag.practice.source import Draft, Source

# What a parser yields; a string says what it could not read.
Entry = Probe | RedFlag | Clarification | PhaseClock | CompanyLens | Estimate | str
_Row = tuple[int, list[tuple[int, int]]]

_SPAN = re.compile(r"(\d+):([0-5]\d)\s?[–-]\s?(\d+):([0-5]\d)")
_LENGTH = re.compile(r"(\d+)(?:\s?[–-]\s?(\d+))?\s?min")
_ABSENCE = re.compile(r"^(?:no|did not|ignor\w*|skip\w*|missing|without)\b|\bignored$", re.I)
_CLOCK = re.compile(r"\b(?:over time|running over|out of time)\b", re.I)


def parse_tables(source: Source) -> Iterator[Entry]:
    """Yield the entries of every table whose header practice knows."""
    for table in tables(source.lines):
        header = tuple(name.lower() for name in table.header)
        parse = _PARSERS.get(header[:2])
        if parse and len(header) == _WIDTH[header[0]]:
            rows = [
                (at, source.cells(at, cells))
                for at, cells in table.rows
                if len(cells) == len(header)
            ]
            yield from parse(source, table, rows)


def detector_of(flag: str) -> Detector:
    """Return how a red flag shows: in what is not said, on the clock, or in words."""
    if _CLOCK.search(flag):
        return "clock"
    return "absence" if _ABSENCE.search(flag) else "lexical"


def red_flag(source: Source, texts: tuple[str, str, str], span: tuple[int, int]) -> RedFlag:
    """Return a red flag: what is done, why it hurts, what to do instead."""
    text, why, better = texts
    identity = source.identify("flag", text)
    return RedFlag(identity, text, why, better, detector_of(text), source.span(*span))


def _probes(source: Source, table: Table, rows: list[_Row]) -> Iterator[Entry]:
    kind: ProbeKind = "curveball" if table.header[0] == "Curveball" else "probe"
    for at, (asked, answer) in rows:
        vital, okay = cell_points(source.text, *answer)
        drafts = [*map(Draft, vital), *(Draft(piece, "okay") for piece in okay)]
        yield source.probe(kind, plain(source.text[slice(*asked)]), drafts, (at, answer[1]))


def _red_flags(source: Source, table: Table, rows: list[_Row]) -> Iterator[Entry]:
    for at, cells in rows:
        text, why, better = (plain(source.text[slice(*cell)]) for cell in cells)
        yield red_flag(source, (text, why, better), (at, cells[-1][1]))


def _clarifications(source: Source, table: Table, rows: list[_Row]) -> Iterator[Entry]:
    for at, (asked, likely, changes) in rows:
        answers, effects = (
            tuple(plain(part) for part in source.text[slice(*cell)].split(";"))
            for cell in (likely, changes)
        )
        if len(answers) == 1 and len(effects) > 1:  # one answer that changes several things
            effects = ("; ".join(effects),)
        question = plain(source.text[slice(*asked)])
        yield Clarification(question, answers, effects, source.span(at, changes[1]))


def _lenses(source: Source, table: Table, rows: list[_Row]) -> Iterator[Entry]:
    for at, cells in rows:
        company, weighs, why, signal = (plain(source.text[slice(*cell)]) for cell in cells)
        yield CompanyLens(company, weighs, why, signal, source.span(at, cells[-1][1]))


def _clock(source: Source, table: Table, rows: list[_Row]) -> Iterator[Entry]:
    phases: list[Phase] = []
    for _, cells in rows:
        name, clock, do, avoid = (plain(source.text[slice(*cell)]) for cell in cells)
        seconds = clock_range(clock, phases[-1].end if phases else 0)
        if seconds is None:
            yield f"{source.document.uri}: the clock {clock!r} of {name!r} cannot be read"
            return
        phases.append(Phase(name, *seconds, do, avoid))
    if phases:
        yield phase_clock(source, phases, (table.line, rows[-1][1][-1][1]))


def phase_clock(source: Source, phases: list[Phase], span: tuple[int, int]) -> PhaseClock:
    """Return a clock, named after the heading it stands below."""
    where = source.span(*span)
    title = where.heading_path[-1] if where.heading_path else source.document.title
    return PhaseClock(source.identify("clock", title), tuple(phases), where)


def clock_range(clock: str, begin: int) -> tuple[int, int] | None:
    """Return start and end in seconds; a length, `5–8 min`, counts from `begin` by its middle."""
    if span := _SPAN.search(clock):
        first, a, last, b = map(int, span.groups())
        return first * 60 + a, last * 60 + b
    if length := _LENGTH.search(clock):
        low = int(length[1])
        return begin, begin + 30 * (low + int(length[2] or low))
    return None


_PARSERS: dict[tuple[str, ...], Callable[[Source, Table, list[_Row]], Iterator[Entry]]] = {
    ("probe", "strong answer"): _probes,
    ("probe", "strong answer direction"): _probes,
    ("curveball", "strong response"): _probes,
    ("red flag", "why it hurts"): _red_flags,
    ("ask", "likely answer"): _clarifications,
    ("phase", "clock"): _clock,
    ("phase", "time"): _clock,
    ("company", "what they weigh"): _lenses,
}
_WIDTH = {"probe": 2, "curveball": 2, "red flag": 3, "ask": 3, "phase": 4, "company": 4}
