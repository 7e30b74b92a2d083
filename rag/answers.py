"""What a question becomes: an Answer of Sentences, each with Citations that can be checked.

These types know nothing of how an answer was made. `to_dict` is the form that the command line
prints with `--json` and that the HTTP service sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from index.hits import Hit, Stage
from ingest.documents import Document

Status = Literal["answered", "partial", "abstained"]
Mode = Literal["llm", "extractive"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quote: `document.text[start:end] == quote`, lines counted from 1.

    `support` is how well the quoted passage states its sentence, from 0 to 1.
    """

    id: str
    marker: str
    doc_id: str
    doc: str
    title: str
    heading_path: tuple[str, ...]
    chunk_id: str
    start: int
    end: int
    line_start: int
    line_end: int
    quote: str
    support: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer with the ids of its citations."""

    text: str
    citations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something the model wrote that the reader does not get, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole outcome of one question. `timings_ms` maps a stage to its milliseconds.

    `answerability` is the probability that the passages hold the answer, which decided whether to
    give one. `condensed` is what was asked in place of a question that did not stand alone or had
    mistakes in its spelling.
    """

    question: str
    status: Status
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    hits: tuple[Hit, ...] = ()
    model: str = ""
    degraded: tuple[str, ...] = ()
    generation: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    condensed: str | None = None
    answerability: float = 0.0

    @property
    def text(self) -> str:
        """The answer as one string with `[1]`-style markers; when abstaining, the reason."""
        if not self.sentences:
            return self.message
        marker = {citation.id: citation.marker for citation in self.citations}
        return " ".join(
            f"{sentence.text} {''.join(marker[c] for c in sentence.citations)}".strip()
            for sentence in self.sentences
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form (DESIGN: `rag ask --json`); hits are left to `rag search`."""
        return {
            "question": self.question,
            "status": self.status,
            "text": self.text,
            "sentences": [asdict(sentence) for sentence in self.sentences],
            "citations": [asdict(citation) for citation in self.citations],
            "rejected": [asdict(rejected) for rejected in self.rejected],
            "degraded": list(self.degraded),
            "model": self.model,
            "generation": self.generation,
            "timings_ms": dict(self.timings_ms),
            "condensed": self.condensed,
            "answerability": round(self.answerability, 3),
        }


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The hits for one question, with the documents they come from, by id.

    `query` is the question as it was searched: with the mistakes in its spelling repaired.
    """

    query: str
    stage: Stage
    hits: tuple[Hit, ...]
    documents: Mapping[str, Document]
    timings_ms: Mapping[str, float]
    generation: str
    degraded: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form (DESIGN: `rag search --json`)."""
        return {
            "query": self.query,
            "hits": [hit_dict(hit, self.documents[hit.chunk.doc_id]) for hit in self.hits],
            "timings_ms": dict(self.timings_ms),
            "generation": self.generation,
            "degraded": list(self.degraded),
        }


def line_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the first and last line (from 1) that `text[start:end]` touches."""
    first = text.count("\n", 0, start) + 1
    return first, first + text.count("\n", start, max(start, end - 1))


def hit_dict(hit: Hit, document: Document) -> dict[str, Any]:
    """Return one hit in its JSON form."""
    chunk = hit.chunk
    line_start, line_end = line_span(document.text, chunk.start, chunk.end)
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "stage": hit.stage,
        "doc": document.uri,
        "doc_id": document.id,
        "title": document.title,
        "heading_path": list(chunk.heading_path),
        "kind": chunk.kind,
        "start": chunk.start,
        "end": chunk.end,
        "line_start": line_start,
        "line_end": line_end,
        "text": chunk.text,
        "chunk_id": chunk.id,
        "explain": dict(hit.explain),
    }


# What RagPipeline.stream yields, in this order: Condensed (only where the spelling was repaired),
# Sources, Extract (only while an LLM is still to write), SentenceReady for each validated sentence,
# Done. In a conversation (rag.chat) Condensed comes first where a question did not stand alone.


@dataclass(frozen=True, slots=True)
class Condensed:
    """What is asked in place of `turn`, and who worded it: the LLM, a merge, the spelling check."""

    turn: str
    question: str
    by: Literal["llm", "merge", "spelling"]


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages found; the answer is not begun."""

    retrieval: Retrieval


@dataclass(frozen=True, slots=True)
class Extract:
    """The extractive answer, shown while the LLM is still writing."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """One validated sentence with the citations that it introduces."""

    sentence: Sentence
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The finished answer."""

    answer: Answer


Event = Condensed | Sources | Extract | SentenceReady | Done
Events = Sequence[Event]
