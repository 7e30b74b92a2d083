"""Blocks to pieces: the smallest spans that a chunk may begin or end at.

A sentence, a list item, a table row, a paragraph of code. Each has its searchable text, without
markup. Knows nothing of how pieces are packed into chunks.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from ingest.documents import Block, BlockKind
from ingest.markdown import plain_inline
from ingest.segments import BULLET, REVEAL, SourceLines

CountTokens = Callable[[str], int]
Span = tuple[int, int]

_COLUMN = " | "  # between the names of columns
_WIDEST = 16  # characters a token: no more than this is looked at to cut one piece
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]*_]*\s+(?=[\"'“‘(\[*_]*[A-Z0-9])|\n[ \t]*\n\s*")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|etc|cf|approx|Fig|Eq|No|Dr|Mr|Ms|St)|\b[A-Z])\.$")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")
_STAR = re.compile(r"(?<![\w)\s])\*+|\*+(?![\w(\s])|(?<!\w)\*+(?=\w)|(?<=\w)\*+(?!\w)")
_CELL = re.compile(r"(?<!\\)\|")
_DEFINITION = re.compile(
    r"^(\s*)(?:(?:async )?def |class |func(?:tion)? |(?:public|private|export) )[^\n]*"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A span that is never cut. `plain` is empty for what is shown but not searched.

    `context` is what a chunk that begins here lacks; `joins` says that it goes on in the
    paragraph of the piece before.
    """

    start: int
    end: int
    kind: BlockKind
    plain: str
    tokens: int
    context: str = ""
    joins: bool = False


def block_pieces(text: str, block: Block, count_tokens: CountTokens, limit: int) -> list[Piece]:
    """Cut `block` of `text` into pieces of at most `limit` tokens; a table row stays whole."""
    plain = _plain_code if block.kind == "code" else plain_text
    pieces: list[Piece] = []
    for start, end, context in _raw(text, block):
        joins = bool(pieces) and "\n" not in text[pieces[-1].end : start]
        if block.kind in ("heading", "table", "diagram"):
            shown = _shown(text, block, start, end, context)
            # A title inside a chunk is shown with a colon.
            tokens = count_tokens(f"{shown}:" if block.kind == "heading" else shown)
            pieces.append(Piece(start, end, block.kind, shown, tokens, context, joins))
            continue
        for span in _cut(text, start, end, lambda raw: count_tokens(plain(raw)), limit):
            raw = text[slice(*span)]
            shown = plain(_unnamed(raw, block.speaker) if not pieces else raw)
            tokens = count_tokens(shown)
            pieces.append(
                Piece(*span, block.kind, shown, tokens, context, joins or span[0] > start)
            )
    return pieces


