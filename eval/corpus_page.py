"""A study document as its structures: front matter, sections, tables, lists, in lines of the file.

Line numbers count from 1; code and diagrams are blanked. Knows nothing of what a corpus must hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Line = tuple[int, str]

_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)
_FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"(#{1,6}) (.*\S)\s*$")
_ITEM = re.compile(r"(?:-|\d+\.) +(.*)$")
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


@dataclass(frozen=True, slots=True)
class Page:
    """One file; `front` is None where the front matter is missing or no mapping."""

    path: Path
    front: Mapping[str, Any] | None
    lines: tuple[Line, ...]

    def sections(self) -> Iterator[Section]:
        """Yield every section, a section before those within it."""
        heads = [
            (at, len(match[1]), match[2])
            for at, (_, text) in enumerate(self.lines)
            if (match := _HEADING.match(text))
        ]
        for number, (at, level, title) in enumerate(heads):
            rest = (other for other, depth, _ in heads[number + 1 :] if depth <= level)
            end = next(rest, len(self.lines))
            yield Section(level, title, self.lines[at][0], self.lines[at + 1 : end])


def read_page(path: Path) -> Page:
    """Read a Markdown file; raises OSError or UnicodeDecodeError."""
    text = path.read_text(encoding="utf-8")
    match = _FRONT_MATTER.match(text)
    front = None
    if match:
        try:
            front = yaml.safe_load(match[1])
        except yaml.YAMLError:
            front = None
    skipped = text[: match.end()].count("\n") if match else 0
    body = text[match.end() :] if match else text
    body = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), body)
    lines = tuple(enumerate(body.split("\n"), start=skipped + 1))
    return Page(path, front if isinstance(front, dict) else None, lines)


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
    current: Line | None = None
    for number, text in lines:
        match = _ITEM.match(text)
        if current and (match or not text.startswith(" ")):
            yield current
            current = None
        if match:
            current = (number, match[1])
        elif current:
            current = (current[0], f"{current[1]} {text.strip()}")
    if current:
        yield current


def after(lines: Sequence[Line], marker: str) -> tuple[Line, ...] | None:
    """Return the list right below the line `marker`, without blank lines; None without marker."""
    starts = [at for at, (_, text) in enumerate(lines) if text.rstrip() == marker]
    if not starts:
        return None
    found: list[Line] = []
    for number, text in lines[starts[0] + 1 :]:
        if text.strip() and not (_ITEM.match(text) or (found and text.startswith(" "))):
            break
        if text.strip():
            found.append((number, text))
    return tuple(found)


def _split(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _CELLS.split(row.strip())[1:-1])
