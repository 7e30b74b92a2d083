"""POST /v1/chat/completions and GET /v1/models: the service in the OpenAI form."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse, Response

from api.errors import NotFound, Problem
from api.metrics import outcome_of
from api.openai_schemas import MODES, ChatRequest, Completion, sentence_text, url_citations
from api.routes import QUESTION_PROBLEMS, ServiceDep, problem_body, problems
from api.schemas import EXAMPLE_QUESTION
from api.sse import AnswerStream, Message, message
from index.hits import Filters
from rag.answers import Answer, Citation, Done, Event, Sentence, SentenceReady

router = APIRouter(prefix="/v1", tags=["openai"])

EXAMPLES: dict[str, Example] = {
    "ask": {
        "summary": "A question",
        "value": {
            "model": "study-rag",
            "messages": [{"role": "user", "content": EXAMPLE_QUESTION}],
        },
    },
    "stream": {
        "summary": "Streamed quotes",
        "value": {
            "model": "study-rag-extractive",
            "messages": [{"role": "user", "content": EXAMPLE_QUESTION}],
            "stream": True,
        },
    },
}


@router.get("/models", summary="List the models")
async def list_models() -> dict[str, Any]:
    """Return both ways to answer under the names that a chat client can choose."""
    models = [
        {"id": name, "object": "model", "created": 0, "owned_by": "study-rag"} for name in MODES
    ]
    return {"object": "list", "data": models}


@router.post(
    "/chat/completions",
    summary="Answer in the OpenAI form",
    responses={
        200: {
            "description": "`message.annotations` holds a url_citation for each marker (half-open "
            "range of code points in the content), `rag` the object of /v1/ask. A stream has both "
            "in its last chunk.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **problems(404, *QUESTION_PROBLEMS),
    },
)
async def chat_completions(
    request: Request,
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    service: ServiceDep,
) -> Response:
    """Answer the last user message; what was said before it is not read."""
    if body.model not in MODES:
        raise NotFound(f"There is no model of that name, only {' and '.join(MODES)}.")
    mode, question, filters = MODES[body.model], body.question(), Filters()
    if not body.stream:
        answer = await service.answer(question, mode, filters)
        request.state.outcome = answer.status
        return JSONResponse(Completion(body.model).whole(answer))
    ticket = service.admit(question)
    events = service.events(ticket, question, mode, filters, request.state.request_id)
    return AnswerStream(_chunks(request, body, events), ticket, service.settings.heartbeat_s)


async def _chunks(
    request: Request, body: ChatRequest, events: AsyncGenerator[Event | Problem, None]
) -> AsyncGenerator[Message, None]:
    completion = Completion(body.model)
    sentences: list[Sentence] = []
    citations: list[Citation] = []
    request.state.outcome = "cancelled"  # until proved otherwise
    yield message(completion.chunk({"role": "assistant", "content": ""}))
    async with contextlib.aclosing(events) as stream:
        async for event in stream:
            match event:
                case SentenceReady(sentence, new):
                    citations.extend(new)
                    text, _ = sentence_text(sentence, citations)
                    yield message(completion.chunk({"content": f" {text}" if sentences else text}))
                    sentences.append(sentence)
                case Done(answer):
                    request.state.outcome = answer.status
                    for chunk in _last_chunks(completion, answer, sentences, citations):
                        yield message(chunk)
                    if body.stream_options and body.stream_options.include_usage:
                        yield message(completion.usage())
                    yield {"data": "[DONE]"}
                case Problem():
                    request.state.outcome = outcome_of(event.status_code)
                    yield message(problem_body(request, event))


def _last_chunks(
    completion: Completion, answer: Answer, sentences: list[Sentence], citations: list[Citation]
) -> list[dict[str, Any]]:
    """Return the text, where none was streamed, and the chunk with the citations."""
    chunks = []
    if not sentences:
        chunks.append(completion.chunk({"content": answer.text}))
        sentences, citations = list(answer.sentences), list(answer.citations)
    # The streamed text is what the offsets must fit, so that they come from what was streamed.
    last = completion.chunk({"annotations": url_citations(sentences, citations)}, "stop")
    return [*chunks, last | {"rag": answer.to_dict()}]
