"""Case files: questions with gold quotes, one JSON object a line.

A case names passages by quoting them, never by chunk id, so that it outlives every change of
chunking. Nothing here knows the documents; `eval.qrels` looks for the quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eval.json_lines import load_rows


@dataclass(frozen=True, slots=True)
class GoldQuote:
    """A passage that answers a question, verbatim from the document `doc`.

    Quotes of one `group` are alternatives; a question with several groups needs them all.
    """

    doc: str
    quote: str
    group: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One question. Keys of the line that are not named here are its owner's and are ignored."""

    query_id: str
    question: str
    answerable: bool
    tags: tuple[str, ...] = ()
    relevant: tuple[GoldQuote, ...] = ()
    reference: str = ""
    key_facts: tuple[str, ...] = ()
    topic: str = ""


def load_cases(path: Path) -> list[Case]:
    """Read and check a case file; raise CaseFileError, with file and line, at the first mistake."""
    return load_rows(path, Case, "query_id", _mistakes)


def _mistakes(case: Case) -> Iterator[str]:
    """Yield what the types alone do not forbid."""
    if not case.query_id.strip():
        yield "query_id is empty"
    if not case.question.strip():
        yield "question is empty"
    if case.answerable and not case.relevant:
        yield "an answerable question needs at least one quote in `relevant`"
    if not case.answerable and case.relevant:
        yield "an unanswerable question cannot have quotes in `relevant`"
    for number, gold in enumerate(case.relevant):
        if not re.search(r"[A-Za-z0-9]", gold.quote):
            yield f"relevant.{number}.quote has no letter a-z and no digit to look for"
