from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import exp
from typing import Any

import httpx
import pytest

from rag.errors import LLMError
from rag.llm import Message, OutputFormat
from rag.llm.openai import OpenAILLM
from tests.rag.llm.fake_endpoint import FakeEndpoint, delta, sse

CHAT = [Message("system", "Be brief."), Message("user", "Hello")]
FORMAT = OutputFormat(gbnf='root ::= "x"', json_schema={"type": "object"})
KEY = "sk-secret-key"
Answers = list[httpx.Response | httpx.HTTPError]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[OpenAILLM, list[Any]]]:
    """A model whose endpoint gives the answers in turn, and the bodies that it was sent."""
    monkeypatch.setattr("rag.llm.openai.time.sleep", lambda seconds: None)

    def make(*answers: httpx.Response | httpx.HTTPError) -> tuple[OpenAILLM, list[Any]]:
        remaining, bodies = list(answers), []

        def handle(request: httpx.Request) -> httpx.Response:
            bodies.append(json.loads(request.content))
            answer = remaining.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        transport = httpx.MockTransport(handle)
        return OpenAILLM("http://llm.test/v1", model="m", api_key=KEY, transport=transport), bodies

    return make


def ok(*pieces: str) -> httpx.Response:
    events = sse(*(delta(piece) for piece in pieces), delta(None, "stop"), "[DONE]")
    return httpx.Response(200, content=b"".join(events))


def refused(status: int, message: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, headers=headers)


def test_request_in_the_openai_form():
    endpoint = FakeEndpoint()
    endpoint.llm(api_key=KEY).complete(CHAT, max_tokens=3, output_format=FORMAT)
    [request], [body] = endpoint.requests, endpoint.bodies
    assert str(request.url) == "http://llm.test/v1/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "fake",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 3,
        "temperature": 0,
        "stream": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        },
    }


def test_without_a_key_no_authorization_is_sent():
    endpoint = FakeEndpoint()
    endpoint.llm().complete(CHAT, max_tokens=1)
    assert "Authorization" not in endpoint.requests[0].headers


def test_closing_the_iterator_closes_the_response():
    endpoint = FakeEndpoint()
    stream = endpoint.llm().stream(CHAT, max_tokens=500)
    assert next(stream) == "the "
    assert not endpoint.streams[0].closed
    stream.close()
    assert endpoint.streams[0].closed
    assert endpoint.streams[0].read == 1


def test_comments_empty_deltas_and_usage_events_are_skipped(scripted):
    body = b": ping\n\n" + b"".join(
        sse(
            delta(""), delta("a"), {"choices": []}, {"choices": [], "usage": {}}, delta("b", "stop")
        )
    )
    llm, _ = scripted(httpx.Response(200, content=body))
    assert list(llm.stream(CHAT, max_tokens=9)) == ["a", "b"]


@pytest.mark.parametrize("first", [refused(429, "slow down"), refused(503, "busy"), "connect"])
def test_tries_again_before_the_first_token(scripted, first):
    failure = httpx.ConnectError("refused") if first == "connect" else first
    llm, bodies = scripted(failure, ok("fine"))
    assert llm.complete(CHAT, max_tokens=9) == "fine"
    assert len(bodies) == 2


def test_gives_up_after_two_retries(scripted):
    llm, bodies = scripted(*[refused(503, "busy") for _ in range(3)])
    with pytest.raises(LLMError, match="HTTP 503: busy"):
        llm.complete(CHAT, max_tokens=9)
    assert len(bodies) == 3
    llm, _ = scripted(*[httpx.ConnectError("refused") for _ in range(3)])
    with pytest.raises(LLMError, match="check that it runs"):
        llm.complete(CHAT, max_tokens=9)


def test_waits_as_long_as_retry_after_says(scripted, monkeypatch):
    llm, _ = scripted(refused(429, "slow", **{"Retry-After": "3"}), refused(500, "oops"), ok("x"))
    waits: list[float] = []
    monkeypatch.setattr("rag.llm.openai.time.sleep", waits.append)
    assert llm.complete(CHAT, max_tokens=9) == "x"
    assert waits == [3.0, 1.0]


def test_a_long_retry_after_is_an_error_at_once(scripted):
    llm, bodies = scripted(refused(429, "quota", **{"Retry-After": "3600"}))
    with pytest.raises(LLMError, match="quota; the endpoint limits requests"):
        llm.complete(CHAT, max_tokens=9)
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "check the API key"), (404, "ends in /v1"), (418, "own log")]
)
def test_refusals_say_what_to_check(scripted, status, advice):
    llm, _ = scripted(refused(status, "no"))
    with pytest.raises(LLMError, match=advice):
        llm.complete(CHAT, max_tokens=9)


