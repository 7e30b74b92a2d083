"""One module for each group of endpoints; here is what they share."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request

from api.errors import Problem
from api.practice import PracticeService
from api.schemas import ProblemBody
from api.service import Service

_DESCRIPTIONS = {
    400: "The Host header or the body's JSON is not usable",
    401: "No token, or a wrong one",
    404: "No such thing",
    409: "Not possible now: an ingest is running, or a session is in another state",
    413: "The body is over the limit",
    422: "The request cannot be used as it is",
    429: "The queue is full; Retry-After says when to come again",
    503: "Models or index are not loaded, or a part of the service failed",
    504: "The deadline has passed",
}
QUESTION_PROBLEMS = (413, 422, 429, 503, 504)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of errors; `api.app` gives them their media type."""
    return {
        status: {"model": ProblemBody, "description": _DESCRIPTIONS[status]} for status in statuses
    }


def get_service(request: Request) -> Service:
    """Return the service of the application that got the request."""
    return cast(Service, request.app.state.service)


def get_practice(request: Request) -> PracticeService:
    """Return the practice of the application that got the request."""
    return cast(PracticeService, request.app.state.practice)


ServiceDep = Annotated[Service, Depends(get_service)]
PracticeDep = Annotated[PracticeService, Depends(get_practice)]


def problem_body(request: Request, problem: Problem) -> dict[str, Any]:
    """Return the JSON object of a problem that happens after the response has begun."""
    return problem.body(request.url.path, request.state.request_id)


def wants_events(request: Request) -> bool:
    """Tell whether the client asks for server-sent events."""
    return "text/event-stream" in request.headers.get("accept", "")
