"""The path of a question: retrieve, rerank, decide, pack, generate, check, answer.

Joins the parts; each part is in a module of its own. The index is one reference that `reload`
swaps, so that a question sees one generation from beginning to end.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from index.embedding import Embedder, TokenEmbedder
from index.hits import Filters, Stage
from index.hybrid import LATE_CANDIDATES, HybridIndex, load_index
from index.storage import GenerationStore
from ingest.documents import Chunk, Document, Unit
from rag.abstention import OPINIONS, answerability, with_opinions
from rag.answers import (
    Answer,
    Condensed,
    Done,
    Event,
    Extract,
    Mode,
    Retrieval,
    SentenceReady,
    Sources,
    Status,
)
from rag.entailment import Entailment
from rag.errors import LLMError
from rag.evidence import (
    Passage,
    collect_passages,
    focus,
    with_questions,
    without_instructions,
)
from rag.extractive import closest_units, extract
from rag.facts import asks_quantity
from rag.grounding import Grounds
from rag.llm import LLM
from rag.prompts import sufficiency_messages
from rag.reranking import Reranker, rerank
from rag.settings import Settings
from rag.spelling import Speller
from rag.writing import AnswerWriter

logger = logging.getLogger(__name__)

_UNLIKELY = 0.2  # answerability below which one more opinion seldom changes the outcome
NOT_FOUND = "The corpus does not say. The nearest passages are listed as sources."


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One line of the list of documents."""

    id: str
    uri: str
    title: str
    chunks: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Found:
    """What reading the passages gave: the extractive answer, and what an LLM may write from.

    `closest` are the sentences nearest to the question, which decide whether they answer it.
    """

    extract: Answer
    passages: tuple[Passage, ...] = ()
    closest: tuple[tuple[Passage, Unit], ...] = ()
    grounds: Grounds | None = None


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
        entailment: Entailment | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self._store = store
        self._index = index
        self._speller = self._learn_words()
        self._embedder, self.token_embedder = embedder, token_embedder
        self._reranker, self.llm, self.entailment = reranker, llm, entailment
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
            timings["rerank"] = _ms(start)
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
        said = without_instructions(question)
        asked = self._repaired(said)
        if asked != said:
            yield Condensed(question, asked, "spelling")
        retrieval = self._retrieve(self._index, asked or question, 10, "reranked", filters)
        yield Sources(retrieval)
        timings = dict(retrieval.timings_ms)
        found = self._read(question, said, asked, retrieval, mode, timings)
        timings["total"] = _ms(start)
        if found.grounds is None or mode == "extractive":
            yield Done(found.extract)
            return
        if self.llm is None:
            yield Done(_degrade(found.extract, "llm"))
            return
        yield Extract(dataclasses.replace(found.extract, timings_ms=dict(timings)))

        def stop() -> str:
            if cancelled():
                return "cancelled"
            return "deadline" if deadline is not None and time.monotonic() > deadline else ""

        yield from self._write(self.llm, asked, found, stop, timings, start)

    def _write(
        self,
        llm: LLM,
        asked: str,
        found: _Found,
        stop: Callable[[], str],
        timings: dict[str, float],
        start: float,
    ) -> Generator[Event, None, None]:
        """Let the LLM judge the closest sentences and write; yield sentences, then Done."""
        assert found.grounds is not None  # without it nobody writes
        part = time.perf_counter()
        judged, opinions = self._judge(llm, asked, found, stop)
        timings["opinion"] = _ms(part)
        draft = dataclasses.replace(found.extract, answerability=judged)
        if opinions and judged < self.settings.min_answerability_judged:
            timings["total"] = _ms(start)
            yield Done(_abstain(dataclasses.replace(draft, model=llm.name)))
            return
        sure = bool(opinions) or judged >= self.settings.must_answer_from
        writer = AnswerWriter(
            self.settings,
            llm,
            asked,
            found.passages,
            found.grounds,
            stop,
            # Small models refuse too often when they write; their opinion is the better judge.
            may_refuse=not sure,
            quotes=found.closest[: self.settings.max_sentences] if sure else (),
        )
        part = time.perf_counter()
        with closing(writer.sentences()) as written:
            for sentence, new in written:
                timings.setdefault("first_sentence", _ms(start))
                yield SentenceReady(sentence, new)
        timings["llm"] = _ms(part)
        timings["total"] = _ms(start)
        yield Done(self._finish(writer, draft))

    def _judge(
        self, llm: LLM, asked: str, found: _Found, stop: Callable[[], str]
    ) -> tuple[float, int]:
        """Return the answerability and of how many sentences the LLM was asked whether they answer.

        It is asked until it is clear; a second each on a laptop.
        """
        prior = judged = found.extract.answerability
        opinions: list[float] = []
        no_number = asks_quantity(asked) and not any(
            c.isdigit() for _, unit in found.closest[:1] for c in unit.plain
        )
        for passage, unit in found.closest[:OPINIONS]:
            # At least once: near misses inside the field look answerable by their hits.
            clear = not _UNLIKELY < judged < self.settings.must_answer_from
            if (opinions and clear) or stop():
                break
            try:
                opinion = llm.yes_probability(
                    sufficiency_messages(asked, passage.heading, unit.plain)
                )
            except LLMError as error:
                logger.warning("the LLM has no opinion: %s", error)
                break
            if opinion is None:
                break
            opinions.append(opinion)
            judged = with_opinions(prior, opinions, number_missing=no_number)
        return judged, len(opinions)

    def _read(
        self,
        question: str,
        said: str,
        asked: str,
        retrieval: Retrieval,
        mode: Mode,
        timings: dict[str, float],
    ) -> _Found:
        """Decide whether to answer, and from what; `timings` becomes that of the answer.

        `said` is what is left of `question` without instructions to the model, `asked` the same
        with its spelling repaired.
        """
        start = time.perf_counter()
        settings = self.settings
        nothing = Answer(
            question,
            "abstained",
            hits=retrieval.hits,
            degraded=retrieval.degraded,
            generation=retrieval.generation,
            timings_ms=timings,
            message=NOT_FOUND,
            condensed=asked if asked != said else None,
        )
        if said != question:
            nothing = _degrade(nothing, "question: instruction-like sentences withheld")
        if not asked:
            return _Found(nothing)
        if self.token_embedder is None:
            # Without token vectors no sentence can be checked, and nothing unchecked is shown.
            return _Found(nothing)
        answerable = answerability(asked, retrieval.hits)
        nothing = dataclasses.replace(nothing, answerability=answerable)
        judged = mode == "llm" and self.llm is not None
        least = settings.min_answerability if judged else settings.min_answerability_extractive
        passages, withheld = collect_passages(
            retrieval.hits, retrieval.documents, max_passages=settings.evidence_passages
        )
        if withheld:
            nothing = _degrade(nothing, f"evidence: {withheld} instruction-like sentences withheld")
        if answerable < least or not passages:
            return _Found(nothing)
        grounds = Grounds(passages, self.token_embedder, self.entailment)
        similarity = with_questions(
            grounds.similarity(self.token_embedder.embed_query(asked)), retrieval.hits
        )
        closest = closest_units(passages, similarity, max(settings.max_sentences, OPINIONS))
        sentences, quotes = extract(closest[: settings.max_sentences])
        status: Status = "answered" if sentences else "abstained"
        answer = dataclasses.replace(
            nothing, status=status, sentences=sentences, citations=quotes, model="extractive"
        )
        evidence = focus(passages, similarity, max_tokens=settings.evidence_tokens)
        timings["extract"] = _ms(start)
        units = tuple((passage, unit) for _, passage, unit in closest)
        return _Found(answer, evidence, units, grounds)

    def _finish(self, writer: AnswerWriter, draft: Answer) -> Answer:
        """Return what was kept; the extract where the LLM failed before anything was."""
        answer = dataclasses.replace(
            draft,
            model=writer.llm.name,
            rejected=tuple(writer.rejected),
            degraded=(*draft.degraded, *writer.degraded),
        )
        if writer.kept:
            return dataclasses.replace(
                answer,
                status="answered" if writer.is_whole else "partial",
                sentences=tuple(writer.kept),
                citations=tuple(writer.citations),
                model=writer.llm.name if writer.written or writer.agreed else "extractive",
            )
        least = self.settings.min_answerability_extractive
        if writer.degraded and answer.sentences and answer.answerability >= least:
            return dataclasses.replace(answer, status="partial", model="extractive")
        return _abstain(answer)


def build_pipeline(settings: Settings, *, llm: bool = True) -> RagPipeline:
    """Load models and index. Raises ModelError, IndexStoreError or LLMError; takes seconds.

    With `llm` False answers are extractive.
    """
    from rag.loading import load_embedders, load_entailment, load_llm, load_reranker

    store = GenerationStore(settings.data_dir / "index")
    store.current()  # fails at once, before seconds of loading
    with ThreadPoolExecutor(1) as pool:
        # llama.cpp reads its weights while torch is being imported.
        loading = pool.submit(load_llm, settings) if llm else None
        embedder, token_embedder = load_embedders(settings)
        index, problems = load_index(
            store, embedder=embedder.fingerprint, token_embedder=token_embedder.fingerprint
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
            entailment=load_entailment(settings),
            problems=problems,
        )


def _ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)


def _abstain(answer: Answer) -> Answer:
    return dataclasses.replace(answer, status="abstained", sentences=(), citations=())


def _degrade(answer: Answer, what: str) -> Answer:
    return dataclasses.replace(answer, degraded=(*answer.degraded, what))
