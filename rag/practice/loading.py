"""The documents of an index -> a Practice, with the bank's override file and a grader.

For the service over a pipeline that is loaded; for the command line over models that load in the
background, so that the first question is there before them. Knows nothing of terminals or HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.embedding import Embedder, TokenEmbedder
from index.errors import IndexCorrupt
from index.hybrid import load_documents, load_index
from index.storage import GenerationStore, read_manifest
from ingest.documents import Document
from rag.answers import Answer
from rag.errors import ModelError
from rag.llm import LLM
from rag.practice.bank import Bank, RedFlag, RubricPoint
from rag.practice.matching import Match, embedding_match
from rag.practice.parsing import parse_bank
from rag.practice.phrasings import FILE_NAME as PHRASINGS
from rag.practice.sessions import Practice
from rag.practice.store import PracticeStore
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline
    from rag.practice.grader import Grader, Grading
    from rag.reranking import Reranker

DATABASE = "practice.sqlite3"  # in the data folder
OVERRIDES = "practice-overrides.toml"  # in a folder that was ingested
_DEADLINE_SHARE = 0.9  # of the service's, so that an answer that is cut short still arrives


def parse_beside(
    documents: Sequence[Document], sources: Sequence[str], overrides: Path | None = None
) -> Bank:
    """Return the bank of `documents`, with the files beside them.

    Each is that of the first of the folders `sources` that has one; `overrides` replaces one.
    Raises BankError.
    """
    return parse_bank(
        documents, overrides or _beside(sources, OVERRIDES), _beside(sources, PHRASINGS)
    )


def _beside(sources: Sequence[str], name: str) -> Path | None:
    files = (Path(source) / name for source in sources)
    return next((path for path in files if path.is_file()), None)


def load_bank(data_dir: Path, overrides: Path | None = None) -> tuple[Bank, list[Document]]:
    """Parse the bank of the current index; needs no models.

    `overrides` replaces the file that lies with the documents. Raises IndexStoreError, BankError.
    """
    store = GenerationStore(data_dir / "index")
    documents = load_documents(store)
    return parse_beside(documents, _sources(store), overrides), documents


def practice_over(pipeline: RagPipeline, store: PracticeStore) -> Practice:
    """Return practice over the index and the models of `pipeline`. Raises BankError, ModelError."""
    from rag.practice.grader import Grader

    settings, index = pipeline.settings, pipeline.index
    embedder, token_embedder = pipeline.embedder, pipeline.token_embedder
    if embedder is None or token_embedder is None:
        raise ModelError("practice grades with both embedding models: name them in the settings")
    llm = pipeline.llm if settings.practice_llm else None

    def answer(question: str) -> Answer:
        deadline = time.monotonic() + settings.deadline_s * _DEADLINE_SHARE
        return pipeline.answer(question, deadline=deadline)

    return Practice(
        parse_beside(list(index.documents.values()), index.manifest.get("sources", ())),
        Grader(embedder, token_embedder, pipeline.reranker, llm),
        store,
        match=embedding_match(embedder),
        answer=answer,
        corpus=index.documents.get,
        model=llm.name if llm else "",
    )


def _sources(store: GenerationStore) -> Sequence[str]:
    """Return the sources of the generation whose documents `load_documents` returns."""
    for folder in store.candidates():
        with suppress(IndexCorrupt):
            sources: Sequence[str] = read_manifest(folder).get("sources", ())
            return sources
    return ()


@contextmanager
def open_practice(
    settings: Settings, *, overrides: Path | None = None, llm: bool = False, load: bool = True
) -> Iterator[Practice]:
    """Give practice for one process; with `load` its models begin to load at once.

    With `llm` the language model decides what the grader is unsure of and writes answers.
    """
    bank, documents = load_bank(settings.data_dir, overrides)
    models = BackgroundModels(settings, llm=llm)
    name = (settings.llm_model or settings.llm) if llm else ""
    try:
        with PracticeStore(settings.data_dir / DATABASE) as store:
            if load:
                models.start()
            yield Practice(
                bank,
                models,
                store,
                match=models.match,
                answer=models.answer,
                corpus={document.id: document for document in documents}.get,
                model=name,
            )
    finally:
        models.close()


@dataclass(frozen=True)
class _Loaded:
    embedder: Embedder
    token_embedder: TokenEmbedder
    reranker: Reranker | None
    llm: LLM | None
    grader: Grader
    match: Match


class BackgroundModels:
    """A grader, a Match and an answerer over models that load in a thread; for one caller.

    Each call waits until they are there, and raises ModelError or LLMError where they are not.
    """

    def __init__(self, settings: Settings, *, llm: bool) -> None:
        self._settings, self._with_llm = settings, llm
        self._loading: Future[_Loaded] | None = None
        self._pipeline: RagPipeline | None = None

    def start(self) -> Future[_Loaded]:
        """Begin to load. Raises ModelMissing at once, before anybody has typed an answer."""
        from rag.loading import embedder_fingerprints

        if self._loading is None:
            embedder_fingerprints(self._settings)
            self._loading = Future()
            # A daemon: who leaves before the models are there does not wait for them.
            threading.Thread(target=self._run, args=(self._loading,), daemon=True).start()
        return self._loading

    def grade(
        self,
        prompt: str,
        points: Sequence[RubricPoint],
        answer: str,
        red_flags: Sequence[RedFlag] = (),
    ) -> Grading:
        """Return a verdict for each point."""
        return self._loaded().grader.grade(prompt, points, answer, red_flags)

    def match(self, text: str, others: Sequence[str]) -> Sequence[float]:
        """Return how like `text` is to each of `others`."""
        return self._loaded().match(text, others)

    def answer(self, question: str) -> Answer:
        """Answer from the corpus; the index is read at the first question."""
        if self._pipeline is None:
            self._pipeline = self._build_pipeline()
        return self._pipeline.answer(question, mode="llm" if self._with_llm else "extractive")

    def close(self) -> None:
        """Free the LLM, if it is there."""
        loading = self._loading
        if loading is not None and loading.done() and loading.exception() is None:
            llm = loading.result().llm
            if llm is not None:
                llm.close()

    def _loaded(self) -> _Loaded:
        return self.start().result()

    def _run(self, loading: Future[_Loaded]) -> None:
        try:
            loading.set_result(self._load())
        except Exception as error:  # noqa: BLE001  # raised again where somebody waits for it
            loading.set_exception(error)

    def _load(self) -> _Loaded:
        from rag.loading import load_embedders, load_llm, load_reranker
        from rag.practice.grader import Grader

        embedder, token_embedder = load_embedders(self._settings)
        llm = load_llm(self._settings) if self._with_llm else None
        reranker = load_reranker(self._settings)
        grader = Grader(embedder, token_embedder, reranker, llm)
        match = embedding_match(embedder)
        return _Loaded(embedder, token_embedder, reranker, llm, grader, match)

    def _build_pipeline(self) -> RagPipeline:
        from rag.loading import load_judge, load_query_map
        from rag.pipeline import RagPipeline

        loaded, store = self._loaded(), GenerationStore(self._settings.data_dir / "index")
        index, problems = load_index(
            store,
            embedder=loaded.embedder.fingerprint,
            token_embedder=loaded.token_embedder.fingerprint,
            query_map=load_query_map(self._settings),
        )
        return RagPipeline(
            self._settings,
            store,
            index,
            embedder=loaded.embedder,
            token_embedder=loaded.token_embedder,
            reranker=loaded.reranker,
            llm=loaded.llm,
            judge=load_judge(self._settings, loaded.llm),
            problems=problems,
        )
