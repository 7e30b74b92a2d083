"""Model output -> drafted sentences with labels; labels -> quotes with offsets.

Parses a stream of text in either form (lines, or JSON for endpoints) and keeps nothing silent:
what cannot be used comes back as Rejected. Knows nothing of whether a passage supports a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ingest.documents import Document, Unit
from rag.answers import Citation, line_span
from rag.evidence import Passage
from rag.prompts import NOT_IN_SOURCES

_LABEL = r"[\[【]\s*\d{1,4}(?:\s*[,;]\s*\d{1,4})*\s*[\]】]"
_LABEL_GROUP = re.compile(rf"{_LABEL}(?:\s*{_LABEL})*")
_SENTENCE_END = re.compile(r"(?<=[^.\s][.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!vs\.)\s+(?=[A-Z0-9\"'“])")
_TRAILING = re.compile(rf"\s*(?:{_LABEL}\s*)+(?=[.!?]?\s*$)")
_OBJECT = re.compile(r"\{\s*\"(?:text|sources)\"")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence as the model wrote it, with the labels it claims."""

    text: str
    labels: tuple[int, ...]


class Refusal(Exception):  # an outcome that the model is asked for, not an error
    """The model says that the sources do not answer the question."""


def parse_lines(pieces: Iterable[str]) -> Iterator[Draft]:
    """Yield a draft for each line as soon as it is complete; raises Refusal.

    How the text was cut into `pieces` changes nothing.
    """
    buffer = ""
    for piece in pieces:
        buffer += piece
        while "\n" in buffer:
            line, buffer = buffer.split("\n", 1)
            yield from _draft(line)
        if _is_refusal(buffer):
            raise Refusal  # at once: what the model writes after it can be long, and is nothing
    yield from _draft(buffer)


def parse_json(pieces: Iterable[str]) -> Iterator[Draft]:
    """Yield a draft for each `{"text", "sources"}` object as soon as it is complete.

    Objects are found wherever they stand, so that a fenced or truncated reply still counts for
    what it holds. An empty list of sentences is a Refusal; a reply without any JSON is read as
    lines.
    """
    buffer, position, found = "", 0, False
    decoder = json.JSONDecoder()
    for piece in pieces:
        buffer += piece
        while (match := _OBJECT.search(buffer, position)) is not None:
            try:
                item, position = decoder.raw_decode(buffer, match.start())
            except ValueError:
                break  # not complete yet
            except RecursionError:  # brackets in brackets: nothing that was asked for
                position = match.end()
                continue
            draft = _from_object(item)
            if draft is not None:
                found = True
                yield draft
    if not found:
        if "{" in buffer:
            raise Refusal
        yield from parse_lines([buffer])


def _from_object(item: object) -> Draft | None:
    if not isinstance(item, Mapping):
        return None
    text, sources = item.get("text"), item.get("sources")
    if not isinstance(text, str) or not isinstance(sources, list):
        return None
    labels = tuple(dict.fromkeys(n for n in sources if isinstance(n, int)))
    # Models repeat the labels in the text; the list is what counts.
    return Draft(_TRAILING.sub("", text).strip(), labels) if text.strip() else None


def _draft(line: str) -> Iterator[Draft]:
    """Yield the sentences of a line; those without labels of their own share the next ones."""
    line = _BULLET.sub("", line).strip()
    if _is_refusal(line):
        raise Refusal
    waiting: list[str] = []
    position = 0
    for group in _LABEL_GROUP.finditer(line):
        waiting += _sentences(line[position : group.start()])
        position = group.end()
        labels = tuple(dict.fromkeys(int(n) for n in re.findall(r"\d+", group.group())))
        yield from (Draft(sentence, labels) for sentence in waiting)
        waiting = []
    yield from (Draft(sentence, ()) for sentence in _sentences(line[position:]))


def _is_refusal(line: str) -> bool:
    return line.lstrip().upper().startswith(NOT_IN_SOURCES)


def _sentences(text: str) -> list[str]:
    """Split before a capital after a full stop; what is no sentence but punctuation is dropped."""
    parts = _SENTENCE_END.split(text.strip().lstrip(".,;: "))
    return [part.strip() for part in parts if any(c.isalnum() for c in part)]


def make_citation(
    number: int, passage: Passage, units: tuple[Unit, ...], support: float
) -> Citation:
    """Return the citation `c<number>` that quotes `units`, neighbours in `passage`, verbatim."""
    document = passage.document
    start, end = units[0].start, units[-1].end
    line_start, line_end = line_span(document.text, start, end)
    return Citation(
        id=f"c{number}",
        marker=f"[{number}]",
        doc_id=document.id,
        doc=document.uri,
        title=document.title,
        heading_path=passage.chunk.heading_path,
        chunk_id=passage.chunk.id,
        start=start,
        end=end,
        line_start=line_start,
        line_end=line_end,
        quote=document.text[start:end],
        support=round(support, 3),
    )


def is_valid(citation: Citation, passages: Iterable[Passage], document: Document) -> bool:
    """Tell whether the passage was in the prompt and the quote stands at its offsets in it."""
    return document.text[citation.start : citation.end] == citation.quote and any(
        passage.document.id == citation.doc_id
        and passage.units[0].start <= citation.start
        and citation.end <= passage.units[-1].end
        for passage in passages
    )
