"""Structures of documents without markup: ladders, a drill with its grid, quizzes, clocks, lenses.

Known by the words that a line consists of; a table whose cells were glued together is cut where a
capital follows a small letter. Knows nothing of Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ingest.segments import REVEAL
from ingest.structure import parse_blocks
from rag.practice.bank import AnchorAnswer, Clarification, CompanyLens, GridRow, Phase
from rag.practice.levels import LEVELS, anchor, failure, grid_drafts, ladder_drafts
from rag.practice.pages import Line
from rag.practice.points import plain, sentence_points
from rag.practice.source import Draft, Source
from rag.practice.tabled import Entry, phase_clock

_LEVEL = re.compile(r"(L[4-7]) · \w+$")
_MISSED = re.compile(r"Missed:\s*")
_DRILL = re.compile(r"Drill · (\d+) minutes$")
_GRID = re.compile(r"Dimension ?Weak ?Passing ?Strong ?Staff bar$")
_GLUE = re.compile(r"(?<=[a-z.'’])(?=[A-Z])")
_QUESTION_WORDS = 40  # what is longer above a hidden answer is no question
_BULLET = re.compile(r"\s*[•·-]\s*")
_NAMED_PHASE = re.compile(r"- (?P<name>.+?) \((?P<a>\d+)–(?P<b>\d+) min\)\s*—\s*(?P<do>.+)$")
_TIMED_PHASE = re.compile(r"- (?P<a>\d+)–(?P<b>\d+) min: (?P<do>.+)$")
_LENS = re.compile(r"\s*•\s*·([A-Z][^:]{2,60}): (.+)$")
_SIGNAL = re.compile(r"\s*•\s*For ([^:]+): (.+)$")


def parse_unmarked(source: Source) -> Iterator[Entry]:
    """Yield the entries of a document without markup."""
    if source.is_markdown:
        return
    yield from _ladders(source)
    yield from _drills(source)
    yield from _questions(source)
    yield from _clocks(source)
    yield from _lenses(source)


def _filled(source: Source) -> list[Line]:
    """Return the lines that are not blank, without margins."""
    return [
        (start + len(text) - len(text.lstrip()), text.strip())
        for start, text in source.lines
        if text.strip()
    ]


def _ladders(source: Source) -> Iterator[Entry]:
    lines = _filled(source)
    heads = [n for n, (_, text) in enumerate(lines) if text == "Calibration ladder"]
    for number, head in enumerate(heads):
        stop = heads[number + 1] if number + 1 < len(heads) else len(lines)
        yield from _ladder(source, lines[head + 1 : stop])


def _ladder(source: Source, lines: Sequence[Line]) -> Iterator[Entry]:
    anchors: list[AnchorAnswer] = []
    drafts: list[Draft] = []
    end = lines[0][0]
    for (_, text), answer, note in zip(lines, lines[1:], lines[2:], strict=False):
        if not (match := _LEVEL.match(text)) or len(anchors) == len(LEVELS):
            continue
        missed = _MISSED.match(note[1])
        if match[1] == LEVELS[-1]:  # a line with the label stands above the note
            note = lines[min(lines.index(note) + 1, len(lines) - 1)]
        start = note[0] + (missed.end() if missed else 0)
        end = note[0] + len(note[1])
        body = (answer[0], answer[0] + len(answer[1]))
        below = anchors[-1] if anchors else None
        anchors.append(anchor(source, match[1], body, plain(source.text[start:end]), below))
        drafts += ladder_drafts(source, match[1], (start, end))
    prompt = lines[0][1]
    if tuple(found.level for found in anchors) != LEVELS:
        yield f"{source.document.uri}: the ladder {prompt!r} lacks one of {', '.join(LEVELS)}"
        return
    yield source.probe(
        "ladder",
        prompt,
        drafts,
        (lines[0][0], end),
        anchors=tuple(anchors),
        model_answer=anchors[-1].text,
    )


def _drills(source: Source) -> Iterator[Entry]:
    lines = _filled(source)
    for number, (start, text) in enumerate(lines):
        if not (limit := _DRILL.match(text)):
            continue
        header = next((n for n in range(number, len(lines)) if _GRID.match(lines[n][1])), None)
        if header is None:
            yield f"{source.document.uri}: the drill of {limit[1]} minutes has no rubric grid"
            continue
        asked = max(lines[number + 1 : header], key=lambda line: len(line[1]))
        rows = list(_glued_rows(source, lines[header + 1 :]))
        rest = lines[header + 1 + len(rows) :]
        model = plain(rest[1][1]) if rest and rest[0][1].startswith("Reveal") else ""
        drafts = [draft for _, bars in rows for draft in grid_drafts(source, bars)]
        failures = list(_failures(source, rest))
        yield source.probe(
            "drill",
            plain(asked[1]),
            drafts,
            (start, rest[1][0] + len(rest[1][1]) if model else rest[0][0]),
            seconds=60 * int(limit[1]),
            grid=tuple(row for row, _ in rows),
            model_answer=model,
        )
        yield from failures


def _glued_rows(
    source: Source, lines: Sequence[Line]
) -> Iterator[tuple[GridRow, list[tuple[int, int]]]]:
    """Yield the rows of a grid whose cells have no delimiters, while five cells can be told."""
    for start, text in lines:
        cuts = [0, *(match.start() for match in _GLUE.finditer(text)), len(text)]
        if len(cuts) != 6:
            return
        ranges = [(start + a, start + b) for a, b in pairwise(cuts)]
        texts = [plain(source.text[slice(*cell)]) for cell in ranges]
        row = GridRow(texts[0], tuple(texts[1:]), source.span(start, start + len(text)))
        yield row, ranges[1:]


def _failures(source: Source, lines: Sequence[Line]) -> Iterator[Entry]:
    at = next((n for n, (_, text) in enumerate(lines) if text == "Common failures"), None)
    for start, text in lines[at + 1 :] if at is not None else ():
        if not (bullet := _BULLET.match(text)):
            return
        yield failure(source, start + bullet.end(), start + len(text))


def _questions(source: Source) -> Iterator[Entry]:
    """Yield quiz items, whose answer hides behind a line to click, and questions to ask."""
    for block in parse_blocks(source.text):
        if block.kind != "qa":
            continue
        lines = source.text[block.start : block.end].split("\n")
        asked = re.sub(r"^(?:[-•*]|Q\d+\.)\s+", "", lines[0].strip())
        reveal = next((n for n, text in enumerate(lines) if REVEAL.fullmatch(text.strip())), None)
        rationale = next((text for text in lines[1:] if text.startswith("Rationale.")), None)
        if reveal is not None and len(asked.split()) <= _QUESTION_WORDS:
            start = block.start + sum(len(text) + 1 for text in lines[: reveal + 1])
            drafts = [Draft(piece) for piece in sentence_points(source.text, start, block.end)]
            answer = plain(source.text[start : block.end])
            where = (block.start, block.end)
            yield source.probe("quiz", asked, drafts, where, cap=True, model_answer=answer)
        elif rationale:
            why = rationale.removeprefix("Rationale.").strip()
            yield Clarification(asked, (), (why,), source.span(block.start, block.end))


def _clocks(source: Source) -> Iterator[Entry]:
    """Yield the clocks that are lists: `Clarify (0–5 min) — scale` or `0–5 min: clarify`."""
    phases: list[Phase] = []
    begin = end = 0
    for start, text in [*source.lines, (0, "")]:
        match = _NAMED_PHASE.match(text) or _TIMED_PHASE.match(text)
        if match:
            begin = start if not phases else begin
            end = start + len(text)
            name = match.groupdict().get("name") or re.split(r"[.,:(+]", match["do"])[0].strip()
            seconds = 60 * int(match["a"]), 60 * int(match["b"])
            phases.append(Phase(name[:1].upper() + name[1:], *seconds, plain(match["do"]), ""))
        elif phases:
            yield phase_clock(source, phases, (begin, end))
            phases = []


def _lenses(source: Source) -> Iterator[Entry]:
    """Yield what companies weigh; how to signal it stands in a later list, by the same name."""
    signals: dict[str, str] = {}
    for _, text in source.lines:
        if match := _SIGNAL.match(text):
            signals[_first_word(match[1])] = plain(match[2])
    reasons = re.split(r"(?<=[.!?])\s+", _reason(source))
    for start, text in source.lines:
        if (match := _LENS.match(text)) and (signal := signals.get(_first_word(match[1]))):
            name = _first_word(match[1])
            why = next((s for s in reasons if _first_word(s.removesuffix("'s")) == name), "")
            where = source.span(start + match.start(1), start + len(text))
            yield CompanyLens(match[1], plain(match[2]), why, signal, where)


def _reason(source: Source) -> str:
    """Return the paragraph below the line that says why no rubric names it."""
    lines = [text for _, text in _filled(source)]
    at = next((n for n, text in enumerate(lines) if text.startswith("Why it's not on")), None)
    return lines[at + 1] if at is not None and at + 1 < len(lines) else ""


def _first_word(name: str) -> str:
    found = re.search(r"[A-Za-z]+", name)
    word = found.group().lower() if found else ""
    return "ai" if word in ("anthropic", "openai") else word
