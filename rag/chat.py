"""A conversation over the corpus: each turn condensed, answered by the pipeline, and kept.

Of earlier turns only the questions and the beginning of the last answer are used, and only to
understand what is asked: answers still come from the passages alone. Knows nothing of HTTP or
terminals.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from index.hits import Filters
from rag.answers import Answer, Condensed, Done, Event, Extract, Mode
from rag.condensing import HISTORY_TURNS, EarlierTurn, condense
from rag.conversations import ConversationStore, Turn, check_id
from rag.evidence import without_instructions

if TYPE_CHECKING:  # its import brings torch
    from rag.pipeline import RagPipeline


class Chat:
    """Conversations by their ids; an unknown id begins one. Safe to use from several threads.

    Two questions at once on one conversation are two turns; neither sees the other's answer.
    """

    def __init__(self, pipeline: RagPipeline, store: ConversationStore) -> None:
        self.pipeline = pipeline
        self.store = store

    def answer(
        self,
        conversation: str,
        turn: str,
        *,
        mode: Mode = "llm",
        filters: Filters = Filters(),  # noqa: B008  # frozen
        deadline: float | None = None,
    ) -> Answer:
        """Return the finished answer. `deadline` is a time of `time.monotonic`."""
        for event in self.stream(conversation, turn, mode=mode, filters=filters, deadline=deadline):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    def stream(
        self,
        conversation: str,
        turn: str,
        *,
        mode: Mode = "llm",
        filters: Filters = Filters(),  # noqa: B008  # frozen
        deadline: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generator[Event, None, None]:
        """Yield Condensed if the turn was rewritten, then what the pipeline yields.

        The answers are to `turn` as it was asked. A turn whose stream is closed stays, unanswered.
        """
        check_id(conversation)
        history = _history(self.store.turns(conversation, last=HISTORY_TURNS))
        llm = self.pipeline.llm if history and mode == "llm" else None

        def stopped() -> bool:
            return cancelled() or (deadline is not None and time.monotonic() > deadline)

        found = condense(turn, history, llm, stopped=stopped)
        condensed = found.question if found.by else None
        number = self.store.add(conversation, turn, condensed)
        if found.by:
            yield Condensed(turn, found.question, found.by)
        events = self.pipeline.stream(
            found.question, mode=mode, filters=filters, deadline=deadline, cancelled=cancelled
        )
        with closing(events):
            for event in events:
                if isinstance(event, Done):
                    answer = _answer_to(turn, condensed, event.answer)
                    self.store.finish(conversation, number, answer)
                    yield Done(answer)
                elif isinstance(event, Extract):
                    yield Extract(_answer_to(turn, condensed, event.answer))
                else:
                    yield event


def new_id() -> str:
    """Return the id of a conversation that there is not yet."""
    return secrets.token_hex(6)


def answer_dict(conversation: str, answer: Answer) -> dict[str, Any]:
    """Return the JSON form of an answer in a conversation."""
    return answer.to_dict() | {"conversation_id": conversation}


def _history(turns: Sequence[Turn]) -> list[EarlierTurn]:
    earlier = []
    for turn in turns:
        answer = turn.answer or {}
        said = " ".join(sentence["text"] for sentence in answer.get("sentences", ()))
        earlier.append(EarlierTurn(turn.condensed or turn.question, said))
    return earlier


def _answer_to(turn: str, condensed: str | None, answer: Answer) -> Answer:
    degraded = answer.degraded
    if condensed and without_instructions(turn) != turn:  # the pipeline did not see them
        degraded = (*degraded, "question: instruction-like sentences withheld")
    condensed = answer.condensed or condensed
    return dataclasses.replace(answer, question=turn, condensed=condensed, degraded=degraded)
