"""Any OpenAI-compatible chat endpoint over HTTP, streamed.

It knows nothing of who runs the endpoint. A request is tried again only while no token of its
answer has arrived; the key never leaves the request header.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Literal

import httpx

from rag.errors import LLMError
from rag.llm import Message, OutputFormat
from rag.llm.chat import chat_dicts, yes_share

_RETRIES = 2
_RETRY_STATUS = {429, 500, 502, 503, 504}
_MAX_WAIT_S = 10.0  # a longer Retry-After is an outage: say so instead of hanging
_ADVICE = {
    401: "check the API key",
    403: "check the API key and what it may use",
    404: "check the base URL (it usually ends in /v1) and the model name",
    429: "the endpoint limits requests: wait, or use another endpoint",
}


class _BadRequestError(LLMError):
    """The endpoint does not accept the request as it is (HTTP 400 or 422)."""


class OpenAILLM:
    """A model behind `<base_url>/chat/completions`, for example base_url="http://host:8000/v1".

    `timeout` is how many seconds may pass without a byte; `transport` is httpx's, for tests.
    """

    output_form: Literal["lines", "json"] = "json"

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None = None,
        timeout: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = model
        self.api_key = api_key
        self._takes_response_format = True
        try:
            url = httpx.URL(base_url)
            if url.scheme not in {"http", "https"} or not url.host:
                raise httpx.InvalidURL("no http:// or https:// address")
            headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
            self._client = httpx.Client(
                base_url=url,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
                transport=transport,
                trust_env=url.host not in {"127.0.0.1", "localhost", "::1"},  # no proxy to loopback
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise LLMError(
                f"cannot use the LLM address {base_url!r}: {error}; check the base URL and the key"
            ) from None

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> Iterator[str]:
        """Yield pieces of text; closing the iterator closes the connection."""
        self._check_open()
        body = self._body(messages, max_tokens, output_format) | {"stream": True}
        return self._pieces(body)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> str:
        """Return the whole text at once."""
        return "".join(self.stream(messages, max_tokens=max_tokens, output_format=output_format))

    def yes_probability(self, messages: Sequence[Message]) -> float | None:
        """Return the share of "yes" in the first token; None if the endpoint has no logprobs."""
        self._check_open()
        body = self._body(messages, 1, None) | {"logprobs": True, "top_logprobs": 20}
        try:
            with self._response(body) as response:
                response.read()
                answer = _json(response.text)
        except _BadRequestError:
            return None
        try:
            first = answer["choices"][0]["logprobs"]["content"][0]
            return yes_share((top["token"], top["logprob"]) for top in first["top_logprobs"])
        except (KeyError, IndexError, TypeError):
            return None

    def count_tokens(self, text: str) -> int:
        """Return an estimate: four characters a token, rounded up."""
        self._check_open()
        return -(-len(text) // 4)

    def close(self) -> None:
        """Close the connections; further calls raise LLMError."""
        self._client.close()

    @property
    def url(self) -> str:
        """The base URL."""
        return str(self._client.base_url)

    def _check_open(self) -> None:
        if self._client.is_closed:
            raise LLMError(f"the LLM {self.name} is closed; make a new one")

    def _body(
        self, messages: Sequence[Message], max_tokens: int, output_format: OutputFormat | None
    ) -> dict[str, Any]:
        body = {
            "model": self.name,
            "messages": chat_dicts(messages),
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        return body if output_format is None else body | self._constraint(output_format)

    def _constraint(self, output_format: OutputFormat) -> dict[str, Any]:
        if not self._takes_response_format:
            return {}
        schema = {"name": "answer", "strict": True, "schema": dict(output_format.json_schema)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def _pieces(self, body: dict[str, Any]) -> Iterator[str]:
        finished = False
        with self._response(body) as response, closing(_events(response)) as events:
            for event in events:
                if "error" in event:
                    raise LLMError(f"the LLM {self.name} stopped: {self._reason(event)}; try again")
                for choice in event.get("choices") or ():
                    if piece := (choice.get("delta") or {}).get("content"):
                        yield piece
                    finished = finished or choice.get("finish_reason") is not None
        if not finished:
            raise LLMError(
                f"the answer of the LLM {self.name} broke off; try again, and check that the"
                " endpoint streams"
            )

    @contextmanager
    def _response(self, body: dict[str, Any]) -> Iterator[httpx.Response]:
        """Send the request; network errors inside the `with` become LLMError."""
        try:
            response = self._accepted(body)
            try:
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: closed meanwhile
            self._check_open()
            detail = self._redacted(str(error) or type(error).__name__)
            raise LLMError(
                f"no answer from the LLM at {self._client.base_url}: {detail}; check that it runs"
                " and that the base URL is right"
            ) from error

    def _accepted(self, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._sent(body)
        except _BadRequestError:
            if "response_format" not in body:
                raise
        plain = {key: value for key, value in body.items() if key != "response_format"}
        response = self._sent(plain)
        self._takes_response_format = False  # it was the reason, so never ask again
        return response

    def _sent(self, body: dict[str, Any]) -> httpx.Response:
        for attempt in range(_RETRIES + 1):
            request = self._client.build_request("POST", "chat/completions", json=body)
            last = attempt == _RETRIES
            try:
                response = self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last:
                    raise
                time.sleep(0.5 * 2**attempt)
                continue
            if response.is_success:
                return response
            error = self._refusal(response)
            wait = _wait_s(response, attempt)
            if last or response.status_code not in _RETRY_STATUS or wait > _MAX_WAIT_S:
                raise error
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _refusal(self, response: httpx.Response) -> LLMError:
        try:
            response.read()
        finally:
            response.close()
        status = response.status_code
        try:
            reason = self._reason(response.json())
        except ValueError:
            reason = self._redacted(response.text[:300])
        if status in {400, 422}:
            return _BadRequestError(f"the LLM {self.name} rejects the request: {reason}")
        advice = _ADVICE.get(status, "check the endpoint's own log")
        return LLMError(f"the LLM {self.name} answers HTTP {status}: {reason}; {advice}")

    def _reason(self, answer: Any) -> str:
        error = answer.get("error", answer) if isinstance(answer, Mapping) else answer
        message = error.get("message", error) if isinstance(error, Mapping) else error
        return self._redacted(str(message)[:300])

    def _redacted(self, text: str) -> str:
        return text.replace(self.api_key, "***") if self.api_key else text


def _wait_s(response: httpx.Response, attempt: int) -> float:
    retry_after = response.headers.get("Retry-After", "")
    return float(retry_after) if retry_after.isdecimal() else 0.5 * 2**attempt


def _events(response: httpx.Response) -> Generator[dict[str, Any], None, None]:
    """Yield the JSON of each server-sent event up to [DONE]."""
    for line in response.iter_lines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if data:
            yield _json(data)


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LLMError(
            f"the LLM's answer is not JSON ({text[:80]!r}); check that the base URL is an"
            " OpenAI-compatible endpoint"
        ) from error
    if not isinstance(value, dict):
        raise LLMError(
            f"the LLM's answer is not an object ({text[:80]!r}); check that the base URL is an"
            " OpenAI-compatible endpoint"
        )
    return value
