"""Blocks to overlapping Chunks, sized in the tokens of the embedder.

A chunk is a run of whole pieces (sentences, items, rows) of neighbouring blocks. Blocks that need
each other form a unit that is cut only if it is too long. Knows no tokenizer and no search.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from ingest.cleaning import mask_noise
from ingest.documents import Block, Chunk, ChunkKind, Document, Unit, content_id
from ingest.pieces import CountTokens, Piece, block_pieces
from ingest.segments import speaker_role

Path = tuple[str, ...]

_KINDS: dict[str, ChunkKind] = {
    "paragraph": "text",
    "list": "list",
    "table": "table",
    "code": "code",
    "diagram": "diagram",
    "turn": "dialogue",
    "qa": "qa",
}
# Shares of the size limit, set by reading the chunks of the four seed documents.
_TINY = 0.25  # below this a chunk takes in part of the next section rather than stand alone
_FILLED = 0.5  # from here on a chunk is closed rather than filled with part of the next unit
_QUESTION = 0.35  # of the limit, for the question repeated above the rest of its answer


@dataclass(slots=True)
class _Unit:
    """Pieces that belong together. `lead` units open what follows and never end a chunk."""

    path: Path
    pieces: list[Piece]
    lead: bool = False
    starts_fresh: bool = False  # nothing of the chunk before is repeated above it
    alone: bool = False  # a question: it begins a chunk, unless what is before it is tiny

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)


@dataclass(slots=True)
class _Draft:
    """A chunk being filled."""

    pieces: list[Piece] = field(default_factory=list)
    path: Path | None = None  # what the heading paths of the pieces have in common
    last: Path = ()  # the heading path of the last piece
    tokens: int = 0
    context: str = ""
    floor: int = 0  # the common heading path may not get shorter than this

    def common(self, path: Path) -> Path:
        return path if self.path is None else _common_prefix(self.path, path)


def chunk_document(
    document: Document,
    blocks: Sequence[Block],
    *,
    count_tokens: CountTokens,
    max_tokens: int,
    overlap_tokens: int,
) -> list[Chunk]:
    """Return the chunks of `document` in order.

    No chunk has more than `max_tokens` in `context` and `plain` together, unless a single table
    row does. A chunk that goes on where the one before was cut repeats up to `overlap_tokens`.
    """
    masked = mask_noise(document.text)
    units = _units(masked, blocks, count_tokens, max_tokens)
    packer = _Packer(units, count_tokens, max_tokens, overlap_tokens)
    drafts = packer.pack()
    return [_chunk(document, ordinal, draft) for ordinal, draft in enumerate(drafts)]


def _units(
    text: str, blocks: Sequence[Block], count_tokens: CountTokens, limit: int
) -> list[_Unit]:
    """Group blocks: a question with its answer, a lead-in with what it leads to."""
    units: list[_Unit] = []
    for number, block in enumerate(blocks):
        pieces = block_pieces(text, block, count_tokens, limit)
        if not pieces:
            continue
        before = units[-1] if units else None
        if block.kind == "turn":
            if before and before.path == block.heading_path and _replies(text, blocks, number):
                question = _question(before.pieces, limit, count_tokens)
                before.pieces += _with_question(pieces, question)
                continue
            units.append(_Unit(block.heading_path, pieces, starts_fresh=True, alone=True))
            continue
        if block.kind == "diagram" and before and before.path == block.heading_path:
            before.pieces += pieces
            before.lead = False
            continue
        if block.kind == "qa":
            pieces = _answered(text, pieces, count_tokens, limit)
        lead = block.kind == "heading" or pieces[-1].plain.endswith(":")
        fresh = block.kind in ("heading", "qa", "table", "code")
        units.append(_Unit(block.heading_path, pieces, lead, fresh, alone=block.kind == "qa"))
    return units


def _replies(text: str, blocks: Sequence[Block], number: int) -> bool:
    """Whether a turn answers the one before: that asked, or opened with a prompt."""
    turn, before = blocks[number], blocks[number - 1] if number else None
    if before is None or before.kind != "turn" or before.speaker == turn.speaker:
        return False
    if text[before.start : before.end].rstrip("*_\"”’') \n").endswith("?"):
        return True
    prompted = speaker_role(before.speaker or "") == "asks"
    return prompted and not _replies(text, blocks, number - 1)


def _question(pieces: list[Piece], limit: int, count_tokens: CountTokens) -> str:
    """Return what was asked, shortened; nothing if it is a long statement."""
    text = " ".join(piece.plain for piece in pieces if piece.plain)
    asks = "?" in text or sum(piece.tokens for piece in pieces) <= _QUESTION * limit
    return _shorten(text, limit, count_tokens) if asks else ""


def _with_question(pieces: list[Piece], question: str) -> list[Piece]:
    return [Piece(p.start, p.end, p.kind, p.plain, p.tokens, question, p.joins) for p in pieces]


def _answered(text: str, pieces: list[Piece], count_tokens: CountTokens, limit: int) -> list[Piece]:
    """Give the pieces of the answer, below the first line, the question as context."""
    first_line = text.find("\n", pieces[0].start)
    asks = [p for p in pieces if first_line < 0 or p.start < first_line]
    question = _question(asks, limit, count_tokens)
    return asks + _with_question(pieces[len(asks) :], question)


def _shorten(text: str, limit: int, count_tokens: CountTokens) -> str:
    words = text.split()
    while words and count_tokens(" ".join(words)) > _QUESTION * limit:
        del words[max(1, int(0.8 * len(words))) if len(words) > 1 else 0 :]
    return " ".join(words)


class _Packer:
    """Fills one draft after the other with the units of a document."""

    def __init__(
        self, units: list[_Unit], count_tokens: CountTokens, limit: int, overlap: int
    ) -> None:
        self.units = units
        self.count_tokens = count_tokens
        self.limit = limit
        self.overlap = overlap
        self.drafts: list[_Draft] = []
        self.draft = _Draft()
        self.held: list[_Unit] = []  # headings and lead-ins, waiting for what they open
        paths = {unit.path for unit in units}
        self.parents = {path[:depth] for path in paths for depth in range(len(path))}

    def pack(self) -> list[_Draft]:
        for number, unit in enumerate(self.units):
            last = number + 1 == len(self.units)
            if unit.lead and not last and unit.tokens <= _FILLED * self.limit:
                self.held.append(unit)
                continue
            group = _merge([*self.held, unit])
            self.held = []
            self._place(group, number)
        self._close()
        return self.drafts

    def _place(self, unit: _Unit, number: int) -> None:
        draft = self.draft
        if draft.pieces and not self._may_join(unit, number):
            self._close()
        draft = self.draft
        if draft.tokens + unit.tokens <= self.limit:
            self._add(unit.pieces, unit.path)
            return
        whole = unit.tokens <= self.limit or unit.starts_fresh
        if draft.tokens >= _FILLED * self.limit or (draft.tokens >= _TINY * self.limit and whole):
            repeat = not unit.starts_fresh and unit.path == draft.last
            self._next(unit.pieces[0], unit.path, repeat=repeat, room=unit.tokens)
        self._fill(unit)

    def _may_join(self, unit: _Unit, number: int) -> bool:
        """Whether the section of `unit` may share a chunk with what is in the draft."""
        draft = self.draft
        if unit.alone and draft.tokens >= _TINY * self.limit:
            return False
        common = draft.common(unit.path)
        if len(common) < max(draft.floor, self._floor(unit.path)):
            return False
        if unit.path == draft.path:
            return True
        if draft.tokens < _TINY * self.limit:
            return True
        room = self.limit - draft.tokens - unit.tokens
        for later in islice(self.units, number + 1, None):
            if room < 0 or later.path[: len(unit.path)] != unit.path:
                break
            room -= later.tokens
        return room >= 0

    def _floor(self, path: Path) -> int:
        return len(path) if path in self.parents else len(path) - 1

    def _fill(self, unit: _Unit) -> None:
        """Spread an overlong unit evenly over chunks."""
        left = unit.tokens
        goal = self._goal(left)
        opened = False  # something beside headings is placed
        for piece in unit.pieces:
            full = self.draft.tokens + piece.tokens > self.limit
            if full or (opened and self.draft.tokens + piece.tokens / 2 > goal):
                self._next(piece, unit.path, repeat=opened, room=left)
                goal = self._goal(left)
            self._add([piece], unit.path)
            opened = opened or piece.kind != "heading"
            left -= piece.tokens

    def _goal(self, left: int) -> float:
        """Return how full the draft should get so that `left` more tokens spread evenly."""
        beyond = left - (self.limit - self.draft.tokens)
        if beyond <= 0:
            return self.limit
        repeated = min(self.draft.tokens, self.limit // 2)
        parts = 1 + math.ceil(beyond / (self.limit - repeated))
        return min(self.limit, self.draft.tokens + left / parts)

    def _add(self, pieces: list[Piece], path: Path) -> None:
        draft = self.draft
        draft.floor = max(draft.floor, self._floor(path))
        draft.path, draft.last = draft.common(path), path
        draft.pieces += pieces
        draft.tokens += sum(piece.tokens for piece in pieces)

    def _next(self, piece: Piece, path: Path, *, repeat: bool, room: int) -> None:
        """Close the draft and begin one at `piece`, repeating the end of the old one."""
        old = self.draft
        self._close()
        tail: list[Piece] = []
        context = piece.context
        budget = min(self.overlap, self.limit - room) if room < self.limit else self.overlap
        if repeat:
            for before in reversed(old.pieces):
                if not before.plain or before.kind == "heading" or before is old.pieces[0]:
                    break
                if sum(p.tokens for p in tail) + before.tokens > budget:
                    break
                tail.insert(0, before)
        context = tail[0].context if tail else context
        cost = self.count_tokens(context) if context else 0
        if cost + sum(p.tokens for p in tail) + piece.tokens > self.limit:
            tail = []
            context = (
                piece.context
                if self.count_tokens(piece.context) + piece.tokens <= (self.limit)
                else ""
            )
            cost = self.count_tokens(context) if context else 0
        self.draft = _Draft(context=context, tokens=cost)
        if tail:
            self._add(tail, path)

    def _close(self) -> None:
        if self.draft.pieces:
            self.drafts.append(self.draft)
        self.draft = _Draft()


def _merge(units: list[_Unit]) -> _Unit:
    pieces = [piece for unit in units for piece in unit.pieces]
    return _Unit(units[-1].path, pieces, starts_fresh=units[0].starts_fresh, alone=units[-1].alone)


def _common_prefix(one: Path, two: Path) -> Path:
    depth = 0
    while depth < min(len(one), len(two)) and one[depth] == two[depth]:
        depth += 1
    return one[:depth]


def _chunk(document: Document, ordinal: int, draft: _Draft) -> Chunk:
    start = min(piece.start for piece in draft.pieces)
    end = max(piece.end for piece in draft.pieces)
    text = document.text[start:end]
    path = draft.path or ()
    lines: list[str] = []
    sizes: Counter[ChunkKind] = Counter()
    for piece in draft.pieces:
        if piece.kind != "heading":
            sizes[_KINDS[piece.kind]] += piece.tokens
        if not piece.plain or (piece.kind == "heading" and piece.plain in path):
            continue
        if piece.joins and lines:
            lines[-1] += " " + piece.plain
        else:
            lines.append(piece.plain + ":" if piece.kind == "heading" else piece.plain)
    kind: ChunkKind = sizes.most_common(1)[0][0] if sizes else "text"
    return Chunk(
        id=content_id(document.id, str(start), str(end), text),
        doc_id=document.id,
        ordinal=ordinal,
        start=start,
        end=end,
        text=text,
        heading_path=path,
        kind=kind,
        plain="\n".join(lines) if any(sizes.values()) or not sizes else "",
        context=draft.context,
        units=tuple(
            Unit(piece.start, piece.end, piece.plain)
            for piece in draft.pieces
            if piece.plain and piece.kind != "heading"
        ),
    )
