"""Checks the structures that practice mode parses: tables, probes, ladders, drills, estimates.

A check takes a page and yields (line, message). corpus/README.md describes the conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import takewhile

from eval.corpus_page import Page
from rag.practice.pages import Line, Section, Table, after, items, tables

POINT_WORDS = 25

Mistakes = Iterator[tuple[int, str]]

_HEADERS = (
    ("Probe", "Strong answer"),
    ("Dimension", "Weak", "Passing", "Strong", "Staff bar"),
    ("Red flag", "Why it hurts", "Say instead"),
    ("Curveball", "Strong response"),
    ("Ask", "Likely answer", "What it changes"),
    ("Phase", "Clock", "Do", "Avoid"),
    ("Company", "What they weigh", "Why", "Signal it by"),
    ("Step", "Budget", "Note"),
    ("Moment", "Say"),
    ("Question", "If", "Then"),
    ("Behaviour", "Strong candidate", "Average candidate"),
)
_LISTED = ("**Strong answer**", "**Bonus**", "**Strong answer signals**")
_LOOSE = re.compile(r"\*\*(strong answers?|bonus|strong answer signals?|strong signals?)[:*]", re.I)
_TURN = re.compile(r"(?:>\s*)?\*\*(?:Interviewer|Candidate)(?: note)?(?::\*\*|\*\*:)", re.I)
_EXACT_TURN = re.compile(r"\*\*(?:Interviewer|Candidate):\*\* \S|> \*\*Interviewer note:\*\* \S")
_SPAN = re.compile(r"(\d+):([0-5]\d)–(\d+):([0-5]\d)")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:–(\d+(?:\.\d+)?))? (?:min|ms|s|µs)")
_STEP = re.compile(r"[^:]+: ([\d,.\s×/+-]+) ([=≈]) (-?\d[\d,.]*)")
_PITFALL = re.compile(r"\*\*[^*]+[.?!]\*\* \S")
_ENTRY = re.compile(
    r"Asked by: [^;]+; difficulty: (easy|medium|hard)(, \w+)*; tags: [^;]+\.( \(.*\))?$"
)
_POST_MORTEM = ("Setup", "What happened", "The moment", "Better answer", "Lesson")


def table_forms(page: Page) -> Mistakes:
    """Require the exact header, full rows, and clocks and budgets that can be read."""
    for table in tables(page.lines):
        for number, cells in table.rows:
            if len(cells) != len(table.header):
                yield number, f"has {len(cells)} cells, the header has {len(table.header)}"
        near = [header for header in _HEADERS if len(set(header) & set(table.header)) > 1]
        if not near:
            continue
        if table.header not in near:
            yield table.line, f"a header of practice mode is | {' | '.join(near[0])} |"
        else:
            yield from _rows(table)


def _rows(table: Table) -> Mistakes:
    for number, cells in table.rows:
        row = dict(zip(table.header, cells, strict=False))
        empty = [name for name, cell in row.items() if not cell and name != "Note"]
        if empty:
            yield number, f"the cell {empty[0]!r} is empty"
        if "Clock" in row and not _clock(row["Clock"]):
            yield number, f"the clock {row['Clock']!r} is neither `0:00–5:00` nor `5–8 min`"
        if "Budget" in row and not _ascending(row["Budget"]):
            yield number, f"the budget {row['Budget']!r} is not a number with a unit, `15 ms`"
        if table.header[0] == "Probe":
            yield from _too_long(number, re.split(r";|\bAlso:", row["Strong answer"]))
        if table.header[0] == "Ask":
            answers, changes = row["Likely answer"].split(";"), row["What it changes"].split(";")
            if len(answers) not in (1, len(changes)):
                yield number, f"{len(answers)} likely answers, but {len(changes)} changes"


def probes(page: Page) -> Mistakes:
    """Require a list of points below every marker, and short points."""
    for section in page.sections():
        if section.title.startswith("Probe: ") and not after(section.lines, "**Strong answer**"):
            yield section.line, "the probe has no list below `**Strong answer**`"
    for at, (number, text) in enumerate(page.lines):
        if text.rstrip() in _LISTED:
            points = after(page.lines[at:], text.rstrip())
            if not points:
                yield number, f"no list follows {text.rstrip()}"
            for line, point in items(points or ()):
                yield from _too_long(line, [point])
        elif _LOOSE.match(text):
            yield number, f"a marker stands alone on its line and is one of {', '.join(_LISTED)}"


def ladders(page: Page) -> Mistakes:
    """Require four levels in order, each with its note."""
    for ladder in _of_kind(page, "Ladder: "):
        steps = [s for s in page.sections() if s.level == 4 and _within(s, ladder)]
        if [step.title for step in steps] != ["L4", "L5", "L6", "L7"]:
            yield ladder.line, "a ladder has the headings #### L4, L5, L6 and L7, in order"
        for step in steps:
            note = "**What scored:**" if step.title == "L7" else "**Missed:**"
            if not _paragraph(step.lines, note):
                yield step.line, f"{step.title} has no paragraph that begins {note}"


def drills(page: Page) -> Mistakes:
    """Require a time limit, a prompt, a grid, a model answer, a list of failures."""
    for drill in _of_kind(page, "Drill: "):
        if not any(re.fullmatch(r"Time limit: \d+ minutes", text) for _, text in drill.lines):
            yield drill.line, "the drill has no line `Time limit: 15 minutes`"
        if not _paragraph(drill.lines, "**Prompt:**"):
            yield drill.line, "the drill has no paragraph that begins **Prompt:**"
        if not any(table.header == _HEADERS[1] for table in tables(drill.lines)):
            yield drill.line, f"the drill has no grid | {' | '.join(_HEADERS[1])} |"
        parts = {s.title: s for s in page.sections() if s.level == 4 and _within(s, drill)}
        if "Model answer" not in parts:
            yield drill.line, "the drill has no `#### Model answer`"
        if "Common failures" not in parts or not list(items(parts["Common failures"].lines)):
            yield drill.line, "the drill has no list below `#### Common failures`"


def estimates(page: Page) -> Mistakes:
    """Require what is given, steps that recompute, and a result."""
    for section in _of_kind(page, "Estimate: "):
        for start in ("Given", "Result"):
            if not any(re.match(rf"{start}(?: \(ours\))?: ", text) for _, text in section.lines):
                yield section.line, f"the estimate has no paragraph that begins `{start}:`"
        steps = [line for line in section.lines if re.match(r"\d+\. | ", line[1])]
        if not steps:
            yield section.line, "the estimate has no numbered steps"
        for number, step in items(steps):
            yield from _step(number, step)


def post_mortems(page: Page) -> Mistakes:
    """Require five paragraphs, in order."""
    for section in _of_kind(page, "Post-mortem: "):
        starts = [match[1] for _, x in section.lines if (match := re.match(r"\*\*([^*]+):\*\*", x))]
        if [start for start in starts if start in _POST_MORTEM] != list(_POST_MORTEM):
            yield section.line, f"needs, in order, paragraphs with {', '.join(_POST_MORTEM)}"


def pitfalls(page: Page) -> Mistakes:
    """Require a bullet for each pitfall, with its name in bold."""
    for section in page.sections():
        if section.title in ("Pitfalls", "What goes wrong?"):
            found = list(items(list(takewhile(lambda x: not x[1].startswith("**"), section.lines))))
            if not found:
                yield section.line, "has no list: one pitfall a bullet"
            for number, text in found:
                if not _PITFALL.match(text):
                    yield number, "a pitfall reads `- **Feedback loop.** What goes wrong. ...`"


def turns(page: Page) -> Mistakes:
    """Require that a turn begins a paragraph, and that an entry says who asks it."""
    previous = ""
    for number, text in page.lines:
        if _TURN.match(text) and (previous.strip() or not _EXACT_TURN.match(text)):
            yield number, "a turn begins a paragraph with **Interviewer:** or **Candidate:**"
        if text.startswith("Asked by:") and not _ENTRY.match(text):
            yield number, "reads `Asked by: A, B; difficulty: hard; tags: x, y.`"
        previous = text


STRUCTURES = (table_forms, probes, ladders, drills, estimates, post_mortems, pitfalls, turns)


def recompute(expression: str) -> Fraction:
    """Return the exact value of numbers joined by × / + -; raises ValueError, ZeroDivisionError."""
    total = Fraction(0)
    for sign, term in re.findall(r"([+-]?)([^+-]+)", expression.replace(",", "")):
        value = Fraction(1)
        for number in re.split(r"(?=[×/])", f"×{term.strip()}")[1:]:
            factor = Fraction(number[1:].strip())
            value = value * factor if number[0] == "×" else value / factor
        total += -value if sign == "-" else value
    return total


def _step(number: int, step: str) -> Mistakes:
    match = _STEP.match(step)
    if not match:
        yield number, "a step reads `name: 25 × 120 / 200 = 15 ms`, with × / + - only"
        return
    try:
        exact, stated = recompute(match[1]), Fraction(match[3].replace(",", "").rstrip("."))
    except (ValueError, ZeroDivisionError):
        yield number, f"the expression {match[1]!r} cannot be computed"
        return
    # A rounded result may be off by 1%; `=` is exact.
    if abs(exact - stated) > (abs(exact) / 100 if match[2] == "≈" else 0):
        yield number, f"{match[1]} is {float(exact):,g}, not {match[3]}"


def _too_long(number: int, points: Sequence[str]) -> Mistakes:
    for point in points:
        if (count := len(point.split())) > POINT_WORDS:
            yield number, f"a point has {count} words, over {POINT_WORDS}: {point.strip()[:40]}..."


def _clock(text: str) -> bool:
    if span := _SPAN.fullmatch(text):
        first, a, last, b = map(int, span.groups())
        return (first, a) < (last, b)
    return text.endswith(" min") and _ascending(text)


def _ascending(text: str) -> bool:
    match = _RANGE.fullmatch(text)
    return match is not None and (match[2] is None or float(match[1]) < float(match[2]))


def _of_kind(page: Page, start: str) -> list[Section]:
    return [s for s in page.sections() if s.level == 3 and s.title.startswith(start)]


def _within(inner: Section, outer: Section) -> bool:
    last = outer.lines[-1][0] if outer.lines else outer.line
    return outer.line < inner.line <= last


def _paragraph(lines: Sequence[Line], start: str) -> bool:
    return any(text.startswith(f"{start} ") for _, text in lines)
