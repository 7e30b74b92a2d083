"""GET and DELETE /v1/conversations/{id}: what was asked in a conversation."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from api.errors import NotFound
from api.routes import ServiceDep, problems
from api.schemas import EXAMPLE_CONVERSATION, Conversation, ConversationId

router = APIRouter(prefix="/v1/conversations", tags=["answers"])

_UNKNOWN = "There is no such conversation; asking with its id begins it."


@router.get(
    "/{conversation_id}",
    summary="Read a conversation",
    responses={
        200: {
            "model": Conversation,
            "description": "The turns in order",
            "content": {"application/json": {"example": EXAMPLE_CONVERSATION}},
        },
        **problems(404, 422, 503),
    },
)
def read_conversation(conversation_id: ConversationId, service: ServiceDep) -> Response:
    """Return each question, what was asked in its place, and its answer."""
    turns = service.conversations.turns(conversation_id)
    if not turns:
        raise NotFound(_UNKNOWN)
    return JSONResponse({"id": conversation_id, "turns": [asdict(turn) for turn in turns]})


@router.delete(
    "/{conversation_id}",
    summary="Delete a conversation",
    status_code=204,
    responses=problems(404, 422, 503),
)
def delete_conversation(conversation_id: ConversationId, service: ServiceDep) -> Response:
    """Delete every turn; an answer that is still being written is not kept."""
    if not service.conversations.delete(conversation_id):
        raise NotFound(_UNKNOWN)
    return Response(status_code=204)
