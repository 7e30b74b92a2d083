"""What every back end does to messages on their way in and to first-token odds on their way out.

It knows nothing of a particular model; the control markers are those of the common chat templates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from rag.llm import Message

# Back ends tokenize the filled template as a whole, so that "<|im_end|>" inside a passage would
# end the user's turn there. Qwen, Llama 3, Phi, SmolLM; Llama 2 and Mistral; Gemma.
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|<(?:bos|eos|pad|unk)>"
)


def chat_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return the messages as a chat template takes them, control markers in them broken up."""
    return [
        {"role": message.role, "content": without_control(message.content)} for message in messages
    ]


def without_control(text: str) -> str:
    """Return `text` with its control markers broken up."""
    return _CONTROL.sub(_broken, text)


def _broken(marker: re.Match[str]) -> str:
    return f"{marker[0][0]} {marker[0][1:]}"


def yes_share(logprobs: Iterable[tuple[str, float]]) -> float | None:
    """Return P(yes) / (P(yes) + P(no)) over (token, log probability) pairs; None without either."""
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in logprobs:
        word = token.strip().lower()
        if word in mass:
            mass[word] += math.exp(logprob)
    total = mass["yes"] + mass["no"]
    return mass["yes"] / total if total else None
