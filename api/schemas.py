"""The JSON that goes in and out, as strict pydantic models; unknown members are refused.

The models of responses describe what `Answer.to_dict` and `Retrieval.to_dict` make; they do not
run on responses, and a test holds both together. The OpenAI forms are in `api.openai_schemas`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from index.hits import Filters, Stage
from ingest.documents import ChunkKind
from rag.answers import Mode, Status
from rag.conversations import ID_PATTERN

EXAMPLE_QUESTION = "How do I correct for position bias in click logs?"
_QUOTE = "Weight each click by the inverse of the probability that its position was examined."
_ANSWER = "Weight clicks by the inverse of the propensity that their position was seen."


def clean_question(text: str) -> str:
    """Return the question without outer whitespace. Raises ValueError if it is not one."""
    text = text.strip()
    if not text:
        raise ValueError("must not be empty")
    if "\0" in text:  # models in C take it for the end of the text
        raise ValueError("must not contain U+0000")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half a surrogate pair")
    return text


Question = Annotated[
    str,
    AfterValidator(clean_question),
    Field(min_length=1, description="In words; its length is limited by RAG_MAX_QUESTION_CHARS."),
]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Patterns = Annotated[list[Pattern], Field(max_length=50)]

ConversationId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


class Strict(BaseModel):
    """No conversions, no unknown members."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SearchFilters(Strict):
    """Restricts a search; an empty list restricts nothing, several values mean "any of them"."""

    documents: Patterns = Field([], description="glob patterns over paths, or exact ids")
    headings: Patterns = Field([], description="parts of any heading above a passage")
    kinds: Annotated[list[ChunkKind], Field(max_length=7)] = Field([], description="of passage")
    tags: Patterns = Field([], description="tags from the front matter")

    def to_filters(self) -> Filters:
        """Return the form that the index knows."""
        return Filters(
            tuple(self.documents), tuple(self.headings), tuple(self.kinds), tuple(self.tags)
        )


class AskRequest(Strict):
    """A question to answer."""

    question: Question
    mode: Mode = Field(
        "llm", description="`llm` writes sentences; `extractive` quotes, in a second"
    )
    conversation_id: ConversationId | None = Field(
        None,
        description="of your choice; earlier questions under it complete a follow-up, and an "
        "unknown one begins a conversation",
    )
    filters: SearchFilters = SearchFilters()


class SearchRequest(Strict):
    """A question to find passages for."""

    question: Question
    k: int = Field(10, ge=1, le=100, description="how many passages")
    stage: Stage = Field("reranked", description="the stage whose ranking is returned")
    filters: SearchFilters = SearchFilters()


class Passage(Strict):
    """A passage that was found. Ranges are half-open, in Unicode code points of the document."""

    rank: int
    score: float
    stage: Stage
    doc: str
    doc_id: str
    title: str
    heading_path: list[str]
    kind: ChunkKind
    start: int
    end: int
    line_start: int
    line_end: int
    text: str
    chunk_id: str
    explain: dict[str, float]


class SearchResponse(Strict):
    """What `rag search --json` prints."""

    query: str
    hits: list[Passage]
    timings_ms: dict[str, float]
    generation: str
    degraded: list[str]


class CitedSentence(Strict):
    """A sentence with the ids of its citations."""

    text: str
    citations: list[str]


class CitationQuote(Strict):
    """A verbatim quote: code points `start` to `end` of the document's text, end excluded."""

    id: str
    marker: str
    doc_id: str
    doc: str
    title: str
    heading_path: list[str]
    chunk_id: str
    start: int
    end: int
    line_start: int
    line_end: int
    quote: str
    support: float


class RejectedText(Strict):
    """Something that the model wrote and the reader does not get."""

    text: str
    reason: str


class AskResponse(Strict):
    """What `rag ask --json` prints; `conversation_id` only if the request had one."""

    question: str
    status: Status
    text: str
    sentences: list[CitedSentence]
    citations: list[CitationQuote]
    rejected: list[RejectedText]
    degraded: list[str]
    model: str
    generation: str
    timings_ms: dict[str, float]
    conversation_id: str | None = None
    condensed: str | None = Field(
        None,
        description="what was asked in place of a question that did not stand alone or had "
        "mistakes in its spelling",
    )
    answerability: float | None = Field(
        None, description="how likely the corpus answers; null in turns kept by older versions"
    )


