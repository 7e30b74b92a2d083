"""What every request passes on its way in and out: host check, request id, headers, a count.

Plain ASGI, because Starlette's BaseHTTPMiddleware hides from a stream that its client has left.
Knows nothing of questions and answers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import UnknownHost, problem_response
from api.metrics import Metrics, outcome_of

DOCS_PATH = "/docs"
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CSP = "default-src 'none'; frame-ancestors 'none'"
_DOCS_CSP = (  # what FastAPI's Swagger page loads
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; "
    "img-src data: https://fastapi.tiangolo.com; frame-ancestors 'none'"
)


class RequestContext:
    """Gives a request its id and its place in the metrics, and a response its headers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; count it when its response has ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = Headers(scope=scope).get("x-request-id", "")
        request_id = wanted if _SANE_ID.fullmatch(wanted) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            endpoint = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.count_request(endpoint, state.get("outcome") or outcome_of(status))


class AllowedHosts:
    """Refuses requests for other hosts, so that a web page cannot reach us by DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its Host header names this service."""
        accepted = False

        async def accept(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal accepted
            accepted = True

        async def discard(message: Message) -> None:
            """Drop Starlette's plain-text refusal; ours is a problem."""

        check = TrustedHostMiddleware(accept, self.hosts, www_redirect=False)
        await check(scope, receive, discard)
        if accepted:
            await self.app(scope, receive, send)
            return
        detail = "This service does not answer for that host; set RAG_ALLOWED_HOSTS to allow it."
        await problem_response(UnknownHost(detail), scope)(scope, receive, send)


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Content-Security-Policy", _DOCS_CSP if path == DOCS_PATH else _CSP)
