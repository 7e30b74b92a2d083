"""POST /v1/search: the passages for a question, without an answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse, Response

from api.routes import QUESTION_PROBLEMS, ServiceDep, problems
from api.schemas import EXAMPLE_QUESTION, EXAMPLE_SEARCH, SearchRequest, SearchResponse

router = APIRouter(prefix="/v1", tags=["search"])

EXAMPLES: dict[str, Example] = {
    "best": {
        "summary": "The five best passages",
        "value": {"question": EXAMPLE_QUESTION, "k": 5},
    },
    "fast": {
        "summary": "Without the cross-encoder, tables only",
        "value": {
            "question": EXAMPLE_QUESTION,
            "stage": "late",
            "filters": {"kinds": ["table"]},
        },
    },
}


@router.post(
    "/search",
    summary="Find passages",
    responses={
        200: {
            "model": SearchResponse,
            "description": "The passages, best first",
            "content": {"application/json": {"example": EXAMPLE_SEARCH}},
        },
        **problems(*QUESTION_PROBLEMS),
    },
)
async def search(
    body: Annotated[SearchRequest, Body(openapi_examples=EXAMPLES)], service: ServiceDep
) -> Response:
    """Return the best `k` passages of a stage, with where they are and why they were found."""
    filters = body.filters.to_filters()
    retrieval = await service.search(body.question, body.k, body.stage, filters)
    return JSONResponse(retrieval.to_dict())
