"""Gold quotes to relevant chunks.

A chunk is relevant if it holds at least 60% of a quote, both reduced to lower-case letters and
digits, so that markup, whitespace, punctuation and mis-decoded characters do not matter. A quote
without such a chunk is kept as missing, with the reason. Nothing here knows ranks or scores.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from eval.cases import Case
from ingest.documents import Chunk, Document

MIN_SHARE = 0.6
_KEPT = re.compile(r"[A-Za-z0-9]")

Groups = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class MissingQuote:
    """A gold quote that no ranking can find, and why."""

    query_id: str
    doc: str
    quote: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judgements:
    """For each query the chunk ids that satisfy each of its groups; empty where none does."""

    groups: Mapping[str, Groups]
    missing: tuple[MissingQuote, ...]


def reduced(text: str) -> str:
    """Return the letters a-z and the digits of `text`, in lower case."""
    return "".join(_KEPT.findall(text)).lower()


class ReducedDocument:
    """A document's text reduced, with its chunks as ranges of the reduced text."""

    def __init__(self, document: Document, chunks: Iterable[Chunk]) -> None:
        self._text = reduced(document.text)
        offsets = [match.start() for match in _KEPT.finditer(document.text)]
        self._spans = [
            (chunk.id, bisect_left(offsets, chunk.start), bisect_left(offsets, chunk.end))
            for chunk in chunks
        ]

    def places(self, quote: str) -> list[tuple[int, int]]:
        """Return every range of the reduced text that equals the reduced quote."""
        found = list(self._occurrences(reduced(quote)))
        # Ingestion resolves entities, which the quote of an HTML source may still spell out.
        return found or list(self._occurrences(reduced(html.unescape(quote))))

    def chunks_with(self, places: Iterable[tuple[int, int]]) -> frozenset[str]:
        """Return the ids of the chunks that hold at least 60% of any one of these ranges."""
        return frozenset(
            chunk_id
            for start, end in places
            for chunk_id, first, last in self._spans
            if (min(end, last) - max(start, first)) / (end - start) >= MIN_SHARE
        )

    def _occurrences(self, needle: str) -> Iterator[tuple[int, int]]:
        start = self._text.find(needle) if needle else -1
        while start >= 0:
            yield start, start + len(needle)
            start = self._text.find(needle, start + 1)


def judge(
    cases: Iterable[Case], documents: Iterable[Document], chunks: Iterable[Chunk]
) -> Judgements:
    """Find the relevant chunks of every case; a document is named by its `uri`."""
    chunks_of: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        chunks_of.setdefault(chunk.doc_id, []).append(chunk)
    known = {doc.uri: ReducedDocument(doc, chunks_of.get(doc.id, ())) for doc in documents}
    groups: dict[str, Groups] = {}
    missing: list[MissingQuote] = []
    for case in cases:
        found: dict[int, frozenset[str]] = {}
        for gold in case.relevant:
            ids, reason = _look_up(known.get(gold.doc), gold.quote)
            found[gold.group] = found.get(gold.group, frozenset()) | ids
            if reason:
                missing.append(MissingQuote(case.query_id, gold.doc, gold.quote, reason))
        groups[case.query_id] = tuple(found[group] for group in sorted(found))
    return Judgements(groups, tuple(missing))


def _look_up(document: ReducedDocument | None, quote: str) -> tuple[frozenset[str], str]:
    """Return the chunks that hold the quote, and the reason where there are none."""
    if document is None:
        return frozenset(), "no such document in the index"
    places = document.places(quote)
    if not places:
        return frozenset(), "the document does not contain the quote"
    ids = document.chunks_with(places)
    return ids, "" if ids else f"no chunk holds {MIN_SHARE:.0%} of the quote"
