"""The OpenAI chat-completion form: requests in, an Answer out as completion or chunks.

Unlike our own requests these ignore members that they do not know: chat clients send many, and
those that sample differently have no meaning for a decoder that is greedy and constrained.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.errors import BadRequest
from api.schemas import clean_question
from rag.answers import Answer, Citation, Mode, Sentence

MODES: dict[str, Mode] = {"study-rag": "llm", "study-rag-extractive": "extractive"}


class Lenient(BaseModel):
    """Strict in what it knows; ignores the rest."""

    model_config = ConfigDict(extra="ignore", strict=True)


class ContentPart(Lenient):
    """A part of a message; only text can be answered."""

    type: str
    text: str | None = None


class ChatMessage(Lenient):
    """One turn; the last one of the user is the question, the others are not read."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    def question(self) -> str:
        """Return the text. Raises BadRequest for anything else."""
        if isinstance(self.content, list):
            if any(part.type != "text" for part in self.content):
                raise BadRequest("Only parts of type text can be answered.")
            text = "\n".join(part.text or "" for part in self.content)
        else:
            text = self.content or ""
        try:
            return clean_question(text)
        except ValueError as error:
            raise BadRequest(f"The last user message {error}.") from error


class StreamOptions(Lenient):
    """How to stream."""

    include_usage: bool | None = None


class ChatRequest(Lenient):
    """A chat completion; temperature, top_p, max_tokens, tools and the like are ignored."""

    model: str = Field(description=" or ".join(MODES))
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None

    def question(self) -> str:
        """Return the last message of the user. Raises BadRequest."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.question()
        raise BadRequest("There is no user message, so there is no question.")


class Completion:
    """Makes the objects of one chat completion: they share its id, time and model."""

    def __init__(self, model: str) -> None:
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._model = model

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the completion that is not streamed."""
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": url_citations(answer.sentences, answer.citations),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(),
            "rag": answer.to_dict(),
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return one chunk of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage(self) -> dict[str, Any]:
        """Return the chunk after the last, for clients that ask for it."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}


def sentence_text(sentence: Sentence, citations: Sequence[Citation]) -> tuple[str, list[Citation]]:
    """Return a sentence with its markers, as in `Answer.text`, and its citations in that order."""
    by_id = {citation.id: citation for citation in citations}
    cited = [by_id[name] for name in sentence.citations]
    return f"{sentence.text} {''.join(c.marker for c in cited)}".strip(), cited


def url_citations(
    sentences: Sequence[Sentence], citations: Sequence[Citation]
) -> list[dict[str, Any]]:
    """Return a url_citation for each marker in the text of `sentences`.

    `start_index` and `end_index` are the half-open range of the marker, in code points.
    """
    found = []
    offset = 0
    for sentence in sentences:
        text, cited = sentence_text(sentence, citations)
        start = offset + len(text) - sum(len(citation.marker) for citation in cited)
        for citation in cited:
            end = start + len(citation.marker)
            url = f"/v1/documents/{citation.doc_id}#{citation.start}-{citation.end}"
            place = {"start_index": start, "end_index": end, "title": citation.title, "url": url}
            found.append({"type": "url_citation", "url_citation": place})
            start = end
        offset += len(text) + 1
    return found


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}  # not known
