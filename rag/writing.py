"""One generated answer: drafts from the LLM, checked and cited one by one as they arrive.

A draft that its passages do not support is attributed to one that does, or rejected with the
reason. Quotes that are known to answer come before the drafts, and in place of missing ones. Knows
nothing of retrieval.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

from ingest.documents import Unit
from rag import citations as citing
from rag.answers import Citation, Rejected, Sentence
from rag.errors import LLMError
from rag.evidence import Passage, best_at_the_edges
from rag.extractive import repeats
from rag.grounding import Grounds, Support
from rag.llm import LLM
from rag.prompts import answer_format, answer_messages
from rag.settings import Settings

logger = logging.getLogger(__name__)

_REPEATS = "repeats another sentence"
_QUOTED = "not in the words of the source: quoted instead"
_MAX_QUOTED_WORDS = 70
_MIN_WORDS, _MIN_WORDS_WITH_A_NUMBER = 4, 3


class _Stopped(Exception):  # through the parser, which would take half a sentence for a whole one
    """The generation must end now."""


class AnswerWriter:
    """One generation: drafts from the LLM, checked one by one."""

    def __init__(
        self,
        settings: Settings,
        llm: LLM,
        question: str,
        passages: Sequence[Passage],
        grounds: Grounds,
        stop: Callable[[], str],
        *,
        may_refuse: bool,
        quotes: Sequence[tuple[Passage, Unit]] = (),
    ) -> None:
        """Write about `question` from `passages`, whose units are in `grounds`.

        `stop` says why the generation must end, or nothing; it is asked for every piece. `quotes`
        answer the question: the first begins the answer, and the others end it if the LLM adds
        nothing.
        """
        self.settings = settings
        self.llm, self.question, self.stop = llm, question, stop
        self.grounds, self.may_refuse, self.quotes = grounds, may_refuse, quotes
        self.passages = {passage.label: passage for passage in passages}
        self.kept: list[Sentence] = []
        self.citations: list[Citation] = []
        self.rejected: list[Rejected] = []
        self.degraded: list[str] = []
        self.written = 0  # sentences that the LLM added
        self.agreed = False  # whether it wrote what the first quote says

    def sentences(self) -> Generator[tuple[Sentence, tuple[Citation, ...]], None, None]:
        """Yield each sentence that passes, with the citations that are new with it."""
        yield from (self._keep(quote[1].plain, [_certain(*quote)]) for quote in self.quotes[:1])
        room = self.settings.max_sentences - len(self.kept)
        with closing(self._written()) as written:
            # A back end that cannot constrain may go on.
            for added in itertools.islice(written, room):
                self.written += 1
                yield added
        if not self.written:
            for passage, unit in self.quotes[1:]:
                if not self._is_repeated(unit.plain):
                    yield self._keep(unit.plain, [_certain(passage, unit)])

    def _written(self) -> Generator[tuple[Sentence, tuple[Citation, ...]], None, None]:
        parse = citing.parse_json if self.llm.output_form == "json" else citing.parse_lines
        try:
            with closing(self._pieces()) as pieces:
                for draft in parse(pieces):
                    if any(repeats(draft.text, unit.plain) for _, unit in self.quotes[:1]):
                        self.agreed = True
                        continue
                    if self._is_repeated(draft.text):
                        # A small model that repeats itself has nothing more to say.
                        self.rejected.append(Rejected(draft.text, _REPEATS))
                        return
                    result = self._check(draft)
                    if result is not None:
                        yield result
        except citing.Refusal:
            return
        except _Stopped as stopped:
            self.degraded.append(str(stopped))
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
        output_format = answer_format(
            list(self.passages),
            max_sentences=settings.max_sentences,
            may_refuse=self.may_refuse,
        )
        stream: Iterator[str] = self.llm.stream(
            messages, max_tokens=settings.answer_tokens, output_format=output_format
        )
        try:
            for piece in stream:
                if reason := self.stop():
                    raise _Stopped(reason)
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
        has_number = any(c.isdigit() for c in draft.text)
        least = _MIN_WORDS_WITH_A_NUMBER if has_number else _MIN_WORDS
        if len(draft.text.split()) < least:
            self.rejected.append(Rejected(draft.text, "says too little"))
            return None
        if self.grounds.relevance(self.question, draft.text) < self.settings.min_relevance:
            self.rejected.append(Rejected(draft.text, "does not address the question"))
            return None
        others = [passage for passage in self.passages.values() if passage not in known]
        cited = self.grounds.check(draft.text, known)
        best = next(iter(cited), None)
        if best is None or best.score < self.settings.min_support:
            best = max([*cited, *self.grounds.check(draft.text, others)], key=lambda s: s.score)
        if best.score < self.settings.min_support:
            self.rejected.append(Rejected(draft.text, best.reason))
            return None
        text = draft.text
        if not self.grounds.proves(best, text):
            # What is not proven is shown in the words of the source.
            self.rejected.append(Rejected(text, _QUOTED))
            text = best.quote
            if len(text.split()) > _MAX_QUOTED_WORDS or self._is_repeated(text):
                return None
        good = [best]
        if best.passage in known and text == draft.text:
            good += [s for s in cited[1:] if self.grounds.proves(s, text)]
        return self._keep(text, good)

    def _keep(self, text: str, good: Sequence[Support]) -> tuple[Sentence, tuple[Citation, ...]]:
        new: list[Citation] = []
        ids = tuple(dict.fromkeys(self._cite(support, new) for support in good))
        sentence = Sentence(" ".join(text.split()), ids)
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
        shown = [*self.passages.values(), *(passage for passage, _ in self.quotes)]
        if not citing.is_valid(citation, shown, support.passage.document):
            raise AssertionError(f"an invalid citation was made: {citation}")
        new.append(citation)
        return citation.id

    def _is_repeated(self, text: str) -> bool:
        return any(repeats(text, sentence.text) for sentence in self.kept)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut off, and nothing lost but repetitions."""
        return (
            bool(self.written or self.agreed)
            and not self.degraded
            and all(r.reason in (_REPEATS, _QUOTED) for r in self.rejected)
        )


def _certain(passage: Passage, unit: Unit) -> Support:
    return Support(passage, (unit,), 1.0, "")
