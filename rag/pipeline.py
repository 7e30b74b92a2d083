"""The path of a question: retrieve, rerank, read.

Joins the parts; each part is in a module of its own. The index is one reference that `reload`
swaps, so that a question sees one generation from beginning to end.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from index.embedding import Embedder, TokenEmbedder
from index.hits import Filters, Stage
from index.hybrid import LATE_CANDIDATES, HybridIndex, load_index
from index.storage import GenerationStore
from ingest.documents import Chunk, Document
from rag.answers import Answer, Condensed, Done, Event, Mode, Retrieval, Sources
from rag.entailment import Entailment
from rag.evidence import without_instructions
from rag.judging import Judge
from rag.llm import LLM
from rag.reader import Asked, Found, Reader, milliseconds
from rag.reranking import Reranker, rerank
from rag.settings import Settings
from rag.spelling import Speller

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One line of the list of documents."""

    id: str
    uri: str
    title: str
    chunks: int
    sha256: str


class RagPipeline:
    """Answers questions over one index. Safe to call from several threads.

    A part that is None is skipped and named in `degraded`.
    """

    def __init__(
        self,
        settings: Settings,
        store: GenerationStore,
        index: HybridIndex,
        *,
        embedder: Embedder | None,
        token_embedder: TokenEmbedder | None,
        reranker: Reranker | None,
        llm: LLM | None,
        judge: Judge | None = None,
        entailment: Entailment | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self._store = store
        self._index = index
        self._speller = self._learn_words()
        self._embedder, self.token_embedder = embedder, token_embedder
        self._reranker, self.llm, self.entailment = reranker, llm, entailment
        self._judge = judge
        self.problems = tuple(problems)

    @property
    def index(self) -> HybridIndex:
        """The index in use."""
        return self._index

    @property
    def embedder(self) -> Embedder | None:
        """The model that embeds queries."""
        return self._embedder

    @property
    def reranker(self) -> Reranker | None:
        """The cross-encoder."""
        return self._reranker

    @property
    def generation(self) -> str:
        """The generation of the index in use."""
        return self._index.generation

    def documents(self) -> list[DocumentInfo]:
        """Return what is indexed, by uri."""
        index = self._index
        counts = Counter(chunk.doc_id for chunk in index.chunks)
        infos = [
            DocumentInfo(d.id, d.uri, d.title, counts[d.id], d.sha256)
            for d in index.documents.values()
        ]
        return sorted(infos, key=lambda info: info.uri)

    def document(self, doc_id: str) -> Document | None:
        """Return a document by id."""
        return self._index.documents.get(doc_id)

    def chunks(self) -> Sequence[Chunk]:
        """Return all searched chunks."""
        return self._index.chunks

    def reload(self) -> bool:
        """Take up a newer generation, if there is one; tells whether there was."""
        if self._store.current() == self.generation:
            return False
        before, manifest = self.generation, self._index.manifest
        self._index, problems = load_index(
            self._store,
            embedder=manifest["embedder"],
            token_embedder=manifest["token_embedder"],
            query_map=self._index.query_map,
        )
        self._speller = self._learn_words()
        self.problems = tuple(problems)
        return self.generation != before  # the same one where the newer one is damaged

    def close(self) -> None:
        """Free the LLM."""
        if self.llm is not None:
            self.llm.close()

    def retrieve(
        self,
        question: str,
        *,
        k: int = 10,
        stage: Stage = "reranked",
        filters: Filters = Filters(),  # noqa: B008  # frozen
    ) -> Retrieval:
        """Return the best `k` hits of `stage`, with the stages' milliseconds."""
        return self._retrieve(self._index, self._repaired(question), k, stage, filters)

    def _learn_words(self) -> Speller | None:
        """Return the speller of the index in use; None where spelling is not to be repaired."""
        if not self.settings.spelling:
            return None
        chunks = self._index.chunks
        asked = (q for chunk in chunks for unit in chunk.units for q in unit.questions)
        return Speller([*(chunk.search_text for chunk in chunks), *asked], self.settings.spelling)

    def _repaired(self, question: str) -> str:
        return self._speller.repair(question) if self._speller else question

    def _retrieve(
        self, index: HybridIndex, question: str, k: int, stage: Stage, filters: Filters
    ) -> Retrieval:
        settings = self.settings
        reranked = stage == "reranked"
        found = index.search(
            question,
            k=max(k, settings.rerank_depth, LATE_CANDIDATES) if reranked else k,
            stage="late" if reranked else stage,
            filters=filters,
            embedder=self._embedder,
            token_embedder=self.token_embedder,
        )
        hits, timings, degraded = found.hits, dict(found.timings_ms), list(found.degraded)
        if reranked:
            start = time.perf_counter()
            hits, cut = rerank(
                self._reranker,
                question,
                hits,
                depth=settings.rerank_depth,
                weights=settings.rerank_weights,
                budget_ms=settings.rerank_budget_ms,
            )
            timings["rerank"] = milliseconds(start)
            if settings.rerank_depth and self._reranker is None:
                degraded.append("reranker")
            if cut:
                degraded.append(f"reranker: {cut} of {settings.rerank_depth} cut by its budget")
        return Retrieval(
            question, stage, hits[:k], index.documents, timings, index.generation, tuple(degraded)
        )

    def answer(
        self,
        question: str,
        *,
        mode: Mode = "llm",
        filters: Filters = Filters(),  # noqa: B008  # frozen
        deadline: float | None = None,
    ) -> Answer:
        """Return the finished answer. `deadline` is a time of `time.monotonic`."""
        for event in self.stream(question, mode=mode, filters=filters, deadline=deadline):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    def stream(
        self,
        question: str,
        *,
        mode: Mode = "llm",
        filters: Filters = Filters(),  # noqa: B008  # frozen
        deadline: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generator[Event, None, None]:
        """Yield Sources, then perhaps Extract and sentences, then Done; closing stops the LLM.

        `cancelled` is asked for every token: a generator cannot be closed from another thread.
        """
        start = time.perf_counter()
        asked = self._asked(question)
        if asked.repaired != asked.said:
            yield Condensed(question, asked.repaired, "spelling")
        retrieval = self._hits(asked, filters)
        yield Sources(retrieval)

        def stop() -> str:
            if cancelled():
                return "cancelled"
            return "deadline" if deadline is not None and time.monotonic() > deadline else ""

        yield from self._reader().stream(asked, retrieval, mode=mode, stop=stop, start=start)

    def read(self, question: str) -> tuple[Asked, Found]:
        """Return what an answer would be made of; no LLM is asked."""
        asked = self._asked(question)
        return asked, self._reader().read(asked, self._hits(asked, Filters()), "llm", {})

    def _asked(self, question: str) -> Asked:
        said = without_instructions(question)
        return Asked(question, said, self._repaired(said))

    def _hits(self, asked: Asked, filters: Filters) -> Retrieval:
        searched = asked.repaired or asked.question
        return self._retrieve(self._index, searched, 10, "reranked", filters)

    def _reader(self) -> Reader:
        return Reader(self.settings, self.token_embedder, self.llm, self._judge, self.entailment)


def build_pipeline(settings: Settings, *, llm: bool = True) -> RagPipeline:
    """Load models and index. Raises ModelError, IndexStoreError or LLMError; takes seconds.

    With `llm` False answers are extractive.
    """
    from rag.loading import (
        load_embedders,
        load_entailment,
        load_judge,
        load_llm,
        load_query_map,
        load_reranker,
    )

    store = GenerationStore(settings.data_dir / "index")
    store.current()  # fails at once, before seconds of loading
    with ThreadPoolExecutor(1) as pool:
        # llama.cpp reads its weights while torch is being imported.
        loading = pool.submit(load_llm, settings) if llm else None
        judging = pool.submit(lambda: load_judge(settings, loading.result())) if loading else None
        embedder, token_embedder = load_embedders(settings)
        index, problems = load_index(
            store,
            embedder=embedder.fingerprint,
            token_embedder=token_embedder.fingerprint,
            query_map=load_query_map(settings),
        )
        reranker = load_reranker(settings)
        for problem in problems:
            logger.warning("%s", problem)
        return RagPipeline(
            settings,
            store,
            index,
            embedder=embedder,
            token_embedder=token_embedder,
            reranker=reranker,
            llm=loading.result() if loading else None,
            judge=judging.result() if judging else None,
            entailment=load_entailment(settings),
            problems=problems,
        )