def _raw(text: str, block: Block) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, context) of the parts of `block`, whatever their size."""
    if block.kind == "table":
        yield from _rows(text, block)
    elif block.kind == "code":
        yield from _code(text, block)
    elif block.kind in ("heading", "diagram"):
        yield block.start, block.end, ""
    else:
        spans = _items(text, block) if block.kind == "list" else _sentences(text, block)
        for start, end in spans:
            yield start, end, ""


def _shown(text: str, block: Block, start: int, end: int, context: str) -> str:
    """Return the searched text of what is never cut: a title, a table row, nothing of a drawing."""
    if block.kind == "heading":
        return block.heading_path[-1] if block.heading_path else ""
    if block.kind == "diagram" or not context:
        # The rows name their columns; the header itself adds nothing.
        return ""
    names = context.split(_COLUMN)
    row = zip_longest(names, cells(text[start:end]), fillvalue="")
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in row if cell)


def plain_text(raw: str) -> str:
    """Return `raw` without Markdown: markers, emphasis, links, tags, entities."""
    lines = []
    for line in raw.split("\n"):
        stripped = re.sub(r"^\s*(?:#{1,6}\s+|>\s?)", "", line)
        bullet = BULLET.match(stripped)
        stripped = (stripped[bullet.end() :] if bullet else stripped).strip()
        if stripped and not REVEAL.fullmatch(stripped):
            lines.append(stripped)
    text = html.unescape(_TAG.sub("", plain_inline("\n".join(lines))))
    return re.sub(r"[ \t]+", " ", _STAR.sub("", text)).strip()


def _plain_code(raw: str) -> str:
    lines = [line for line in raw.split("\n") if not _FENCE.match(line)]
    return textwrap.dedent("\n".join(lines)).strip()


def _unnamed(turn: str, speaker: str | None) -> str:
    """Return `turn` without the name of who speaks."""
    if not speaker:
        return turn
    return re.sub(rf"\A\s*(?:\*\*)?{re.escape(speaker)}\s*:?(?:\*\*)?\s*:?\s*", "", turn)


def cells(row: str) -> list[str]:
    """Return the plain cells of a table row."""
    inner = row.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [plain_text(cell.replace("\\|", "|")) for cell in _CELL.split(inner)]


def _rows(text: str, block: Block) -> Iterator[tuple[int, int, str]]:
    """Yield the header with its delimiter row, and each row with the header as context."""
    source = SourceLines(text[block.start : block.end])
    title = _COLUMN.join(cells(source.lines[0]))
    yield block.start, block.start + source.span(0, min(2, len(source)))[1], ""
    for number in range(2, len(source)):
        start, end = source.span(number, number + 1)
        if start < end:
            yield block.start + start, block.start + end, title or _COLUMN


def _code(text: str, block: Block) -> Iterator[tuple[int, int, str]]:
    """Yield the paragraphs of code; the definitions around one are its context."""
    source = SourceLines(text[block.start : block.end])
    groups: list[list[int]] = [[]]
    for number, line in enumerate(source.lines):
        if line.strip():
            groups[-1].append(number)
        elif groups[-1]:
            groups.append([])
    around: list[tuple[int, str]] = []
    for group in filter(None, groups):
        body = [source.lines[n] for n in group if not _FENCE.match(source.lines[n])]
        indent = min((len(line) - len(line.lstrip()) for line in body), default=0)
        around = [entry for entry in around if entry[0] < indent]
        context = " ".join(line for _, line in around)
        for line in body:
            match = _DEFINITION.match(line)
            if match:
                around = [entry for entry in around if entry[0] < len(match.group(1))]
                around.append((len(match.group(1)), line.strip()))
        start, end = source.span(group[0], group[-1] + 1, indent=True)
        yield block.start + start, block.start + end, context


def _items(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """Yield the items of a list, nested ones too; without markers, label and text pairs."""
    source = SourceLines(text[block.start : block.end])
    bullets = [n for n, line in enumerate(source.lines) if BULLET.match(line)]
    starts = bullets or [n for n in range(len(source)) if _opens_item(source.lines, n)]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    for first, last in zip(starts, [*starts[1:], len(source)], strict=True):
        start, end = source.span(first, last, indent=True)
        if start < end:
            yield block.start + start, block.start + end


def _opens_item(lines: list[str], number: int) -> bool:
    """Whether a line without a marker opens an item: it is no text below a short label."""
    line, above = lines[number].strip(), lines[number - 1].strip() if number else ""
    is_label_above = 0 < len(above) <= 90 and not re.search(r"[.!?]$", above)
    return bool(line) and not (is_label_above and len(line) > len(above) and number > 0)


def _sentences(text: str, block: Block) -> Iterator[tuple[int, int]]:
    body = text[block.start : block.end]
    start = 0
    for match in _SENTENCE.finditer(body):
        if _ABBREVIATION.search(body[max(start, match.start() - 12) : match.start()]):
            continue
        end = match.start() + len(match.group()) - len(match.group().lstrip("\"'”’)]*_"))
        if body[start:end].strip():
            yield block.start + start, block.start + end
            start = match.end()
    if body[start:].strip():
        yield block.start + start, block.start + len(body.rstrip())


def _cut(text: str, start: int, end: int, size: CountTokens, limit: int) -> Iterator[Span]:
    """Yield the span whole if it fits, else cut at clauses, else at words, else anywhere."""
    while start < end:
        stop = min(end, start + _WIDEST * limit)
        if stop < end:
            stop = _break(text, start, stop)
        while stop - start > 1 and (tokens := size(text[start:stop])) > limit:
            stop = _break(text, start, start + (stop - start) * limit // tokens)
        if text[start:stop].strip():
            lead = len(text[start:stop]) - len(text[start:stop].lstrip())
            yield start + lead, start + len(text[start:stop].rstrip())
        start = stop


def _break(text: str, start: int, target: int) -> int:
    """Return a place to cut at, in the second half of the span up to `target`."""
    for mark in ("\n", "; ", ", ", " "):
        place = text.rfind(mark, start + (target - start) // 2, target)
        if place > start:
            return place + len(mark)
    return max(start + 1, target)
