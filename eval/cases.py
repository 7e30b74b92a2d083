"""Case files: questions with gold quotes, one JSON object a line.

A case names passages by quoting them, never by chunk id, so that it outlives every change of
chunking. Nothing here knows the documents; `eval.qrels` looks for the quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from eval.errors import CaseFileError


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


_CASE = TypeAdapter(Case)


def load_cases(path: Path) -> list[Case]:
    """Read and check a case file; raise CaseFileError, with file and line, at the first mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseFileError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    cases: list[Case] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            case = _CASE.validate_json(line, strict=True)
        except ValidationError as error:
            raise CaseFileError(f"{path}:{number}: {_explain(error)}") from error
        mistake = next(_mistakes(case), None)
        if case.query_id in first_line:
            mistake = f"query_id {case.query_id!r} was used on line {first_line[case.query_id]}"
        if mistake:
            raise CaseFileError(f"{path}:{number}: {mistake}.")
        first_line[case.query_id] = number
        cases.append(case)
    if not cases:
        raise CaseFileError(f"{path}: holds no case; write one JSON object a line.")
    return cases


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


def _explain(error: ValidationError) -> str:
    """Name each wrong key: `relevant.0.quote: Field required; tags: ...`."""
    return "; ".join(
        f"{'.'.join(map(str, mistake['loc'])) or 'line'}: {mistake['msg']}"
        for mistake in error.errors(include_url=False)
    )
