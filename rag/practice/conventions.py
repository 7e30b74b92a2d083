"""The headed structures of corpus/README.md: probes, signals, ladders, drills, estimates, pitfalls.

Each is known by the first words of its heading or by a marker line. Knows nothing of documents
that follow other conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rag.practice.bank import AnchorAnswer, Estimate, EstimateStep, GridRow, ProbeKind, Weight
from rag.practice.levels import BARS, LEVELS, anchor, failure, grid_drafts, ladder_drafts
from rag.practice.pages import ITEM, Line, Section, after, item_lines, items, sections, tables
from rag.practice.points import POINT_WORDS, Piece, plain, sentence_points, shorten
from rag.practice.source import Draft, Source
from rag.practice.tabled import Entry

SIGNALS = "**Strong answer signals**"
_ENTRY = re.compile(r"Asked by: ([^;]+); difficulty: (\w+)[^;]*; tags: ([^;]+?)\.(?:\s|$)")
_GOES_WRONG = re.compile(r"(?:\*\*|#+ )(?:What goes wrong|Pitfalls)[^*]*(?:\*\*)?\s*$")
_PITFALL = re.compile(r"\*\*([^*]+?)[.?!]\*\*\s+")
_LABEL = re.compile(r"\*\*([^*]+):\*\*\s*")
_MINUTES = re.compile(r"Time limit: (\d+) minutes")
_STEP = re.compile(r"([^:]+): ([\d,.\s×/+-]+) [=≈] (-?\d[\d,]*(?:\.\d+)?)\s*(.*)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\[])")


def parse_conventions(source: Source) -> Iterator[Entry]:
    """Yield the entries below the headings that the conventions fix."""
    found = list(sections(source.lines))
    for section in found:
        start, _, title = section.title.partition(": ")
        if section.level == 3 and start in _HEADED and title:
            yield from _HEADED[start](source, section, plain(title))
        elif section.level == 2 and section.title in ("Pitfalls", "What goes wrong?"):
            yield from _pitfalls(source, section)
    yield from _entries(source, found)


def bullets(source: Source, lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Yield the range of each list item in `lines`, without its marker."""
    for item in item_lines(lines):
        match = ITEM.match(item[0][1])
        start = item[0][0] + (match.start(1) if match else 0)
        yield start, source.end(item, start)


