"""A stream of answers as server-sent events, with a heartbeat, that gives its place back.

Each event's data is one JSON object; knows nothing of how events are made.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from api.errors import Problem
from api.limits import Ticket
from api.metrics import outcome_of
from rag.answers import Answer, Condensed, Done, Event, Extract, SentenceReady, Sources

Message = dict[str, str]


class AnswerStream(EventSourceResponse):
    """An event stream that holds a ticket and leaves its place however it ends.

    The body may never begin to run (the client can be gone before), so that its own `finally`
    would not be enough.
    """

    def __init__(
        self, messages: AsyncGenerator[Message, None], ticket: Ticket, heartbeat_s: float
    ) -> None:
        super().__init__(messages, ping=heartbeat_s, sep="\n")
        self._ticket = ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end, or until the client leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ticket.leave()


async def answer_messages(
    events: AsyncGenerator[Event | Problem, None],
    problem_body: Callable[[Problem], dict[str, Any]],
    on_outcome: Callable[[str], None],
    answer_dict: Callable[[Answer], dict[str, Any]],
) -> AsyncGenerator[Message, None]:
    """Yield one message for each event; `answer_dict` makes the data of `done`."""
    on_outcome("cancelled")  # until proved otherwise
    async with contextlib.aclosing(events) as stream:
        async for event in stream:
            if isinstance(event, Problem):
                on_outcome(outcome_of(event.status_code))
                yield message(problem_body(event), "error")
                continue
            name, data = event_data(event)
            if isinstance(event, Done):
                on_outcome(event.answer.status)
                data = answer_dict(event.answer)
            yield message(data, name)


def event_data(event: Event) -> tuple[str, dict[str, Any]]:
    """Return the name of an event and its JSON object."""
    match event:
        case Condensed(turn, question, by):
            return "condensed", {"question": turn, "condensed": question, "by": by}
        case Sources(retrieval):
            found = retrieval.to_dict()
            return "sources", {key: found[key] for key in ("hits", "timings_ms", "generation")}
        case Extract(answer):
            return "extract", answer.to_dict()
        case SentenceReady(sentence, citations):
            return "sentence", {
                **asdict(sentence),
                "new_citations": [asdict(citation) for citation in citations],
            }
        case Done(answer):
            return "done", answer.to_dict()


def message(data: dict[str, Any], event: str | None = None) -> Message:
    """Return one server-sent event; the JSON is one line, in ASCII."""
    text = json.dumps(data)
    return {"event": event, "data": text} if event else {"data": text}
