"""Lines of Markdown as sections, tables and lists.

A line carries where it stands, a line number or an offset as the caller likes, and everything
found says where it begins in the same terms. Knows nothing of what the structures mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Line = tuple[int, str]

HEADING = re.compile(r"(#{1,6}) (.*\S)\s*$")
ITEM = re.compile(r"(?:-|\d+\.) +(.*)$")
_CELLS = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+$")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the lines below it, up to the next heading of its level or a higher one."""

    level: int
    title: str
    line: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a table, stripped; `rows` are its body."""

    line: int
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def sections(lines: Sequence[Line]) -> Iterator[Section]:
    """Yield every section, a section before those within it."""
    heads = [
        (at, len(match[1]), match[2])
        for at, (_, text) in enumerate(lines)
        if text.startswith("#") and (match := HEADING.match(text))
    ]
    for number, (at, level, title) in enumerate(heads):
        rest = (other for other, depth, _ in heads[number + 1 :] if depth <= level)
        end = next(rest, len(lines))
        yield Section(level, title, lines[at][0], tuple(lines[at + 1 : end]))


def tables(lines: Sequence[Line]) -> Iterator[Table]:
    """Yield the tables in `lines`."""
    at = 0
    while at + 1 < len(lines):
        number, text = lines[at]
        at += 1
        if not (text.startswith("|") and _RULE.match(lines[at][1])):
            continue
        at += 1
        rows = []
        while at < len(lines) and lines[at][1].startswith("|"):
            rows.append((lines[at][0], _split(lines[at][1])))
            at += 1
        yield Table(number, _split(text), tuple(rows))


def items(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the items of the lists in `lines`, each joined to one line, without their markers."""
    for item in item_lines(lines):
        match = ITEM.match(item[0][1])
        rest = (text.strip() for _, text in item[1:])
        yield item[0][0], " ".join([match[1] if match else "", *rest])


def item_lines(lines: Sequence[Line]) -> Iterator[tuple[Line, ...]]:
    """Yield the lines of each item of the lists in `lines`, the marker included."""
    current: list[Line] = []
    for line in lines:
        match = ITEM.match(line[1])
        if current and (match or not line[1].startswith(" ")):
            yield tuple(current)
            current = []
        if match or current:
            current.append(line)
    if current:
        yield tuple(current)


def after(lines: Sequence[Line], marker: str) -> tuple[Line, ...] | None:
    """Return the list right below the line `marker`, without blank lines; None without marker."""
    starts = [at for at, (_, text) in enumerate(lines) if text.rstrip() == marker]
    if not starts:
        return None
    found: list[Line] = []
    for number, text in lines[starts[0] + 1 :]:
        if text.strip() and not (ITEM.match(text) or (found and text.startswith(" "))):
            break
        if text.strip():
            found.append((number, text))
    return tuple(found)


def _split(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _CELLS.split(row.strip())[1:-1])
