"""POST /v1/ask: a cited answer, as one JSON object or as a stream of events."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse, Response

from api.errors import Problem
from api.routes import QUESTION_PROBLEMS, ServiceDep, problem_body, problems, wants_events
from api.schemas import (
    EXAMPLE_ANSWER,
    EXAMPLE_CITATION,
    EXAMPLE_HIT,
    EXAMPLE_QUESTION,
    AskRequest,
    AskResponse,
)
from api.sse import AnswerStream, answer_messages
from rag.answers import Answer
from rag.chat import answer_dict

router = APIRouter(prefix="/v1", tags=["answers"])

EXAMPLES: dict[str, Example] = {
    "written": {
        "summary": "An answer written by the language model",
        "value": {"question": EXAMPLE_QUESTION},
    },
    "quoted": {
        "summary": "Quotes only, from one document",
        "value": {
            "question": EXAMPLE_QUESTION,
            "mode": "extractive",
            "filters": {"documents": ["position-bias.md"]},
        },
    },
    "follow-up": {
        "summary": "A turn of a conversation",
        "value": {"question": "and what does it cost?", "conversation_id": "my-chat"},
    },
}
_EVENTS = {
    "sources": {"hits": [EXAMPLE_HIT], "timings_ms": {"rerank": 430.0}, "generation": "000003"},
    "extract": EXAMPLE_ANSWER | {"model": "extractive"},
    "sentence": EXAMPLE_ANSWER["sentences"][0] | {"new_citations": [EXAMPLE_CITATION]},
    "done": EXAMPLE_ANSWER,
}
_STREAM = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in _EVENTS.items())


@router.post(
    "/ask",
    summary="Answer a question with citations",
    responses={
        200: {
            "model": AskResponse,
            "description": "The answer; abstaining is an answer too. With `Accept: "
            "text/event-stream`: perhaps `condensed` (the question as it is asked, where that "
            "differs), then the events `sources`, perhaps `extract`, `sentence`s, and `done`, or "
            "`error` with a problem; a comment is sent as a heartbeat.",
            "content": {
                "application/json": {"example": EXAMPLE_ANSWER},
                "text/event-stream": {"schema": {"type": "string"}, "example": _STREAM},
            },
        },
        **problems(*QUESTION_PROBLEMS),
    },
)
async def ask(
    request: Request,
    body: Annotated[AskRequest, Body(openapi_examples=EXAMPLES)],
    service: ServiceDep,
) -> Response:
    """Answer from the corpus: every sentence has a citation, or the answer says that it cannot.

    With a `conversation_id` a follow-up is completed from the questions before it, and mistakes in
    the spelling are repaired; `condensed` is what was asked in place of the question.
    The generation stops when the client of a stream leaves.
    """
    conversation = body.conversation_id
    to_dict: Callable[[Answer], dict[str, Any]] = Answer.to_dict
    if conversation is not None:
        to_dict = functools.partial(answer_dict, conversation)
    filters = body.filters.to_filters()
    if not wants_events(request):
        answer = await service.answer(body.question, body.mode, filters, conversation)
        request.state.outcome = answer.status
        return JSONResponse(to_dict(answer))

    def on_outcome(outcome: str) -> None:
        request.state.outcome = outcome

    def on_problem(problem: Problem) -> dict[str, Any]:
        return problem_body(request, problem)

    ticket = service.admit(body.question)
    request_id = request.state.request_id
    events = service.events(ticket, body.question, body.mode, filters, request_id, conversation)
    messages = answer_messages(events, on_problem, on_outcome, to_dict)
    return AnswerStream(messages, ticket, service.settings.heartbeat_s)
