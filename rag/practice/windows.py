"""An answer as the spans that may earn something: sentences, pairs of them, clauses.

Left out is what proves nothing: orders to whoever grades, lists of keywords, the question said
again. Deterministic rules on text; knows nothing of rubrics or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from index.bm25 import terms
from rag.evidence import reads_like_an_instruction
from rag.facts import is_negated

Reason = Literal["order", "keyword list", "echo"]

_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|\n+")
_CLAUSE_START = re.compile(
    r"[,;:](?=\s)|\s[-–—](?=\s)|\s(?=(?:because|since|but|so|while|whereas|although|which)\b)"
)
_TRIM = " \t\n,;:–—-"
_CLAUSE_WORDS = 4  # a shorter piece says nothing alone and stays with its neighbour
_ORDER = re.compile(
    r"""\b(?:graders?|evaluators?|rubrics?|grading|(?:full|top|maximum)\s+marks?|full\s+credit
        |full\s+coverage|(?:highest|maximum|top)\s+(?:score|grade))\b
    |\b(?:mark|treat|count|report|award|rate)\b.{0,40}\b(?:points?|answer|reply|covered)\b
    |\bsystem(?:\s+message)?\s*:""",
    re.IGNORECASE | re.VERBOSE,
)
# What an answer dismisses, it does not recommend: "I'd ignore", "is pointless", "only adds work".
_DISMISSAL = re.compile(
    r"""\b(?:ignor(?:e|es|ed|ing)|skip(?:s|ped|ping)?|pointless|useless|needless|unnecessary|myth
        |wast(?:e|es|ed|ing)|avoid|leave\s+(?:it\s+)?(?:out|aside)|rather\s+than|refuse|forget
        |irrelevant|overkill|only\s+adds?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*", re.IGNORECASE)
_FUNCTION_WORDS = frozenset(
    """a an the of to in on at by for with from and or but so if then that this these those it its
    is are was were be been being i i'd i'll i'm we we'd you they he she them us me my our your
    their as not no do does did don't doesn't would will can could should may might must has had
    have there which who what when where how than because since while before after until into over
    each every any all some one both either neither nor only just also too very more most less few
    many much such about out up down off it's that's there's can't won't wouldn't""".split()
)
_LIST_WORDS, _LIST_SHARE = 8, 0.15  # prose has 35% function words and more
_ECHO_SHARE = 0.8  # of the sentence's terms, in the question


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the answer. `denies`: it holds a negation or dismisses something."""

    kind: Literal["sentence", "pair", "clause"]
    start: int
    end: int
    text: str
    denies: bool


def split_windows(answer: str, prompt: str) -> tuple[tuple[Window, ...], tuple[Reason, ...]]:
    """Return the windows that may earn something, and why each other sentence may not."""
    kept: list[Window] = []
    dropped: list[Reason] = []
    asked = set(terms(prompt))
    for start, end in sentence_spans(answer):
        text = answer[start:end]
        if reason := _worthless(text, asked):
            dropped.append(reason)
        else:
            kept.append(_window("sentence", answer, start, end))
    pairs = [
        _window("pair", answer, one.start, two.end)
        for one, two in pairwise(kept)
        if not answer[one.end : two.start].strip()  # what stood between them was left out
    ]
    clauses = [
        _window("clause", answer, start, end)
        for sentence in kept
        for start, end in _clause_spans(answer, sentence.start, sentence.end)
    ]
    return (*kept, *pairs, *clauses), tuple(dropped)


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each sentence or line, without the white space around it."""
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        piece = text[start:end]
        if any(c.isalnum() for c in piece):
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        start = end


def is_denied(text: str) -> bool:
    """Tell whether `text` holds a negation or dismisses what it names."""
    return is_negated(text) or bool(_DISMISSAL.search(text))


def _window(
    kind: Literal["sentence", "pair", "clause"], answer: str, start: int, end: int
) -> Window:
    text = answer[start:end]
    return Window(kind, start, end, text, is_denied(text))


def _worthless(sentence: str, asked: set[str]) -> Reason | None:
    if _ORDER.search(sentence) or reads_like_an_instruction(sentence):
        return "order"
    words = [word.lower().replace("’", "'") for word in _WORD.findall(sentence)]
    grammar = sum(word in _FUNCTION_WORDS for word in words)
    if len(words) >= _LIST_WORDS and grammar < _LIST_SHARE * len(words):
        return "keyword list"
    said = set(terms(sentence))
    if len(said) >= 3 and len(said & asked) >= _ECHO_SHARE * len(said):
        return "echo"
    return None


def _clause_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    cuts = [start + match.start() for match in _CLAUSE_START.finditer(text[start:end])]
    spans: list[tuple[int, int]] = []
    for left, right in zip([start, *cuts], [*cuts, end], strict=True):
        if spans and min(_words(text[slice(*spans[-1])]), _words(text[left:right])) < _CLAUSE_WORDS:
            spans[-1] = (spans[-1][0], right)
        else:
            spans.append((left, right))
    for left, right in spans:
        piece = text[left:right]
        stripped = piece.lstrip(_TRIM)
        yield right - len(stripped), right - len(stripped) + len(stripped.rstrip(_TRIM))


def _words(text: str) -> int:
    return len(_WORD.findall(text))
