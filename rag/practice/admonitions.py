"""Question-bank entries whose answer is an mkdocs admonition below a line of difficulty and tags.

The answer is labelled lists and tables; a label and its items become points together, since an
item alone says too little. Knows no other structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rag.practice.bank import Probe, Weight
from rag.practice.pages import Line, Section, sections
from rag.practice.points import POINT_WORDS, Piece, piece, plain, sentence_points
from rag.practice.source import Draft, Source

_HEAD = re.compile(r"\*\*Difficulty:\*\*\s*\W*(\w+)")
_TAGS = re.compile(r"\*\*Tags:\*\*\s*([^|]+)")
_ASKED = re.compile(r"\*\*Asked by:\*\*\s*([^|]+)")
_COMPANIES = re.compile(r"\s+[-–]\s+.*\bQuestion$")
_LABEL = re.compile(r"\s+\*\*([^*]+):\*\*\s*(.*)$")
_ITEM = re.compile(r"\s+(?:[-*]|\d+\.)\s+(.*\S)")
_ROW = re.compile(r"\s+\|(.+)\|\s*$")
_PITFALL = re.compile(r"\s+❌\s+(.*\S)")
_INSIGHT = re.compile(r"\s+!!!\s.*[Ii]nsight")
_SETTING = re.compile(r"requirement|use case|tool|benefit|example|real-world|number", re.I)
_SHOWN = re.compile(r"architecture|implementation|pipeline$|what they", re.I)


@dataclass(slots=True)
class _Group:
    label: str
    start: int
    items: list[tuple[int, int, str]] = field(default_factory=list)
    rows: int = 0  # of a table; the first two are its header and rule


def parse_admonitions(source: Source) -> Iterator[Probe]:
    """Yield a probe for every heading that a line with a difficulty follows."""
    if "**Difficulty:**" not in source.text:
        return
    for section in sections(source.lines):
        filled = [line for line in section.lines if line[1].strip()]
        if filled and (head := _HEAD.search(filled[0][1])):
            yield _entry(source, section, filled, head[1].lower())


def _entry(source: Source, section: Section, lines: Sequence[Line], difficulty: str) -> Probe:
    tags, asked = (pattern.search(lines[0][1]) for pattern in (_TAGS, _ASKED))
    return source.probe(
        "entry",
        _COMPANIES.sub("", plain(section.title)),
        _drafts(source, lines[1:]),
        (section.line, source.end(lines, section.line)),
        cap=True,
        difficulty=difficulty,
        topics=tuple(re.findall(r"`([^`]+)`", tags[1])) if tags else (),
        companies=tuple(name.strip() for name in asked[1].split(",")) if asked else (),
    )


def _drafts(source: Source, lines: Sequence[Line]) -> list[Draft]:
    """Return the signals and the insight first, since they say what counts."""
    insight = next((n for n, (_, text) in enumerate(lines) if _INSIGHT.match(text)), len(lines))
    first, signals = _insight(source, lines[insight + 1 :])
    groups: list[Draft] = []
    for group in _groups(lines[:insight]):
        if _SHOWN.search(group.label):
            continue
        plainly = not signals and not _SETTING.search(group.label)
        weight: Weight = "vital" if plainly else "okay"
        groups += [Draft(found, weight) for found in _pieces(group)]
    return [*first, *groups, *_pitfalls(source, lines[:insight])]


def _insight(source: Source, lines: Sequence[Line]) -> tuple[list[Draft], bool]:
    drafts: list[Draft] = []
    signals = False
    for start, text in lines:
        if not text.startswith(" "):
            break
        if "signals" in text:
            signals = True
        elif match := _ITEM.match(text):
            drafts.append(Draft(piece(source.text, start + match.start(1), start + match.end(1))))
        elif not _LABEL.match(text):
            drafts += map(Draft, sentence_points(source.text, start, start + len(text)))
    return drafts, signals


def _groups(lines: Sequence[Line]) -> Iterator[_Group]:
    """Yield each label with the items, table rows or text below it."""
    group: _Group | None = None
    for start, text in lines:
        if label := _LABEL.match(text):
            if group:
                yield group
            group = _Group(label[1], start + label.start(1) - 2)
            if label[2]:
                group.items.append((start + label.start(2), start + len(text), plain(label[2])))
        elif group and (item := _ITEM.match(text)):
            group.items.append((start + item.start(1), start + item.end(1), plain(item[1])))
        elif group and (row := _ROW.match(text)):
            group.rows += 1
            if group.rows > 2:
                name, *rest = (plain(cell) for cell in row[1].split("|"))
                span = (start + row.start(1), start + row.end(1))
                group.items.append((*span, f"{name}: {', '.join(rest)}"))
    if group:
        yield group


def _pieces(group: _Group) -> Iterator[Piece]:
    """Yield the label with as many items as fit into a point, until all are told."""
    words, end, told = f"{group.label}: ", group.start, 0
    for _, stop, text in group.items:
        if told and len(f"{words}; {text}".split()) > POINT_WORDS:
            yield Piece(group.start, end, words)
            words, told = f"{group.label}: ", 0
        words += f"; {text.removesuffix('.')}" if told else text.removesuffix(".")
        end, told = stop, told + 1
    if told:
        yield Piece(group.start, end, words)


def _pitfalls(source: Source, lines: Sequence[Line]) -> Iterator[Draft]:
    for start, text in lines:
        if match := _PITFALL.match(text):
            found = piece(source.text, start + match.start(1), start + match.end(1))
            yield Draft(found, "okay", facet="failure")