class ConversationTurn(Strict):
    """A question of a conversation; `answer` is null where it was cut off."""

    number: int = Field(description="from 1")
    asked_at: float = Field(description="Unix time")
    question: str
    condensed: str | None
    answer: AskResponse | None


class Conversation(Strict):
    """A conversation with its turns in order."""

    id: str
    turns: list[ConversationTurn]


class DocumentLine(Strict):
    """A document of the index."""

    id: str
    doc: str = Field(description="path relative to the ingested folder")
    title: str
    chunks: int
    sha256: str = Field(description="of the source file's bytes")


class DocumentText(DocumentLine):
    """A document with the exact text that offsets refer to."""

    text: str
    offset_unit: Literal["unicode_code_point"] = Field(
        "unicode_code_point",
        description="not UTF-16 units: in JavaScript, slice `Array.from(text)`",
    )


_EXAMPLE_PROBLEM: dict[str, JsonValue] = {
    "type": "urn:study-rag:overloaded",
    "title": "Too many questions at once",
    "status": 429,
    "detail": "18 questions are running or waiting; try again later.",
    "instance": "/v1/ask",
    "request_id": "0b9c5d0e7f6a4a1e8d2c3b4a59687766",
}


class ProblemBody(BaseModel):
    """RFC 9457; `errors` lists the places of an invalid request."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE_PROBLEM})

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, Any]] | None = None


EXAMPLE_CITATION = {
    "id": "c1",
    "marker": "[1]",
    "doc_id": "9b2f4c51d07ae836",
    "doc": "position-bias.md",
    "title": "Position bias",
    "heading_path": ["Position bias", "Inverse propensity weighting"],
    "chunk_id": "1f0e6a7b8c9d2e34",
    "start": 1042,
    "end": 1042 + len(_QUOTE),
    "line_start": 23,
    "line_end": 23,
    "quote": _QUOTE,
    "support": 0.93,
}
EXAMPLE_HIT = {
    "rank": 1,
    "score": 0.871204,
    "stage": "reranked",
    "doc": "position-bias.md",
    "doc_id": "9b2f4c51d07ae836",
    "title": "Position bias",
    "heading_path": ["Position bias", "Inverse propensity weighting"],
    "kind": "text",
    "start": 1042,
    "end": 1042 + len(_QUOTE),
    "line_start": 23,
    "line_end": 23,
    "text": _QUOTE,
    "chunk_id": "1f0e6a7b8c9d2e34",
    "explain": {"bm25": 11.2, "dense": 0.81, "late": 0.84},
}
EXAMPLE_SEARCH = {
    "query": EXAMPLE_QUESTION,
    "hits": [EXAMPLE_HIT],
    "timings_ms": {"bm25": 1.4, "dense": 3.1, "late": 15.2, "rerank": 430.0},
    "generation": "000003",
    "degraded": [],
}
EXAMPLE_ANSWER: dict[str, Any] = {
    "question": EXAMPLE_QUESTION,
    "status": "answered",
    "text": f"{_ANSWER} [1]",
    "sentences": [{"text": _ANSWER, "citations": ["c1"]}],
    "citations": [EXAMPLE_CITATION],
    "rejected": [],
    "degraded": [],
    "model": "qwen2.5-coder-1.5b",
    "generation": "000003",
    "timings_ms": {"rerank": 430.0, "first_sentence": 6100.0, "llm": 9200.0, "total": 9800.0},
    "condensed": None,
    "answerability": 0.93,
}
EXAMPLE_CONVERSATION = {
    "id": "my-chat",
    "turns": [
        {
            "number": 1,
            "asked_at": 1767225600.0,
            "question": EXAMPLE_QUESTION,
            "condensed": None,
            "answer": EXAMPLE_ANSWER,
        }
    ],
}
EXAMPLE_DOCUMENT = {
    "id": "9b2f4c51d07ae836",
    "doc": "position-bias.md",
    "title": "Position bias",
    "chunks": 14,
    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
}