def prose(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield the paragraphs in `lines`."""
    paragraph: list[Line] = []
    for line in [*lines, (0, "")]:
        if line[1].strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def _probe(source: Source, section: Section, title: str) -> Iterator[Entry]:
    drafts = []
    weights: dict[str, Weight] = {"**Strong answer**": "vital", "**Bonus**": "okay"}
    for marker, weight in weights.items():
        for start, end in bullets(source, after(section.lines, marker) or ()):
            drafts += [Draft(piece, weight) for piece in shorten(source.text, start, end)]
    follow_ups = tuple(
        text for label, text, _ in _labelled(source, section) if label == "Follow-up"
    )
    kind: ProbeKind = "quiz" if "quiz" in source.document.tags else "probe"
    span = (section.line, source.end(section.lines, section.line))
    context = "" if kind == "quiz" else source.document.title
    yield source.probe(kind, title, drafts, span, follow_ups=follow_ups, context=context)


def _ladder(source: Source, section: Section, title: str) -> Iterator[Entry]:
    anchors: list[AnchorAnswer] = []
    drafts: list[Draft] = []
    for step in sections(section.lines):
        notes = [
            at for label, _, at in _labelled(source, step) if label in ("Missed", "What scored")
        ]
        if step.title not in LEVELS or not notes or not step.lines:
            continue
        first = next((at for at, text in step.lines if text.strip()), step.line)
        answer = [line for line in step.lines if line[0] + len(line[1]) < notes[0][0]]
        note = plain(source.text[slice(*notes[0])])
        below = anchors[-1] if anchors else None
        body = (first, source.end(answer, first))
        anchors.append(anchor(source, step.title, body, note, below))
        drafts += ladder_drafts(source, step.title, notes[0])
    if tuple(found.level for found in anchors) != LEVELS:
        yield f"{source.document.uri}: the ladder {title!r} lacks one of {', '.join(LEVELS)}"
        return
    span = (section.line, source.end(section.lines, section.line))
    top = anchors[-1].text
    yield source.probe("ladder", title, drafts, span, anchors=tuple(anchors), model_answer=top)


def _drill(source: Source, section: Section, title: str) -> Iterator[Entry]:
    grid, drafts = [], []
    for table in tables(section.lines):
        if table.header == ("Dimension", *BARS):
            for at, cells in table.rows:
                ranges = source.cells(at, cells)
                texts = [plain(source.text[slice(*cell)]) for cell in ranges]
                span = source.span(at, ranges[-1][1])
                grid.append(GridRow(texts[0], tuple(texts[1:]), span))
                drafts += grid_drafts(source, ranges[1:])
    inner = {part.title: part for part in sections(section.lines)}
    limit = next((m for _, line in section.lines if (m := _MINUTES.match(line))), None)
    prompt = next(
        (text for label, text, _ in _labelled(source, section) if label == "Prompt"), title
    )
    model = "\n\n".join(
        plain(source.text[p[0][0] : source.end(p, p[0][0])])
        for p in prose(inner["Model answer"].lines if "Model answer" in inner else ())
    )
    yield source.probe(
        "drill",
        prompt,
        drafts,
        (section.line, source.end(section.lines, section.line)),
        context=title,
        seconds=60 * int(limit[1]) if limit else 900,
        grid=tuple(grid),
        model_answer=model,
    )
    if "Common failures" in inner:
        for start, end in bullets(source, inner["Common failures"].lines):
            yield failure(source, start, end)


def _estimate(source: Source, section: Section, title: str) -> Iterator[Entry]:
    parts = {"Given": "", "Result": ""}
    for paragraph in prose(section.lines):
        text = plain(" ".join(line for _, line in paragraph))
        name, _, rest = text.partition(": ")
        name = name.removesuffix(" (ours)")
        parts |= {name: rest} if name in parts and not parts[name] else {}
    steps = []
    for _, step in items([line for line in section.lines if re.match(r"\d+\. | ", line[1])]):
        if match := _STEP.match(step):
            value = float(match[3].replace(",", ""))
            steps.append(EstimateStep(match[1], match[2].strip(), value, match[4].strip(" .")))
    if not steps:
        yield f"{source.document.uri}: the estimate {title!r} has no step that can be read"
        return
    identity = source.identify("estimate", title)
    span = source.span(section.line, source.end(section.lines, section.line))
    yield Estimate(identity, title, parts["Given"], tuple(steps), parts["Result"], span)


def _post_mortem(source: Source, section: Section, title: str) -> Iterator[Entry]:
    parts = {label: (text, where) for label, text, where in _labelled(source, section)}
    if "Better answer" not in parts:
        yield f"{source.document.uri}: the post-mortem {title!r} has no **Better answer:**"
        return
    better, where = parts["Better answer"]
    told = [parts[name][0] for name in ("Setup", "What happened") if name in parts]
    yield source.probe(
        "probe",
        f"Post-mortem, {title}: what should the candidate have said?",
        [Draft(piece) for piece in sentence_points(source.text, *_quoted(source, where))],
        (section.line, source.end(section.lines, section.line)),
        cap=True,
        context="\n\n".join(told),
        model_answer=better,
    )


def _quoted(source: Source, where: tuple[int, int]) -> tuple[int, int]:
    """Return the range up to its last quote, where it begins with one: the rest is comment."""
    start, end = where
    last = source.text.rfind('"', start + 1, end)
    return (start, last) if source.text[start] == '"' and last > 0 else where


def _pitfalls(source: Source, section: Section) -> Iterator[Entry]:
    """Yield one probe on what goes wrong; the pitfalls of an entry are points of that entry."""
    if any(line.rstrip() == SIGNALS for _, line in source.lines):
        return
    title = source.document.title
    span = (section.line, source.end(section.lines, section.line))
    prompt = f"{title}. What goes wrong in practice, and what do you do about it?"
    yield source.probe("probe", prompt, _pitfall_drafts(source, section.lines), span)


def _pitfall_drafts(source: Source, lines: Sequence[Line]) -> list[Draft]:
    """Return a point for each pitfall, its name and its remedy; nobody need name them all."""
    drafts = []
    for start, end in bullets(source, lines):
        raw = source.text[start:end]
        if not (name := _PITFALL.match(raw)):
            continue
        remedy = plain(_SENTENCE.split(raw[name.end() :])[-1]).removesuffix(".")
        text = f"{plain(name[1])}: {remedy}"
        if len(text.split()) > POINT_WORDS:
            text = plain(name[1])
        drafts.append(Draft(Piece(start, end, text), "okay", facet="failure"))
    return drafts


def _entries(source: Source, found: Sequence[Section]) -> Iterator[Entry]:
    """Yield a probe for every list of signals: of a question-bank entry, or of a problem."""
    for at, line in source.lines:
        if line.rstrip() != SIGNALS:
            continue
        around = [
            s for s in found if s.level == 2 and s.line < at <= (s.lines or ((0, ""),))[-1][0]
        ]
        section = around[-1] if around else None
        asked = next(
            (m for _, text in (section.lines if section else ()) if (m := _ENTRY.match(text))), None
        )
        signals = after([s for s in source.lines if s[0] >= at], SIGNALS) or ()
        ranges = list(bullets(source, signals))
        drafts = [Draft(p) for start, end in ranges for p in shorten(source.text, start, end)]
        scope = section.lines if section and asked else source.lines
        drafts += _pitfall_drafts(source, _below_pitfalls(scope))
        fields: dict[str, Any] = {}
        if asked:
            fields["companies"] = tuple(name.strip() for name in asked[1].split(","))
            fields["difficulty"] = asked[2]
            fields["topics"] = tuple(tag.strip() for tag in asked[3].split(","))
        if section and asked:
            span = (section.line, source.end(section.lines, section.line))
            yield source.probe("entry", plain(section.title), drafts, span, **fields)
        else:
            span = (at, ranges[-1][1] if ranges else at + len(line))
            yield source.probe("entry", source.document.title, drafts, span, **fields)


def _below_pitfalls(lines: Sequence[Line]) -> list[Line]:
    """Return the lines from a heading or label on what goes wrong to the next of its kind."""
    starts = [n for n, (_, text) in enumerate(lines) if _GOES_WRONG.match(text)]
    if not starts:
        return []
    found = []
    for line in lines[starts[0] + 1 :]:
        if line[1].startswith(("#", "**")):
            break
        found.append(line)
    return found


def _labelled(source: Source, section: Section) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield label, text and range of the paragraphs that begin with a bold label."""
    for paragraph in prose(section.lines):
        if match := _LABEL.match(paragraph[0][1]):
            start = paragraph[0][0] + match.end()
            end = source.end(paragraph, start)
            yield match[1], plain(source.text[start:end]), (start, end)


_HEADED = {
    "Probe": _probe,
    "Ladder": _ladder,
    "Drill": _drill,
    "Estimate": _estimate,
    "Post-mortem": _post_mortem,
}
