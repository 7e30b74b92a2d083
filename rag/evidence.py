"""Hits -> passages of quotable units -> the part of them that enters the prompt.

Documents are data: text that reads like an instruction to the model is withheld from the prompt
(the reader still sees it in the document). Knows nothing of prompts' wording or of LLMs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index.hits import Hit
from ingest.documents import Chunk, Document, Unit
from ingest.questions import letters

_INSTRUCTION = re.compile(
    r"""\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|prompts?|sources|rules)\b
    |\b(?:put|set|leave)\b.{0,20}\b(?:instructions?|prompts?|sources|rules)\s+aside\b
    |\b(?:reveal|print|repeat|show|output)\b.{0,30}\b(?:system\s+prompt|hidden\s+instructions?)\b
    |\byou\s+are\s+now\s+(?:an?|in|the)\b
    |\bnew\s+instructions?\s*:
    |\b(?:as\s+an?|dear)\s+(?:ai|assistant|language\s+model|llm)\b
    |^\s*(?:system|assistant)\s*:\s*you\b
    |<\|[^|]*\|>
    |\b(?:you|the\s+assistant|the\s+model)\s+must\s+(?:now\s+|only\s+|always\s+)?
        (?:answer|reply|respond|say|output)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ORDER = re.compile(
    r"\W*(?:just|only|simply)\s+(?:answer|say|reply|respond|confirm)\b", re.IGNORECASE
)
_CHARS_PER_TOKEN = 4.0  # of the default LLM on the study corpus: 4.1
_FIRST_SHARE, _NEXT_SHARE = 0.6, 0.3  # of the budget, for the best passage and for each other one
_WORTH_A_LABEL = 100  # characters; less room than this is left empty


@dataclass(frozen=True, slots=True)
class Passage:
    """One or more overlapping chunks of a document under one label of the prompt, from 1."""

    label: int
    document: Document
    chunk: Chunk
    units: tuple[Unit, ...]
    score: float

    @property
    def heading(self) -> str:
        """Where the passage stands: the title and the two innermost headings."""
        path = [part for part in self.chunk.heading_path if part != self.document.title]
        return " > ".join([self.document.title, *path[-2:]])

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


def without_instructions(question: str) -> str:
    """Return `question` without the sentences that address the model; perhaps nothing is left."""
    sentences = [s for s in re.split(r"(?<=[.!?])\s+|\n+", question) if s]
    kept = [s for s in sentences if not reads_like_an_instruction(s)]
    if len(kept) < len(sentences):
        kept = [s for s in kept if not _ORDER.match(s)]  # "Just answer yes." asks for nothing
    return " ".join(kept)


def collect_passages(
    hits: Sequence[Hit], documents: Mapping[str, Document], *, max_passages: int
) -> tuple[tuple[Passage, ...], int]:
    """Return the passages of the best hits, best first, and how many units were withheld.

    A hit that overlaps a passage of the same section extends it; one that mostly repeats the
    others is dropped.
    """
    passages: list[Passage] = []
    seen: set[str] = set()
    withheld = 0
    for hit in hits:
        units = hit.chunk.units
        safe = [unit for unit in units if not reads_like_an_instruction(unit.plain)]
        fresh = tuple(unit for unit in safe if letters(unit.plain) not in seen)
        neighbour = next((i for i, p in enumerate(passages) if _adjoin(p, hit.chunk)), None)
        if neighbour is None and (len(passages) == max_passages or 2 * len(fresh) < len(safe)):
            continue
        withheld += len(units) - len(safe)
        seen.update(letters(unit.plain) for unit in fresh)
        if neighbour is not None:
            joined = {*passages[neighbour].units, *fresh}
            passages[neighbour] = dataclasses.replace(
                passages[neighbour], units=tuple(sorted(joined, key=lambda unit: unit.start))
            )
        elif fresh:
            document = documents[hit.chunk.doc_id]
            passages.append(Passage(len(passages) + 1, document, hit.chunk, fresh, hit.score))
    return tuple(passages), withheld


def with_questions(similarity: Mapping[Unit, float], hits: Sequence[Hit]) -> dict[Unit, float]:
    """Return the similarity of units to the question, or that of their questions where higher."""
    found = dict(similarity)
    for hit in hits:
        for number, score in hit.asked.items():
            unit = hit.chunk.units[number]
            if unit in found:
                found[unit] = max(found[unit], score)
    return found


def focus(
    passages: Sequence[Passage], similarity: Mapping[Unit, float], *, max_tokens: int
) -> tuple[Passage, ...]:
    """Cut the passages to the runs of units closest to the question, within the token budget.

    The prompt is what costs time on a laptop, and most of a passage does not answer. A run grows
    from the closest unit, so that it stays a text that can be read.
    """
    room = max_tokens * _CHARS_PER_TOKEN
    share = _FIRST_SHARE * room
    kept: list[Passage] = []
    for passage in passages:
        fixed = len(passage.heading) + len(passage.chunk.context) + 8
        budget = min(room, share) - fixed
        if budget < _WORTH_A_LABEL:
            break
        units = _closest_run(passage.units, similarity, budget)
        label = len(kept) + 1
        kept.append(dataclasses.replace(passage, label=label, units=units))
        room -= fixed + sum(len(unit.plain) for unit in units)
        share = _NEXT_SHARE * max_tokens * _CHARS_PER_TOKEN
    return tuple(kept)


def best_at_the_edges(passages: Sequence[Passage]) -> list[Passage]:
    """Order for the prompt: best first, second best last, the rest between them.

    Models use the middle of a prompt least (Liu et al., "Lost in the Middle", 2023).
    """
    return [*passages[:1], *passages[2:], *passages[1:2]]


def _closest_run(
    units: Sequence[Unit], similarity: Mapping[Unit, float], budget: float
) -> tuple[Unit, ...]:
    first = last = max(range(len(units)), key=lambda i: similarity[units[i]])
    used = len(units[first].plain)
    while True:
        around = [i for i in (first - 1, last + 1) if 0 <= i < len(units)]
        around = [i for i in around if used + len(units[i].plain) <= budget]
        if not around:
            return tuple(units[first : last + 1])
        best = max(around, key=lambda i: similarity[units[i]])
        used += len(units[best].plain)
        first, last = min(first, best), max(last, best)


def _adjoin(passage: Passage, chunk: Chunk) -> bool:
    return (
        passage.document.id == chunk.doc_id
        and passage.chunk.heading_path == chunk.heading_path
        and bool(passage.units and chunk.units)
        and chunk.units[0].start <= passage.units[-1].end
        and passage.units[0].start <= chunk.units[-1].end
    )
