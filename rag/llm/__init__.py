"""Language models behind one protocol; `rag.llm.<backend>` holds an implementation each.

A back end turns messages into text. It knows nothing of retrieval or citations; what its output
must look like comes in as an OutputFormat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """One format in the two notations that back ends understand.

    A back end whose `output_form` is "lines" constrains decoding with `gbnf` if it can; one whose
    `output_form` is "json" sends `json_schema` with the request. Callers parse accordingly and
    validate in both cases: a constraint is a help, never a proof.
    """

    gbnf: str
    json_schema: Mapping[str, Any]


class LLM(Protocol):
    """A chat model. Safe to call from several threads. Errors are `rag.errors.LLMError`."""

    @property
    def name(self) -> str:
        """What an answer reports as its model."""
        ...

    @property
    def output_form(self) -> Literal["lines", "json"]:
        """Which notation of an OutputFormat the output follows."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> Iterator[str]:
        """Yield pieces of text, greedily decoded; closing the iterator stops the generation."""
        ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> str:
        """Return the whole text at once."""
        ...

    def yes_probability(self, messages: Sequence[Message]) -> float | None:
        """Return P("yes") / (P("yes") + P("no")) for the first token; None if it is not known."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in `text`; an endpoint may estimate from characters."""
        ...

    def close(self) -> None:
        """Free what the model holds; further calls raise LLMError."""
        ...
