"""A chat endpoint in memory: what it was asked, and how far its answers were read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from rag.llm.openai import OpenAILLM

TEXT = "the fox runs over a hill and sees one red bird in some old tree near water"
WORDS = TEXT.split()


def sse(*events: dict[str, Any] | str) -> list[bytes]:
    """Server-sent events as an endpoint writes them, one chunk each."""
    texts = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return [f"data: {text}\n\n".encode() for text in texts]


def delta(text: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


class Chunks(httpx.SyncByteStream):
    """A response body that counts what was read and knows whether it was closed."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks, self.read, self.closed = chunks, 0, False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk

    def close(self) -> None:
        self.closed = True


class FakeEndpoint:
    """Answers any chat with WORDS over and over, one word a token; remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.streams: list[Chunks] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(request)
        self.bodies.append(body)
        if body.get("logprobs"):
            top = [{"token": "Yes", "logprob": -0.5}, {"token": " no", "logprob": -1.5}]
            choice = {
                "message": {"content": "Yes"},
                "logprobs": {"content": [{"top_logprobs": top}]},
            }
            return httpx.Response(200, json={"choices": [choice]})
        words = (WORDS * 100)[: body["max_tokens"]]
        events = [*(delta(f"{word} ") for word in words), delta(None, "length"), "[DONE]"]
        self.streams.append(Chunks(sse(*events)))
        return httpx.Response(200, stream=self.streams[-1])

    def llm(self, **options: Any) -> OpenAILLM:
        return OpenAILLM(
            "http://llm.test/v1", model="fake", transport=httpx.MockTransport(self), **options
        )
