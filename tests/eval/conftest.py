"""A pipeline whose every ranking and answer is written down in the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from index.hits import Hit, Stage
from ingest.documents import Chunk, Document
from rag.answers import Answer, Citation, Done, Event, Retrieval, Sentence, SentenceReady, Sources
from rag.errors import RagError

Ranker = Callable[[str, Stage], Sequence[str]]  # (question, stage) -> chunk ids


class FakePipeline:
    """Documents of four-letter words; a chunk a word, its id the word itself."""

    def __init__(self, texts: dict[str, str], ranker: Ranker) -> None:
        self.texts = {uri: Document(uri, uri, uri, text, "") for uri, text in texts.items()}
        self.ranker = ranker
        self.asked: list[tuple[str, Stage, int]] = []
        self.answers: dict[str, Answer] = {}
        self.closed = False

    def documents(self) -> list[Document]:
        return list(self.texts.values())

    def document(self, doc_id: str) -> Document | None:
        return self.texts.get(doc_id)

    def chunks(self) -> list[Chunk]:
        return [
            Chunk(word, doc.id, 0, at, at + len(word), word, (f"About {word}",), "text", word)
            for doc in self.texts.values()
            for word in doc.text.split()
            for at in [doc.text.index(word)]
        ]

    def retrieve(self, question: str, *, k: int, stage: Stage) -> Retrieval:
        self.asked.append((question, stage, k))
        if question == "broken":
            raise RagError("the question broke it")
        known = {chunk.id: chunk for chunk in self.chunks()}
        hits = tuple(
            Hit(known[word], 1 / rank, rank, stage)
            for rank, word in enumerate(self.ranker(question, stage), start=1)
        )
        degraded = ("reranker",) if stage == "reranked" else ()
        return Retrieval(question, stage, hits, self.texts, {}, "g1", degraded)

    def answer(self, question: str, *, mode: str) -> Answer:
        assert mode == "extractive"
        return self.answers[question]

    def stream(self, question: str) -> Iterator[Event]:
        answer = self.answers[question]
        yield Sources(Retrieval(question, "reranked", answer.hits, self.texts, {}, "g1"))
        for sentence in answer.sentences:
            yield SentenceReady(sentence, ())
        yield Done(answer)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def make_pipeline() -> type[FakePipeline]:
    return FakePipeline


@pytest.fixture
def make_answer() -> Callable[..., Answer]:
    def make(pipeline: FakePipeline, question: str, word: str, **changes) -> Answer:
        """An answer that quotes one word of `a.md`, whose chunk was in the prompt."""
        chunk = {chunk.id: chunk for chunk in pipeline.chunks()}[word]
        quote = Citation(
            **{
                "id": "c1", "marker": "[1]", "doc_id": chunk.doc_id, "doc": chunk.doc_id,
                "title": "", "heading_path": (), "chunk_id": chunk.id, "start": chunk.start,
                "end": chunk.end, "line_start": 1, "line_end": 1, "quote": word, "support": 1.0,
                **changes,
            }
        )  # fmt: skip
        hit = Hit(chunk, 1.0, 1, "reranked")
        sentence = Sentence(word, ("c1",))
        return Answer(question, "answered", (sentence,), (quote,), hits=(hit,))

    return make
