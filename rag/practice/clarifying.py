"""The clarifying dialogue: a candidate's questions are answered from the corpus, or left open.

Knows nothing of the rest of the interview.
"""

from __future__ import annotations

import random
import re

from rag.practice.matching import Match
from rag.practice.steps import Outcome, Step

CLARIFYING_ROUNDS = 5
UNKNOWN = "That is yours to decide: state an assumption and go on."
GO_ON = "Good. Let us go on."

_ASKS = re.compile(
    r"^(?:what|which|who|whom|how|when|where|why|is|are|do|does|did|can|could|may|should|will|"
    r"would|have|has|any)\b",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r",?\s+and\s+(?=(?:what|which|who|how|when|where|is|are|does|do|can|should|will)\b)",
    re.IGNORECASE,
)


def questions_in(text: str) -> list[str]:
    """Return the questions of a message: what ends in a question mark or begins like one.

    Two that "and" joins are two: "how many users and which latency?"
    """
    parts = re.findall(r"[^.?!\n]+[.?!]?", text)
    stripped = (part.strip(" -*•\t") for part in parts)
    asked = [part for part in stripped if part.endswith("?") or _ASKS.match(part)]
    return [question for part in asked for question in _JOINED.split(part)]


def clarify(step: Step, text: str, rounds: int, match: Match, floor: float, seed: int) -> Outcome:
    """Answer a candidate's questions from the corpus; without a question the interview goes on."""
    questions = questions_in(text)
    if not questions:
        return Outcome(reply=GO_ON)
    # With its answers a question is found by "what QPS?", too, where it asks how many users.
    known = [" ".join((c.question, *c.answers)) for c in step.clarifications]
    replies: list[str] = []
    for question in questions:
        likeness = list(match(question, known)) if known else []
        nearest = max(range(len(known)), key=likeness.__getitem__, default=None)
        if nearest is None or likeness[nearest] < floor:
            replies.append(UNKNOWN)
            continue
        answers = step.clarifications[nearest].answers
        # The seed decides, so that the same interview gives the same answer to a repeated question.
        replies.append(random.Random(f"{seed} {known[nearest]}").choice(answers))
    lines = [f"{q} {reply}" if len(questions) > 1 else reply for q, reply in
             zip(questions, replies, strict=True)]  # fmt: skip
    return Outcome(reply="\n".join(lines), more=rounds < CLARIFYING_ROUNDS)
