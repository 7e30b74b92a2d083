"""Hits -> the passages that enter the prompt, each split into units that can be quoted.

Documents are data: text that reads like an instruction to the model is withheld from the prompt
(the reader still sees it in the document). Knows nothing of prompts' wording or of LLMs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from index.hits import Hit
from ingest.documents import Chunk, Document
from ingest.pieces import plain_text

_LINE_START = re.compile(r"\s*(?:[-*+•]\s|\d+[.)]\s|\||#|>|```|~~~|!!!|\?\?\?|\*\*[^*]+:\*\*|<)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)*_]*\s+(?=[\"'“‘(*_]*[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|etc|cf|approx|no|fig|dr|mr|ms)|\b[A-Z])\.$", re.IGNORECASE
)
_INSTRUCTION = re.compile(
    r"""\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|source|rule|context|above|previous)
    |\b(?:system\s+prompt|you\s+are\s+now|new\s+instructions?|developer\s+mode|jailbreak)\b
    |\b(?:as\s+an?|dear)\s+(?:ai|assistant|language\s+model|llm)\b
    |^\s*(?:system|assistant)\s*:
    |<\|[^|]*\|>
    |\b(?:you|the\s+assistant|the\s+model)\s+(?:must|should)\s+(?:now\s+)?(?:answer|reply|respond|say|output)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_MIN_UNIT_CHARS = 25


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest quotable piece of a passage: a sentence, a list item, a table row.

    `start` and `end` are offsets in the document; `plain` is the same words without markup.
    """

    start: int
    end: int
    plain: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One or more overlapping chunks of a document under one label of the prompt, from 1."""

    label: int
    document: Document
    chunk: Chunk
    start: int
    end: int
    units: tuple[Unit, ...]
    score: float

    @property
    def heading(self) -> str:
        """Where the passage stands: the title, then the innermost headings."""
        parts = [self.document.title, *self.chunk.heading_path]
        unique = [p for i, p in enumerate(parts) if p and p not in parts[:i]]
        return " > ".join(unique[:1] + unique[1:][-2:])

    @property
    def prompt_text(self) -> str:
        """What the model reads."""
        body = "\n".join(unit.plain for unit in self.units)
        return f"{self.chunk.context}\n{body}" if self.chunk.context else body

    @property
    def full_text(self) -> str:
        """Everything that may support a sentence: headings, context and body."""
        return f"{self.heading}\n{self.prompt_text}"


def reads_like_an_instruction(text: str) -> bool:
    """Tell whether `text` addresses the model instead of the reader. A heuristic, not a proof."""
    return bool(_INSTRUCTION.search(text))


def split_units(document: Document, start: int, end: int, searchable: str) -> list[Unit]:
    """Split `document.text[start:end]` into units, leaving out what `searchable` leaves out.

    `searchable` is the chunk's plain text: diagrams and markup are not in it, so they are in no
    unit either.
    """
    known = _letters(searchable)
    units: list[Unit] = []
    for piece_start, piece_end in _pieces(document.text, start, end):
        plain = plain_text(document.text[piece_start:piece_end]).replace("\n", " ").strip()
        letters = _letters(plain)
        if not letters or letters not in known:
            continue
        if units and len(units[-1].plain) < _MIN_UNIT_CHARS:
            # A label such as "Trade-offs:" says nothing alone: it joins what follows.
            label = units.pop()
            piece_start, plain = label.start, f"{label.plain} {plain}"
        units.append(Unit(piece_start, piece_end, plain))
    return units


def pack_evidence(
    hits: Sequence[Hit],
    documents: Mapping[str, Document],
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int,
    max_passages: int,
) -> tuple[tuple[Passage, ...], int]:
    """Return the passages for the prompt, best first, and how many units were withheld.

    Whole passages, until the budget is spent; the first is cut at a unit if it alone is too long.
    A hit that overlaps a passage of the same section extends it; one that repeats its words is
    dropped.
    """
    passages: list[Passage] = []
    spent = withheld = 0
    for hit in hits:
        document = documents[hit.chunk.doc_id]
        units = split_units(document, hit.chunk.start, hit.chunk.end, hit.chunk.plain)
        safe = [unit for unit in units if not reads_like_an_instruction(unit.plain)]
        withheld += len(units) - len(safe)
        neighbour = next((i for i, p in enumerate(passages) if _adjoin(p, hit.chunk)), None)
        seen = {_letters(unit.plain) for p in passages for unit in p.units}
        fresh = [unit for unit in safe if _letters(unit.plain) not in seen]
        if len(fresh) * 2 < len(safe) and neighbour is None:
            continue
        if neighbour is None and len(passages) == max_passages:
            continue
        cost = count_tokens("\n".join(unit.plain for unit in fresh)) + 12
        if spent + cost > max_tokens:
            if passages:
                continue
            while len(fresh) > 1 and cost > max_tokens:
                fresh.pop()
                cost = count_tokens("\n".join(unit.plain for unit in fresh)) + 12
        if not fresh:
            continue
        spent += cost
        if neighbour is not None:
            passages[neighbour] = _extend(passages[neighbour], hit.chunk, fresh)
        else:
            chunk = hit.chunk
            passages.append(
                Passage(
                    len(passages) + 1,
                    document,
                    chunk,
                    chunk.start,
                    chunk.end,
                    tuple(fresh),
                    hit.score,
                )
            )
    return tuple(passages), withheld


def best_at_the_edges(passages: Sequence[Passage]) -> list[Passage]:
    """Order for the prompt: best first, second best last, the rest between them.

    Models use the middle of a prompt least (Liu et al., "Lost in the Middle", 2023).
    """
    return [*passages[:1], *passages[2:], *passages[1:2]]


def _adjoin(passage: Passage, chunk: Chunk) -> bool:
    return (
        passage.document.id == chunk.doc_id
        and passage.chunk.heading_path == chunk.heading_path
        and chunk.start <= passage.end
        and passage.start <= chunk.end
    )


def _extend(passage: Passage, chunk: Chunk, fresh: Sequence[Unit]) -> Passage:
    units = sorted({*passage.units, *fresh}, key=lambda unit: unit.start)
    return Passage(
        passage.label,
        passage.document,
        passage.chunk,
        min(passage.start, chunk.start),
        max(passage.end, chunk.end),
        tuple(units),
        passage.score,
    )


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut into blocks of lines that belong together, then each block into sentences."""
    blocks: list[tuple[int, int]] = []
    position = start
    for line in text[start:end].splitlines(keepends=True):
        line_end = position + len(line)
        if line.strip():
            continues = blocks and blocks[-1][1] == position and not _LINE_START.match(line)
            if continues:
                blocks[-1] = (blocks[-1][0], line_end)
            else:
                blocks.append((position, line_end))
        position = line_end
    return [piece for block in blocks for piece in _sentences(text, *block)]


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    block = text[start:end]
    cuts = [0]
    for match in _SENTENCE_END.finditer(block):
        if not _ABBREVIATION.search(block[: match.start()].rstrip("\"'”’)*_")):
            cuts.append(match.end())
    cuts.append(len(block))
    return [_trimmed(text, start + a, start + b) for a, b in zip(cuts, cuts[1:], strict=False)]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
