"""A turn of a conversation -> a question that stands alone.

A turn that stands alone stays as it is: a wrong rewrite is worse than none. Any other is rewritten
by the LLM; what it writes counts only if every word of weight comes from the conversation and none
of the turn is lost. Else the topic of the last question is set before the turn. Knows nothing of
documents, answers' citations or where a conversation is kept.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from index.bm25 import terms
from rag.anaphora import CARRIERS, FILLERS, GENERIC, SMALL_TALK, has_open_pronoun, refers_back
from rag.errors import LLMError
from rag.evidence import reads_like_an_instruction, without_instructions
from rag.facts import is_negated, missing_names, missing_numbers, names
from rag.llm import LLM
from rag.prompts import condense_format, condense_messages, parse_condensed

logger = logging.getLogger(__name__)

HISTORY_TURNS = 2
"""How many earlier turns are looked at."""
_ANSWER_CHARS = 300  # of the last answer in the prompt: what "the second one" can refer to
_TOPIC_WORDS = 8
_MAX_TOKENS = 40
_DEFINES = re.compile(
    r"^(?:what|who)(?:'s|’s| is| are| does| do| (?:kinds?|types?) of)(?! the\b)"
    r"|^(?:define|explain)\b(?! the\b)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:(?:and|but|or|so|then|also|ok|okay|hm+|well|what about|how about)\b[\s,]*)+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s,;:!?()\"“”]+")

By = Literal["", "llm", "merge"]


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """What was asked before, in the form that stands alone, and what was answered."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Condensation:
    """The question to ask in place of a turn, and who worded it; "" where it is the turn."""

    question: str
    by: By = ""


def condense(
    turn: str,
    history: Sequence[EarlierTurn],
    llm: LLM | None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Condensation:
    """Return `turn` as a question that stands alone; `history` is in order, the last turn last.

    `stopped` is asked for every token that the LLM writes.
    """
    asked = without_instructions(turn)
    history = [
        safe for safe in map(_without_instructions, history[-HISTORY_TURNS:]) if safe.question
    ]
    if not asked or not history or stands_alone(asked):
        return Condensation(turn)
    if llm is not None:
        rewrite = _rewrite(asked, history, llm, stopped)
        if rewrite and is_faithful(rewrite, asked, history):
            return Condensation(rewrite, "llm")
    merged = merge(asked, history)
    return Condensation(merged, "merge") if merged != asked else Condensation(turn)


def stands_alone(turn: str) -> bool:
    """Tell whether `turn` can be understood without the conversation, by its words alone."""
    words = set(re.findall(r"[a-z']+", turn.lower()))
    if words <= SMALL_TALK:
        return True  # nothing to rewrite
    if refers_back(turn, specific_terms):
        return False
    specific = set(specific_terms(turn))
    if len(specific) >= 2 or names(turn):
        return True
    return bool(specific and _DEFINES.match(turn.strip()))


def is_faithful(rewrite: str, turn: str, history: Sequence[EarlierTurn]) -> bool:
    """Tell whether `rewrite` asks `turn`, completed from `history` and from nothing else."""
    known = set(terms(turn)) | {
        term for earlier in history for term in terms(f"{earlier.question} {earlier.answer}")
    }
    said, written = set(terms(turn)), set(terms(rewrite))
    return (
        rewrite.endswith("?")
        and not _without(written - FILLERS, known)
        and not _without(said - CARRIERS, written)
        and bool(_without(written, said))
        and not missing_names(turn, rewrite)
        and not missing_numbers(turn, rewrite)
        and is_negated(rewrite) == is_negated(turn)
        and not has_open_pronoun(rewrite, specific_terms)
        and not reads_like_an_instruction(rewrite)
    )


def merge(turn: str, history: Sequence[EarlierTurn]) -> str:
    """Return the topic of the last question that has one, then the turn; no model is asked."""
    topics = (topic_words(earlier.question) for earlier in reversed(history))
    topic = " ".join(next(filter(None, topics), []))
    if set(terms(topic)) <= set(terms(turn)):
        return turn
    return f"{topic}: {_LEAD.sub('', turn) or turn}"


def topic_words(question: str) -> list[str]:
    """Return the words of `question` that say what it is about, the last eight of them."""
    words = [word.rstrip(".") for word in _WORD.findall(question)]
    about = [word for word in words if specific_terms(word)]
    about = about or [word for word in words if terms(word)]
    return list(dict.fromkeys(about))[-_TOPIC_WORDS:]


def specific_terms(text: str) -> list[str]:
    """Return the search terms of `text` without numbers and what any question may have ("cost")."""
    return [term for term in terms(text) if term not in GENERIC and not term[0].isdigit()]


def _without(some: set[str], others: set[str]) -> set[str]:
    """Return the terms of `some` that `others` lack; stems of one word may differ by a letter."""
    return {
        term
        for term in some - others
        if not any(term[:-1] == other or term == other[:-1] for other in others if len(term) >= 5)
    }


def _rewrite(
    turn: str, history: Sequence[EarlierTurn], llm: LLM, stopped: Callable[[], bool]
) -> str:
    """Return what the LLM writes; "" where it fails or is stopped."""
    pairs = [(earlier.question, "") for earlier in history[:-1]]
    last = history[-1]
    pairs.append((last.question, _opening(last.answer)))
    text = ""
    try:
        for piece in llm.stream(
            condense_messages(turn, pairs), max_tokens=_MAX_TOKENS, output_format=condense_format()
        ):
            if stopped():
                return ""
            text += piece
    except LLMError as error:
        logger.warning("the LLM failed on a follow-up question: %s", error)
        return ""
    return parse_condensed(text, llm.output_form)


def _opening(answer: str) -> str:
    """Return the beginning of an answer, cut at a word."""
    if len(answer) <= _ANSWER_CHARS:
        return answer
    return answer[:_ANSWER_CHARS].rsplit(" ", 1)[0]


def _without_instructions(earlier: EarlierTurn) -> EarlierTurn:
    return EarlierTurn(without_instructions(earlier.question), without_instructions(earlier.answer))