def test_the_key_is_neither_logged_nor_quoted(scripted, caplog):
    caplog.set_level(logging.DEBUG)
    llm, _ = scripted(refused(401, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(LLMError) as caught:
        llm.complete(CHAT, max_tokens=9)
    assert KEY not in str(caught.value) + caplog.text + repr(vars(llm)["_client"].headers)


def test_an_endpoint_without_response_format_is_asked_once(scripted):
    llm, bodies = scripted(refused(400, "unknown field response_format"), ok("a"), ok("b"))
    assert llm.complete(CHAT, max_tokens=9, output_format=FORMAT) == "a"
    assert llm.complete(CHAT, max_tokens=9, output_format=FORMAT) == "b"
    assert ["response_format" in body for body in bodies] == [True, False, False]


def test_another_bad_request_does_not_blame_response_format(scripted):
    llm, bodies = scripted(refused(400, "too long"), refused(400, "too long"), ok("a"))
    with pytest.raises(LLMError, match="too long"):
        llm.complete(CHAT, max_tokens=9, output_format=FORMAT)
    assert llm.complete(CHAT, max_tokens=9, output_format=FORMAT) == "a"
    assert "response_format" in bodies[-1]


def test_a_text_that_breaks_off_is_an_error(scripted):
    llm, bodies = scripted(httpx.Response(200, content=b"".join(sse(delta("half a")))))
    stream = llm.stream(CHAT, max_tokens=9)
    assert next(stream) == "half a"
    with pytest.raises(LLMError, match="broke off"):
        next(stream)
    assert len(bodies) == 1


def test_an_error_inside_the_stream(scripted):
    events = sse(delta("a"), {"error": {"message": "out of memory"}})
    llm, _ = scripted(httpx.Response(200, content=b"".join(events)))
    with pytest.raises(LLMError, match="out of memory"):
        llm.complete(CHAT, max_tokens=9)


@pytest.mark.parametrize("body", [b"data: <html>\n\n", b"data: [1]\n\n", b"<html>hello</html>"])
def test_what_is_not_an_openai_endpoint(scripted, body):
    llm, _ = scripted(httpx.Response(200, content=body))
    with pytest.raises(LLMError, match="check"):
        llm.complete(CHAT, max_tokens=9)


def test_yes_probability_by_hand():
    # exp(-0.5) / (exp(-0.5) + exp(-1.5)) = 1 / (1 + exp(-1))
    assert FakeEndpoint().llm().yes_probability(CHAT) == pytest.approx(1 / (1 + exp(-1)))


def test_yes_probability_is_unknown_without_logprobs(scripted):
    plain = {"choices": [{"message": {"content": "Yes"}, "logprobs": None}]}
    llm, _ = scripted(httpx.Response(200, json=plain), refused(400, "no logprobs"))
    assert llm.yes_probability(CHAT) is None
    assert llm.yes_probability(CHAT) is None


@pytest.mark.parametrize("url", ["", "llm.test/v1", "ftp://llm.test", "http://"])
def test_an_address_that_is_none(url):
    with pytest.raises(LLMError, match="check the base URL"):
        OpenAILLM(url, model="m")


def test_tokens_are_estimated_from_characters():
    assert FakeEndpoint().llm().count_tokens("12345") == 2


class _Endless(BaseHTTPRequestHandler):
    """Streams tokens until the client leaves, then says so."""

    left: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while not self.left.wait(0.01):
                self.wfile.write(sse(delta("x "))[0])
        except OSError:
            self.left.set()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def endless() -> Iterator[tuple[str, threading.Event]]:
    _Endless.left = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", _Endless.left
    server.shutdown()
    thread.join()
    server.server_close()


def test_over_a_real_socket_the_server_sees_the_client_leave(endless):
    url, left = endless
    llm = OpenAILLM(url, model="m")
    stream = llm.stream(CHAT, max_tokens=10_000)
    assert next(stream) == "x "
    stream.close()
    assert left.wait(5)
    llm.close()


def test_nobody_listens():
    llm = OpenAILLM("http://127.0.0.1:9/v1", model="m", timeout=1.0)
    with pytest.raises(LLMError, match="check that it runs"):
        llm.complete(CHAT, max_tokens=1)
