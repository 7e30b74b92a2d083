"""Every error that leaves the service, as application/problem+json (RFC 9457) with a request id.

    Problem (an HTTPException, so that FastAPI lets it through while it reads a body)
    |- BadRequest         400, 422  the request cannot be used as it is
    |- UnknownHost        400       the Host header names no host of this service
    |- Unauthorized       401       no or a wrong token
    |- NotFound           404       no such document, model or path
    |- Busy               409       an ingest is running
    |- Conflict           409       practice: not in this state of the session
    |- BodyTooLarge       413
    |- Overloaded         429       the queue is full
    |- Internal           500       a defect; its details stay in the log
    |- NotReady           503       models or index are loading, or could not be loaded
    |- Unavailable        503       a part that answering needs failed, and says what to do
    `- DeadlineExceeded   504

Knows nothing of routes, except that OpenAI clients also read `error`.
"""

from __future__ import annotations

import http
import json
import logging
from typing import Any, ClassVar, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.errors import IndexStoreError
from ingest.errors import IngestError
from rag.errors import RagError
from rag.practice.errors import (
    AttemptOpen,
    NoSuchSession,
    NothingDue,
    NothingFits,
    SessionOver,
    TurnConflict,
    UnknownProbe,
    UnreadableAnswer,
)

log = logging.getLogger("api")

SELF_EXPLAINED = (RagError, IndexStoreError, IngestError)
"""Errors whose message is written for the user and says what to do next."""


class Problem(HTTPException):
    """An error in its HTTP form; `members` are further members of the JSON object."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "about:blank"
    title: ClassVar[str] = ""

    def __init__(
        self, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(self.status, detail, headers)
        self.members = members

    def body(self, instance: str, request_id: str) -> dict[str, Any]:
        """Return the JSON object for one occurrence."""
        openai_client = instance.startswith(("/v1/chat/", "/v1/models"))
        error = {"message": self.detail, "type": self.kind, "param": None, "code": self.status_code}
        return {
            "type": self.kind,
            "title": self.title or http.HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
            **self.members,
            **({"error": error} if openai_client else {}),
        }


class BadRequest(Problem):
    """The request is understood but cannot be used as it is."""

    status, kind, title = 422, "urn:study-rag:bad-request", "The request cannot be used"


class UnknownHost(Problem):
    """The Host header names no host of this service: a wrong address, or DNS rebinding."""

    status, kind, title = 400, "urn:study-rag:unknown-host", "Unknown host"


class Unauthorized(Problem):
    """No token, or not the right one."""

    status, kind, title = 401, "urn:study-rag:unauthorized", "A token is needed"


class NotFound(Problem):
    """There is no such thing."""

    status, kind, title = 404, "urn:study-rag:not-found", "Not found"


class Busy(Problem):
    """Something that runs alone is running."""

    status, kind, title = 409, "urn:study-rag:busy", "Already running"


class Conflict(Problem):
    """What was asked for does not fit the state that something is in."""

    status, kind, title = 409, "urn:study-rag:conflict", "Not possible now"


class BodyTooLarge(Problem):
    """The body is over the limit."""

    status, kind, title = 413, "urn:study-rag:body-too-large", "The body is too large"


class Overloaded(Problem):
    """The queue of questions is full."""

    status, kind, title = 429, "urn:study-rag:overloaded", "Too many questions at once"


class Internal(Problem):
    """A defect of the service."""

    status, kind, title = 500, "urn:study-rag:internal", "Internal error"


class NotReady(Problem):
    """The models and the index are not loaded."""

    status, kind, title = 503, "urn:study-rag:not-ready", "Not ready"


class Unavailable(Problem):
    """A part that the request needs failed with a message that is meant for users."""

    status, kind, title = 503, "urn:study-rag:unavailable", "A part of the service failed"


class DeadlineExceeded(Problem):
    """The answer was not ready in time."""

    status, kind, title = 504, "urn:study-rag:deadline-exceeded", "The deadline has passed"


_PRACTICE: tuple[tuple[tuple[type[RagError], ...], type[Problem]], ...] = (
    ((NoSuchSession, UnknownProbe), NotFound),
    ((NothingFits, UnreadableAnswer), BadRequest),
    ((AttemptOpen, NothingDue, SessionOver, TurnConflict), Conflict),
)  # the others are a part of the service that failed


def problem_for(error: BaseException, request_id: str) -> Problem:
    """Return what a client may know of `error`; a defect goes to the log with its traceback."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        problem = Problem(str(error.detail), headers=dict(error.headers or {}))
        problem.status_code = error.status_code
        return problem
    for errors, kind in _PRACTICE:
        if isinstance(error, errors):
            return kind(str(error), reason=type(error).__name__)
    if isinstance(error, SELF_EXPLAINED):
        log.warning("request %s: %s: %s", request_id, type(error).__name__, error)
        return Unavailable(str(error))
    log.error("request %s failed", request_id, exc_info=error)
    return Internal(
        "The service failed on this request; its log has the reason under the request id."
    )


def problem_response(problem: Problem, scope: Scope) -> Response:
    """Return the problem+json response; ASCII, because paths and names may hold surrogates."""
    request_id = scope.get("state", {}).get("request_id", "")
    return Response(
        json.dumps(problem.body(scope["path"], request_id)),
        problem.status_code,
        problem.headers,
        media_type="application/problem+json",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Make FastAPI and Starlette answer their own errors as problems too."""

    async def on_http_error(request: Request, error: Exception) -> Response:
        problem = problem_for(error, request.state.request_id)
        return problem_response(problem, request.scope)

    async def on_invalid_request(request: Request, error: Exception) -> Response:
        problem = _validation_problem(cast(RequestValidationError, error))
        return problem_response(problem, request.scope)

    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)


def _validation_problem(error: RequestValidationError) -> BadRequest:
    # The input is left out: it may be large, and the client has it.
    errors = [{key: item[key] for key in ("loc", "msg", "type")} for item in error.errors()]
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    return BadRequest(f"{where}: {first['msg']}", errors=errors)


class CrashGuard:
    """Answers any other exception as a problem, unless the response has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch how it ends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except ClientDisconnect:
            scope["state"]["outcome"] = "cancelled"
        except Exception as error:
            problem = problem_for(error, scope["state"]["request_id"])
            if started:  # the server closes the connection, so that the client sees the break
                raise
            await problem_response(problem, scope)(scope, receive, send)
