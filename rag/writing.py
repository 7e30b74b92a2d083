"""One generated answer: drafts from the LLM, checked and cited one by one as they arrive.

A draft that its passages do not support is attributed to one that does, or rejected with the
reason. Knows nothing of retrieval.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from rag import citations as citing
from rag.answers import Answer, Citation, Rejected, Sentence
from rag.errors import LLMError
from rag.evidence import best_at_the_edges
from rag.grounding import Grounds, Support, Verifier
from rag.llm import LLM
from rag.prompts import answer_format, answer_messages, verify_messages
from rag.settings import Settings

logger = logging.getLogger(__name__)


class AnswerWriter:
    """One generation: drafts from the LLM, checked one by one."""

    def __init__(
        self,
        settings: Settings,
        llm: LLM,
        question: str,
        grounds: Grounds,
        stop: Callable[[], str],
    ) -> None:
        """`stop` says why the generation must end, or nothing; it is asked for every piece."""
        self.settings = settings
        self.llm, self.question, self.stop = llm, question, stop
        self.grounds = grounds
        self.passages = {passage.label: passage for passage in grounds.passages}
        self.kept: list[Sentence] = []
        self.citations: list[Citation] = []
        self.rejected: list[Rejected] = []
        self.degraded: list[str] = []
        self.refused = False

    def sentences(self) -> Generator[tuple[Sentence, tuple[Citation, ...]], None, None]:
        """Yield each sentence that passes, with the citations that are new with it."""
        parse = citing.parse_json if self.llm.output_form == "json" else citing.parse_lines
        try:
            with closing(self._pieces()) as pieces:
                for draft in parse(pieces):
                    result = self._check(draft)
                    if result is not None:
                        yield result
        except citing.Refusal:
            self.refused = True
        except LLMError as error:
            logger.warning("the LLM failed: %s", error)
            self.degraded.append("llm")

    def _pieces(self) -> Generator[str, None, None]:
        settings = self.settings
        messages = answer_messages(
            self.question,
            best_at_the_edges(list(self.passages.values())),
            max_sentences=settings.max_sentences,
        )
        output_format = answer_format(list(self.passages), max_sentences=settings.max_sentences)
        stream: Iterator[str] = self.llm.stream(
            messages, max_tokens=settings.answer_tokens, output_format=output_format
        )
        try:
            for piece in stream:
                if reason := self.stop():
                    self.degraded.append(reason)
                    return
                yield piece
        finally:
            if isinstance(stream, Generator):
                stream.close()

    def _check(self, draft: citing.Draft) -> tuple[Sentence, tuple[Citation, ...]] | None:
        """Keep the labels that support the draft; else the passage that does; else reject."""
        known = [self.passages[n] for n in draft.labels if n in self.passages]
        unknown = [n for n in draft.labels if n not in self.passages]
        if unknown:
            self.rejected.append(Rejected(draft.text, f"unknown label {unknown}"))
        if any(draft.text == sentence.text for sentence in self.kept):
            self.rejected.append(Rejected(draft.text, "repeated"))
            return None
        verify = self._verifier()
        floor = self.settings.min_support
        checked = [self.grounds.check(draft.text, passage, verify) for passage in known]
        good = [support for support in checked if support.score >= floor]
        if not good:
            others = [p for p in self.passages.values() if p not in known]
            again = [self.grounds.check(draft.text, passage, verify) for passage in others]
            good = [max(again, key=lambda support: support.score)] if again else []
            good = [support for support in good if support.score >= floor]
        if not good:
            reason = checked[0].reason if checked else "no citation, and no passage states it"
            self.rejected.append(Rejected(draft.text, reason))
            return None
        new: list[Citation] = []
        ids = tuple(dict.fromkeys(self._cite(support, new) for support in good))
        sentence = Sentence(draft.text, ids)
        self.kept.append(sentence)
        self.citations.extend(new)
        return sentence, tuple(new)

    def _cite(self, support: Support, new: list[Citation]) -> str:
        citation = citing.make_citation(
            len(self.citations) + len(new) + 1, support.passage, support.units, support.score
        )
        for known in [*self.citations, *new]:
            if (known.chunk_id, known.start, known.end) == (
                citation.chunk_id,
                citation.start,
                citation.end,
            ):
                return known.id
        if not citing.is_valid(citation, self.passages.values(), support.passage.document):
            raise AssertionError(f"an invalid citation was made: {citation}")
        new.append(citation)
        return citation.id

    def _verifier(self) -> Verifier | None:
        if not self.settings.verify_with_llm:
            return None
        return lambda claim, source: self.llm.yes_probability(verify_messages(claim, source))

    def finish(self, blank: Answer, extractive: Answer) -> Answer:
        """Return the answer: what was kept; else, unless the model refused, the extract."""
        common = dataclasses.replace(
            blank,
            model=self.llm.name,
            rejected=tuple(self.rejected),
            degraded=(*blank.degraded, *self.degraded),
        )
        if self.kept:
            return dataclasses.replace(
                common,
                status="partial" if self.rejected or self.degraded else "answered",
                sentences=tuple(self.kept),
                citations=tuple(self.citations),
            )
        if self.refused or not extractive.sentences:
            return common
        return dataclasses.replace(
            common,
            status="partial",
            sentences=extractive.sentences,
            citations=extractive.citations,
            model=extractive.model,
        )
