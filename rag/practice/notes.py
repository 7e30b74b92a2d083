"""The notes on a levelled answer, as points that a better answer would make.

A note on what an answer missed is a complaint ("treats retrieval as one technique rather than a
layer of sources"); the point is what it asks for ("a layer of sources"). Rules on words only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.documents import Block
from ingest.pieces import block_pieces
from rag.practice.points import Piece, shorten

# After these words stands what was missed.
_CUE = re.compile(
    r"\b(?:instead of|rather than|without|ignores?|(?:but )?missed|but not"
    r"|missing (?:the meta-move\s*[—–-]*|the named principle:)?|but (?:has )?no"
    r"|(?:(?:did|does|do|would|could)(?: not|n['’]t)|won['’]t) (?:yet )?"
    r"(?:name|consider|think about|think|say|state|see|articulate)\b(?: what)?"
    r"|nor say|nor)\s+(?:structurally about )?",
    re.I,
)
_LISTED = re.compile(r"(?:^|,\s+)no\s+", re.I)
_ABSENT = re.compile(r"\s+(?:is|are) not(?: considered)?[.\s]*$")
# How a note begins that says what is there, or what will come of it: nothing to say in an answer.
_REMARK = re.compile(
    r"^(?:treated|treats|knew|knows|strong|a strong|takes|makes|has|sees|will|would|decomposes"
    r"|lists|an exercise|caching plus|being in|the l7 move|this is|the candidate|same)\b",
    re.I,
)
_TAIL = re.compile(r",? and would\b|, which is real\b")  # what it will lead to
_PATTERN = re.compile(r"^(?:portable |the )?pattern\s*(?::|—|of)\s*", re.I)


def missed_points(text: str, start: int, end: int) -> list[Piece]:
    """Return what a note says that an answer lacks; the note itself where no rule finds it."""
    found: list[Piece] = []
    rest: list[Piece] = []
    for low, high in _sentences(text, start, end):
        wanted = list(_wanted(text, low, high))
        if wanted:
            found.extend(piece for a, b in wanted for piece in shorten(text, a, b))
        elif not _REMARK.match(text[low:high]):
            found.extend(shorten(text, low, high))
        else:
            rest.extend(shorten(text, low, high))
    return found or rest


def scored_points(text: str, start: int, end: int) -> list[Piece]:
    """Return what a note says that the best answer did."""
    found: list[Piece] = []
    for low, high in _sentences(text, start, end):
        if pattern := _PATTERN.match(text[low:high]):
            low += pattern.end()
        if not _REMARK.match(text[low:high]):
            found.extend(shorten(text, low, high))
    return found


def _wanted(text: str, low: int, high: int) -> Iterator[tuple[int, int]]:
    sentence = text[low:high]
    listed = list(_LISTED.finditer(sentence))
    if listed and listed[0].start() == 0:
        ends = [*(match.start() for match in listed[1:]), len(sentence)]
        yield from ((low + m.end(), low + end) for m, end in zip(listed, ends, strict=True))
    elif absent := _ABSENT.search(sentence):
        begin = max(sentence.rfind(", the ", 0, absent.start()), -1) + 1
        yield low + begin, low + absent.start()
    elif cues := list(_CUE.finditer(sentence)):
        condition = re.match("without[^,]*(?=,)", sentence, re.I)
        tail = re.compile(",").search(sentence) if condition else _TAIL.search(sentence)
        ends = [*(match.start() for match in cues[1:]), tail.start() if tail else len(sentence)]
        yield from ((low + m.end(), low + end) for m, end in zip(cues, ends, strict=True))


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    block = Block("paragraph", start, end, ())
    return [(p.start, p.end) for p in block_pieces(text, block, lambda s: len(s.split()), 10_000)]
