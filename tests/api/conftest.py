"""A pipeline made by hand, and ways to serve it: in process, and by a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from index.hits import Filters, Hit
from ingest.documents import Chunk, Document
from rag.answers import (
    Answer,
    Citation,
    Done,
    Event,
    Extract,
    Rejected,
    Retrieval,
    Sentence,
    SentenceReady,
    Sources,
)
from rag.settings import Settings

NO_FILTERS = Filters()
WAIT_S = 10.0  # until a test gives up on another thread

TEXT = (
    "# Position bias\n\n"
    "Clicks at the top come from trust 😀 not only from relevance.\n"
    "Weight each click by the inverse of its propensity.\n"
)
DOCUMENT = Document("9b2f4c51d07ae836", "bias.md", "Position bias", TEXT, "ab" * 32)


@dataclass(frozen=True)
class Info:
    """The same fields as rag.pipeline.DocumentInfo, without its imports."""

    id: str
    uri: str
    title: str
    chunks: int
    sha256: str


def quote(number: int, text: str) -> Citation:
    start = TEXT.index(text)
    line = TEXT.count("\n", 0, start) + 1
    return Citation(
        id=f"c{number}",
        marker=f"[{number}]",
        doc_id=DOCUMENT.id,
        doc=DOCUMENT.uri,
        title=DOCUMENT.title,
        heading_path=("Position bias",),
        chunk_id="1f0e6a7b8c9d2e34",
        start=start,
        end=start + len(text),
        line_start=line,
        line_end=line,
        quote=text,
        support=0.9,
    )


FIRST = quote(1, "Clicks at the top come from trust 😀 not only from relevance.")
SECOND = quote(2, "Weight each click by the inverse of its propensity.")
SENTENCES = (
    Sentence("Top results get clicks because users trust them.", ("c1",)),
    Sentence("Weight clicks by inverse propensity.", ("c2", "c1")),
)


def make_hit() -> Hit:
    start = TEXT.index("Clicks")
    text = TEXT[start:]
    chunk = Chunk(
        "1f0e6a7b8c9d2e34", DOCUMENT.id, 0, start, len(TEXT), text, ("Position bias",), "text", text
    )
    return Hit(chunk, 0.871204, 1, "reranked", {"bm25": 11.2})


class FakePipeline:
    """Answers every question with the same two sentences; every step can be held or broken."""

    def __init__(self) -> None:
        self.generation = "000001"
        self.newer: str | None = None
        self.error: Exception | None = None
        self.abstains = False
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.go_on = threading.Event()  # a stream waits for it after its first sentence
        self.go_on.set()
        self.entered = threading.Event()  # set when a question runs
        self.stream_closed = threading.Event()
        self.closed = False
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()

    @contextmanager
    def _run(self, question: str, **arguments: object) -> Iterator[None]:
        with self._lock:
            self.calls.append((question, arguments))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.entered.set()
        try:
            if self.error is not None:
                raise self.error
            yield
        finally:
            with self._lock:
                self.running -= 1

    def _retrieval(self, question: str, stage: str = "reranked") -> Retrieval:
        timings = {"bm25": 1.5, "rerank": 430.0}
        documents = {DOCUMENT.id: DOCUMENT}
        hits = (make_hit(),)
        return Retrieval(question, stage, hits, documents, timings, self.generation, ())

    def _answer(self, question: str, mode: str) -> Answer:
        if self.abstains:
            return Answer(question, "abstained", message="The corpus does not say.")
        return Answer(
            question=question,
            status="answered",
            sentences=SENTENCES,
            citations=(FIRST, SECOND),
            rejected=(Rejected("It is 9.", "not in the passage: 9"),),
            hits=(make_hit(),),
            model="fake" if mode == "llm" else "extractive",
            degraded=("reranker: 3 of 12 cut by its budget",),
            generation=self.generation,
            timings_ms={"rerank": 430.0, "llm": 2000.0},
        )

    def retrieve(self, question, *, k=10, stage="reranked", filters=NO_FILTERS):
        with self._run(question, k=k, stage=stage, filters=filters):
            return self._retrieval(question, stage)

    def answer(self, question, *, mode="llm", filters=NO_FILTERS, deadline=None):
        with self._run(question, mode=mode, filters=filters, deadline=deadline):
            self.go_on.wait(WAIT_S)
            return self._answer(question, mode)

    def stream(
        self,
        question,
        *,
        mode="llm",
        filters=NO_FILTERS,
        deadline=None,
        cancelled=lambda: False,
    ) -> Generator[Event, None, None]:
        try:
            with self._run(question, mode=mode, filters=filters, deadline=deadline):
                answer = self._answer(question, mode)
                yield Sources(self._retrieval(question))
                if mode == "llm" and not self.abstains:
                    yield Extract(replace(answer, model="extractive"))
                    yield SentenceReady(SENTENCES[0], (FIRST,))
                    self.go_on.wait(WAIT_S)
                    yield SentenceReady(SENTENCES[1], (SECOND,))
                yield Done(answer)
        finally:
            self.stream_closed.set()

    def documents(self):
        return [Info(DOCUMENT.id, DOCUMENT.uri, DOCUMENT.title, 1, DOCUMENT.sha256)]

    def document(self, doc_id):
        return DOCUMENT if doc_id == DOCUMENT.id else None

    def reload(self) -> bool:
        changed = self.newer is not None
        self.generation, self.newer = self.newer or self.generation, None
        return changed

    def close(self) -> None:
        self.closed = True


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            pytest.fail("waited in vain")
        time.sleep(0.005)


@pytest.fixture
def until():
    """Wait until a condition holds, or fail."""
    return wait_for


@pytest.fixture
def pipeline() -> Iterator[FakePipeline]:
    pipeline = FakePipeline()
    yield pipeline
    pipeline.go_on.set()


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return Settings that no environment can change."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RAG_{name.upper()}", raising=False)

    def make(**overrides: object) -> Settings:
        return Settings(**({"data_dir": tmp_path / "data"} | overrides))

    return make


@pytest.fixture
def connect(make_settings, pipeline: FakePipeline, until):
    """Open a client of an application with these settings, once it is ready."""
    clients = []

    def connect_(load=lambda: pipeline, update=None, *, ready=True, **overrides) -> TestClient:
        app = create_app(make_settings(**overrides), load, update)
        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        if ready:
            until(lambda: client.get("/readyz").status_code == 200)
        return client

    yield connect_
    pipeline.go_on.set()
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(connect) -> TestClient:
    return connect()


class LiveServer(uvicorn.Server):
    """uvicorn in a thread, at a port of its choice."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", ws="none",
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        super().__init__(config)
        self.thread = threading.Thread(target=self.run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture
def serve(make_settings, pipeline: FakePipeline, until):
    """Start a real server; return its application and address."""
    servers = []

    def serve_(**overrides) -> tuple[FastAPI, str]:
        app = create_app(make_settings(**overrides), lambda: pipeline)
        server = LiveServer(app)
        servers.append(server)
        server.thread.start()
        until(lambda: server.started)
        until(lambda: pipeline.generation == app.state.service.pipeline.generation)
        return app, server.url

    yield serve_
    pipeline.go_on.set()
    for server in servers:
        server.should_exit = True
        server.thread.join(WAIT_S)
        assert not server.thread.is_alive()
