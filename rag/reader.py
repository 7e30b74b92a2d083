"""From retrieved passages to an answer: decide, quote, judge, write, check.

The reader of retriever and reader. Knows nothing of how passages were found.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

from index.embedding import TokenEmbedder
from ingest.documents import Unit
from rag.abstention import OPINIONS, UNLIKELY, answerability, with_opinions
from rag.answers import Answer, Done, Event, Extract, Mode, Retrieval, SentenceReady, Status
from rag.entailment import Entailment
from rag.errors import LLMError
from rag.evidence import Passage, collect_passages, focus, with_questions
from rag.extractive import closest_units, extract
from rag.facts import lacks_number
from rag.grounding import Grounds
from rag.judging import Judge, YesNoJudge
from rag.llm import LLM
from rag.settings import Settings
from rag.writing import AnswerWriter

logger = logging.getLogger(__name__)

NOT_FOUND = "The corpus does not say. The nearest passages are listed as sources."


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came, without instructions to the model, and with its spelling repaired.

    The last two are empty where nothing but instructions came.
    """

    question: str
    said: str
    repaired: str


@dataclass(frozen=True, slots=True)
class Found:
    """What reading the passages gave: the extractive answer, and what an LLM may write from.

    `closest` are the sentences nearest to the question, which decide whether they answer it.
    """

    extract: Answer
    passages: tuple[Passage, ...] = ()
    closest: tuple[tuple[Passage, Unit], ...] = ()
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers from what was retrieved. A part that is None is skipped and named in `degraded`.

    Without a `judge` the LLM is asked yes or no.
    """

    settings: Settings
    token_embedder: TokenEmbedder | None
    llm: LLM | None
    judge: Judge | None
    entailment: Entailment | None

    def stream(
        self,
        asked: Asked,
        retrieval: Retrieval,
        *,
        mode: Mode,
        stop: Callable[[], str],
        start: float,
    ) -> Generator[Event, None, None]:
        """Yield perhaps Extract and sentences, then Done.

        `stop` says why the LLM must end, or nothing; `start` is a time of `time.perf_counter`, from
        which the answer's total counts.
        """
        timings = dict(retrieval.timings_ms)
        found = self.read(asked, retrieval, mode, timings)
        timings["total"] = milliseconds(start)
        if found.grounds is None or mode == "extractive":
            yield Done(found.extract)
            return
        if self.llm is None:
            yield Done(_degrade(found.extract, "llm"))
            return
        yield Extract(dataclasses.replace(found.extract, timings_ms=dict(timings)))
        yield from self._write(self.llm, asked.repaired, found, stop, timings, start)

    def _write(
        self,
        llm: LLM,
        asked: str,
        found: Found,
        stop: Callable[[], str],
        timings: dict[str, float],
        start: float,
    ) -> Generator[Event, None, None]:
        """Let the LLM judge the closest sentences and write; yield sentences, then Done."""
        assert found.grounds is not None  # without it nobody writes
        part = time.perf_counter()
        judged, opinions = self._judge(llm, asked, found, stop)
        timings["opinion"] = milliseconds(part)
        draft = dataclasses.replace(found.extract, answerability=judged)
        if opinions and judged < self.settings.min_answerability_judged:
            timings["total"] = milliseconds(start)
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
                timings.setdefault("first_sentence", milliseconds(start))
                yield SentenceReady(sentence, new)
        timings["llm"] = milliseconds(part)
        timings["total"] = milliseconds(start)
        yield Done(self._finish(writer, draft))

    def _judge(
        self, llm: LLM, asked: str, found: Found, stop: Callable[[], str]
    ) -> tuple[float, int]:
        """Return the answerability, and of how many sentences there is an opinion.

        The judge is asked until it is clear; some 1.5 s each on a laptop.
        """
        judge = self.judge or YesNoJudge(llm)
        prior = judged = found.extract.answerability
        opinions: list[float] = []
        no_number = any(lacks_number(asked, unit.plain) for _, unit in found.closest[:1])
        for passage, unit in found.closest[: len(judge.weights)]:
            # At least once: near misses inside the field look answerable by their hits.
            clear = not UNLIKELY < judged < self.settings.must_answer_from
            if (opinions and clear) or stop():
                break
            try:
                opinion = judge.opinion(asked, passage.heading, unit.plain)
            except LLMError as error:
                logger.warning("the LLM has no opinion: %s", error)
                break
            if opinion is None:
                break
            opinions.append(opinion)
            judged = with_opinions(prior, opinions, judge.weights, number_missing=no_number)
        return judged, len(opinions)

    def read(
        self, asked: Asked, retrieval: Retrieval, mode: Mode, timings: dict[str, float]
    ) -> Found:
        """Decide whether to answer, and from what; `timings` becomes that of the answer."""
        start = time.perf_counter()
        settings = self.settings
        question = asked.repaired
        nothing = Answer(
            asked.question,
            "abstained",
            hits=retrieval.hits,
            degraded=retrieval.degraded,
            generation=retrieval.generation,
            timings_ms=timings,
            message=NOT_FOUND,
            condensed=question if question != asked.said else None,
        )
        if asked.said != asked.question:
            nothing = _degrade(nothing, "question: instruction-like sentences withheld")
        if not question:
            return Found(nothing)
        if self.token_embedder is None:
            # Without token vectors no sentence can be checked, and nothing unchecked is shown.
            return Found(nothing)
        answerable = answerability(question, retrieval.hits)
        nothing = dataclasses.replace(nothing, answerability=answerable)
        judged = mode == "llm" and self.llm is not None
        least = settings.min_answerability if judged else settings.min_answerability_extractive
        passages, withheld = collect_passages(
            retrieval.hits, retrieval.documents, max_passages=settings.evidence_passages
        )
        if withheld:
            nothing = _degrade(nothing, f"evidence: {withheld} instruction-like sentences withheld")
        if answerable < least or not passages:
            return Found(nothing)
        grounds = Grounds(passages, self.token_embedder, self.entailment)
        similarity = with_questions(
            grounds.similarity(self.token_embedder.embed_query(question)), retrieval.hits
        )
        closest = closest_units(passages, similarity, max(settings.max_sentences, OPINIONS))
        sentences, quotes = extract(closest[: settings.max_sentences])
        status: Status = "answered" if sentences else "abstained"
        answer = dataclasses.replace(
            nothing, status=status, sentences=sentences, citations=quotes, model="extractive"
        )
        evidence = focus(passages, similarity, max_tokens=settings.evidence_tokens)
        timings["extract"] = milliseconds(start)
        units = tuple((passage, unit) for _, passage, unit in closest)
        return Found(answer, evidence, units, grounds)

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


def milliseconds(start: float) -> float:
    """Return the time since `start`, of `time.perf_counter`."""
    return round((time.perf_counter() - start) * 1000, 1)


def _abstain(answer: Answer) -> Answer:
    return dataclasses.replace(answer, status="abstained", sentences=(), citations=())


def _degrade(answer: Answer, what: str) -> Answer:
    return dataclasses.replace(answer, degraded=(*answer.degraded, what))
