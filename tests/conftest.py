"""Fakes written by hand: small enough to compute expected values on paper."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from index.hybrid import build_index, load_index
from index.storage import GenerationStore
from ingest.documents import Chunk, Document, Unit, content_id
from rag.errors import LLMError
from rag.evidence import Passage
from rag.llm import Message, OutputFormat
from rag.pipeline import RagPipeline
from rag.settings import Settings

DIMENSION = 64


def _word_vector(word: str) -> np.ndarray:
    """A fixed unit vector per word; different words are nearly orthogonal."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower()) or ["nothing"]


class FakeEmbedder:
    """The mean of the word vectors: texts that share words are near."""

    def __init__(self, fingerprint: str = "fake-dense") -> None:
        self.fingerprint = fingerprint
        self.dimension = DIMENSION
        self.embedded: list[str] = []

    def embed_query(self, query: str) -> np.ndarray:
        vector = np.sum([_word_vector(w) for w in _words(query)], axis=0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def embed_documents(self, texts: Sequence[str], progress=None) -> np.ndarray:
        self.embedded.extend(texts)
        if not texts:
            return np.zeros((0, DIMENSION), dtype=np.float32)
        return np.stack([self.embed_query(text) for text in texts])


class FakeTokenEmbedder:
    """One word, one token; equal words have cosine 1."""

    fingerprint = "fake-late"

    def embed_query(self, query: str) -> np.ndarray:
        return np.stack([_word_vector(w) for w in _words(query)])

    def embed_documents(self, texts: Sequence[str], progress=None) -> list[np.ndarray]:
        return [np.rint(self.embed_query(text) * 127).astype(np.int8) for text in texts]


class FakeReranker:
    """Counts the question's words in the passage."""

    def score(self, question: str, passages: Sequence[str]) -> np.ndarray:
        asked = set(_words(question))
        return np.array([len(asked & set(_words(p))) for p in passages], dtype=np.float32)


class FakeLLM:
    """Replies with a fixed text, in pieces of three characters.

    With `fails` the reply is followed by an LLMError.
    """

    name = "fake-llm"

    def __init__(
        self,
        reply: str,
        yes: float | None = None,
        *,
        output_form: str = "lines",
        fails: bool = False,
    ) -> None:
        self.reply = reply
        self.yes = yes
        self.output_form = output_form
        self.fails = fails
        self.closed = False
        self.asked = 0  # for yes or no
        self.prompts: list[str] = []
        self.formats: list[OutputFormat | None] = []
        self.stopped = False

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> Iterator[str]:
        self.prompts.append("\n".join(message.content for message in messages))
        self.formats.append(output_format)
        try:
            for start in range(0, len(self.reply), 3):
                yield self.reply[start : start + 3]
            if self.fails:
                raise LLMError("the endpoint went away: start it again")
        finally:
            self.stopped = True

    def complete(self, messages, *, max_tokens, output_format=None) -> str:
        return "".join(self.stream(messages, max_tokens=max_tokens, output_format=output_format))

    def yes_probability(self, messages: Sequence[Message]) -> float | None:
        self.asked += 1
        return self.yes

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def close(self) -> None:
        self.closed = True


def make_document(uri: str, text: str, **metadata) -> Document:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(content_id(uri, digest), uri, uri.split(".")[0], text, digest, metadata)


def make_chunks(document: Document, heading: str = "Heading", kind: str = "text") -> list[Chunk]:
    """One chunk a paragraph, one unit a line."""
    chunks, start = [], 0
    for ordinal, paragraph in enumerate(document.text.split("\n\n")):
        units, end = [], start
        for line in paragraph.split("\n"):
            units.append(Unit(end, end + len(line), line))
            end += len(line) + 1
        end = start + len(paragraph)
        chunks.append(
            Chunk(
                content_id(document.id, str(start), str(end)), document.id, ordinal, start, end,
                paragraph, (heading,), kind, paragraph, "", tuple(units),
            )
        )  # fmt: skip
        start = end + 2
    return chunks


def make_passages(*documents: Document) -> list[Passage]:
    """One passage a paragraph, labelled from 1."""
    chunks = [(document, chunk) for document in documents for chunk in make_chunks(document)]
    return [
        Passage(label, document, chunk, chunk.units, 1.0)
        for label, (document, chunk) in enumerate(chunks, start=1)
    ]


def publish(store: GenerationStore, documents: Sequence[Document], fingerprint="fake-dense") -> str:
    """Build and publish a generation with the fakes."""
    index = build_index(
        documents,
        [chunk for document in documents for chunk in make_chunks(document)],
        embedder=FakeEmbedder(fingerprint),
        token_embedder=FakeTokenEmbedder(),
    )
    with store.lock():
        return store.publish(index.save, index.manifest, lambda folder: None)


def make_pipeline(
    root: Path, documents: Sequence[Document], llm: FakeLLM | None = None, /, **changes
) -> RagPipeline:
    """A pipeline of fakes over a published index; `changes` are settings, or parts by name."""
    store = GenerationStore(root / "index")
    publish(store, documents)
    index, _ = load_index(store, embedder="fake-dense", token_embedder="fake-late")
    parts = {
        "embedder": FakeEmbedder(),
        "token_embedder": FakeTokenEmbedder(),
        "reranker": FakeReranker(),
        "judge": None,
    }
    parts |= {name: changes.pop(name) for name in parts if name in changes}
    return RagPipeline(Settings(data_dir=root, **changes), store, index, llm=llm, **parts)


@pytest.fixture
def fakes() -> dict:
    return {
        "embedder": FakeEmbedder(),
        "token_embedder": FakeTokenEmbedder(),
    }
