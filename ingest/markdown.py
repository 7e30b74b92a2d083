"""Markdown, with mkdocs admonitions and dialogue, to Segments.

markdown-it-py finds the blocks and their lines; admonition bodies are dedented first, so that it
sees their lists, tables and code. Knows nothing of heading paths or chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from ingest.documents import BlockKind
from ingest.segments import (
    ADMONITION_LEVEL,
    LABEL_LEVEL,
    REVEAL,
    Segment,
    SourceLines,
    is_diagram,
    is_drawing,
    speaker_role,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MARKUP = re.compile(
    r"^#{1,6}\s+\S|^(?:```|~~~)|^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\||\*\*\S[^*\n]*\*\*"
    r"|^(?:\?\?\?\+?|!!!)\s+\w|^\S.*\n(?:={3,}|-{3,})\s*$",
    re.MULTILINE,
)
_ADMONITION = re.compile(
    r'^(\s*)(?:\?\?\?\+?|!!!|===)\s+(?:[\w-]+(?:\s+[\w-]+)*\s*)?(?:"([^"]*)")?\s*$'
)
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_LABEL = re.compile(r"^\s*(?:\*\*([^*]+?):?\*\*|__([^_]+?):?__)\s*:?\s*$")
_TURN = re.compile(r"^\s*\*\*([A-Z][\w .'-]{0,30}?)\s*(?::\*\*|\*\*\s*:)\s*(.*)$")
_ITEM_LINE = re.compile(r"^\s*(?:[^\w\s\"'“‘(\[`*_<#|>$]|\*\*[^*]+\*\*)")
_LONG = 20_000  # no prose; beyond it the patterns for emphasis would take quadratic time

# Stands for the border of an admonition: a comment is a block of its own and ends any other.
_BREAK = "<!-- -->"
_QUOTES = {'"': '"', "“": "”"}


def is_markdown(text: str) -> bool:
    """Whether `text` is marked up: headings, fences, bold, tables or admonitions."""
    return _MARKUP.search(text) is not None


def markdown_segments(text: str) -> list[Segment]:
    """Return the segments of `text`, in order."""
    source = SourceLines(text)
    dedented, admonitions = _dedent_admonitions(source)
    found = [*_tokens(source, dedented), *admonitions]
    # An admonition's heading starts before its body and its closing mark lies after it.
    return _join_turns(text, sorted(found, key=lambda segment: (segment.start, segment.end)))


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


def _dedent_admonitions(source: SourceLines) -> tuple[list[str], list[Segment]]:
    """Return the lines with admonition bodies dedented, and a heading for each admonition."""
    lines = list(source.lines)
    segments: list[Segment] = []
    open_at: list[int] = []  # the indentation of the body of each open admonition
    fence = ""
    for number, line in enumerate(source.lines):
        indent = len(line) - len(line.lstrip())
        while open_at and line.strip() and indent < open_at[-1]:
            open_at.pop()
            fence = ""
            start = source.starts[number]
            segments.append(Segment("heading", start, start, level=ADMONITION_LEVEL))
            if number and not lines[number - 1].strip():
                lines[number - 1] = _BREAK
        if open_at:
            lines[number] = line[open_at[-1] :] if indent >= open_at[-1] else line.lstrip()
        mark = _FENCE.match(lines[number])
        if mark:
            fence = "" if fence and mark.group(1).startswith(fence) else fence or mark.group(1)
            continue
        match = None if fence else _ADMONITION.match(line)
        if match:
            open_at.append(len(match.group(1)) + 4)
            lines[number] = _BREAK
            title = (match.group(2) or "").strip()
            if title and not REVEAL.fullmatch(title):
                start, end = source.span(number, number + 1)
                segments.append(Segment("heading", start, end, ADMONITION_LEVEL, title))
    return lines, segments


def _tokens(source: SourceLines, dedented: list[str]) -> Iterator[Segment]:
    tokens = _parser().parse("\n".join(dedented))
    for position, token in enumerate(tokens):
        border = token.content.strip() == _BREAK
        if token.level or token.nesting < 0 or token.map is None or border:
            continue
        first, last = token.map
        while last > first and not dedented[last - 1].strip():
            last -= 1
        if token.type == "heading_open":
            title = plain_inline(tokens[position + 1].content)
            yield Segment("heading", *source.span(first, last), int(token.tag[1]), title)
        elif token.type in ("fence", "code_block"):
            body = dedented[first + 1 : last - 1] if token.type == "fence" else dedented[first:last]
            drawn = is_diagram(body, language=token.info.strip().split(" ")[0])
            kind: BlockKind = "diagram" if drawn else "code"
            yield Segment(kind, *source.span(first, last, indent=True))
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            yield Segment("list", *source.span(first, last, indent=True))
        elif token.type == "table_open":
            yield Segment("table", *source.span(first, last))
        elif token.type in ("paragraph_open", "blockquote_open", "html_block"):
            yield from _paragraph(source, first, last)


def _paragraph(source: SourceLines, first: int, last: int) -> Iterator[Segment]:
    """Split a paragraph at bold labels and at turns of a dialogue."""
    begin = first
    speaker: str | None = None
    for number in range(first, last):
        line = source.lines[number]
        label = _LABEL.match(line)
        turn = _TURN.match(line)
        named = turn.group(1) if turn and speaker_role(turn.group(1)) else None
        if not label and not named:
            continue
        yield from _prose(source, begin, number, speaker)
        begin, speaker = number, named
        if label and not named:
            title = (label.group(1) or label.group(2)).strip()
            yield Segment("heading", *source.span(number, number + 1), LABEL_LEVEL, title)
            begin = number + 1
    yield from _prose(source, begin, last, speaker)


def _prose(source: SourceLines, first: int, last: int, speaker: str | None) -> Iterator[Segment]:
    start, end = source.span(first, last)
    if start == end:
        return
    lines = [line for line in source.lines[first:last] if line.strip()]
    if speaker:
        yield Segment("turn", start, end, speaker=speaker)
    elif is_drawing(lines):
        yield Segment("diagram", *source.span(first, last, indent=True))
    elif len(lines) > 1 and all(_ITEM_LINE.match(line) for line in lines):
        yield Segment("list", start, end)
    else:
        yield Segment("paragraph", start, end)


def _join_turns(text: str, segments: list[Segment]) -> list[Segment]:
    """Join the paragraphs of a turn: up to its closing quote, or up to the next turn."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        continues = (
            last is not None
            and last.kind == "turn"
            and segment.kind in ("paragraph", "list", "diagram", "code")
            and text[segment.start] != ">"  # a note about the turn
            and _is_open(text, last)
        )
        if last is not None and continues:
            joined[-1] = Segment("turn", last.start, segment.end, speaker=last.speaker)
        else:
            joined.append(segment)
    return joined


def _is_open(text: str, turn: Segment) -> bool:
    """Whether a turn goes on: its quote is not closed yet, or it is not in quotes at all."""
    match = _TURN.match(text[turn.start : min(turn.end, turn.start + 100)].split("\n", 1)[0])
    body = (match.group(2) if match else "").lstrip("*_ ")
    if body[:1] not in _QUOTES:
        return True
    tail = text[max(turn.start, turn.end - 20) : turn.end]
    return not tail.rstrip("*_ \n").endswith(_QUOTES[body[0]])


def plain_inline(text: str) -> str:
    """Return `text` without inline markup: emphasis, code marks, links, images."""
    if len(text) > _LONG:
        return text.replace("**", "").replace("`", "").strip()
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\((?:[^()\s]|\([^)]*\))*(?:\s+\"[^\"]*\")?\)", r"\1", text)
    text = re.sub(r"(\*{1,3}|~~)(?=\S)(.{1,300}?)(?<=\S)\1", r"\2", text, flags=re.DOTALL)
    text = re.sub(r"(?<!\w)(_{1,3})(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)", r"\2", text, flags=re.DOTALL)
    text = text.replace("`", "")
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).strip()
