"""One document as the parsers of practice mode read it, and the entries that they make of it.

Lines begin at their offset in the document's text; code, comments and source lines are blanked in
place. Gives every entry its id, its span and what the front matter says. Knows no structure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from index.bm25 import terms
from ingest.cleaning import mask_noise
from ingest.documents import Document, content_id
from ingest.markdown import is_markdown, plain_inline
from ingest.structure import parse_blocks
from rag.practice.bank import Facet, Probe, ProbeKind, RubricPoint, Span, Weight
from rag.practice.pages import HEADING, Line
from rag.practice.points import Piece, facet_of, numbers_in

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n.*?^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SECONDS: dict[ProbeKind, int] = {
    "probe": 120, "transcript": 180, "quiz": 120, "ladder": 240, "drill": 900, "entry": 300,
    "curveball": 90,
}  # fmt: skip
_VITAL = 8  # more than this nobody says in one answer: what the corpus lists beyond it is okay


@dataclass(frozen=True, slots=True)
class Draft:
    """A rubric point before it belongs to a probe."""

    piece: Piece
    weight: Weight = "vital"
    level: str = ""
    facet: Facet | None = None


class Source:
    """A document, its lines at their offsets, and its headings."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.is_markdown = is_markdown(self.text)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines, each with the offset where it begins."""
        masked = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), mask_noise(self.text))
        found, start = [], 0
        for line in masked.split("\n"):
            found.append((start, line))
            start += len(line) + 1
        return tuple(found)

    @cached_property
    def _paths(self) -> tuple[list[int], list[tuple[str, ...]]]:
        """Where a heading path begins to hold, and the path."""
        if not self.is_markdown:
            blocks = parse_blocks(self.text)
            return [block.start for block in blocks], [block.heading_path for block in blocks]
        starts: list[int] = []
        paths: list[tuple[str, ...]] = []
        open_: list[tuple[int, str]] = []
        for start, line in self.lines:
            if line.startswith("#") and (match := HEADING.match(line)):
                level = len(match[1])
                open_ = [*((n, t) for n, t in open_ if n < level), (level, plain_inline(match[2]))]
                starts.append(start)
                paths.append(tuple(title for _, title in open_))
        return starts, paths

    def span(self, start: int, end: int) -> Span:
        """Return the span of a range, below its headings."""
        starts, paths = self._paths
        at = bisect_right(starts, start) - 1
        path = paths[at] if at >= 0 else ()
        return Span(self.document.uri, self.document.id, start, end, path)

    def end(self, lines: Sequence[Line], start: int) -> int:
        """Return where the last line that is not blank ends; `start` if there is none."""
        ends = (at + len(text.rstrip()) for at, text in reversed(lines) if text.strip())
        return next(ends, start)

    def cells(self, row: int, cells: Iterable[str]) -> list[tuple[int, int]]:
        """Return the ranges of the cells of the table row that begins at `row`."""
        found, at = [], row
        for cell in cells:
            at = self.text.index(cell, self.text.index("|", at) + 1)
            found.append((at, at + len(cell)))
            at += len(cell)
        return found

    def front(self, name: str) -> tuple[str, ...]:
        """Return a list of the front matter."""
        value = self.document.metadata.get(name) or ()
        return (value,) if isinstance(value, str) else tuple(str(item) for item in value)

    def identify(self, kind: str, words: str) -> str:
        """Return an id that can be read, and stays while the words and the document's path do."""
        slug = "-".join(re.findall(r"[a-z0-9]+", words.lower())[:5])[:40].strip("-")
        return f"{kind}-{slug}-{content_id(self.document.uri, kind, words)[:4]}"

    def probe(
        self,
        kind: ProbeKind,
        prompt: str,
        drafts: Iterable[Draft],
        span: tuple[int, int],
        *,
        cap: bool = False,
        **fields: Any,
    ) -> Probe:
        """Return a probe with its points; `cap` makes what follows eight vital points okay."""
        identity = self.identify(kind, prompt)
        points: dict[str, RubricPoint] = {}
        vital = 0
        for draft in drafts:
            key = f"{identity}.{content_id(draft.piece.text)[:4]}"
            vital += draft.weight == "vital"
            points.setdefault(key, self._point(key, draft, cap and vital > _VITAL))
        values: dict[str, Any] = {
            "topics": self._topics(f"{prompt} {' '.join(p.text for p in points.values())}"),
            "companies": self.front("companies"),
            "difficulty": "".join(self.front("difficulty")[:1]),
            "seconds": _SECONDS[kind],
        }
        values |= fields
        return Probe(identity, kind, prompt, tuple(points.values()), self.span(*span), **values)

    def _point(self, key: str, draft: Draft, beyond: bool) -> RubricPoint:
        found = draft.piece
        return RubricPoint(
            key,
            found.text,
            "okay" if beyond else draft.weight,
            draft.facet or facet_of(found.text),
            self.span(found.start, found.end),
            draft.level,
            numbers_in(found.text),
        )

    def _topics(self, words: str) -> tuple[str, ...]:
        """Return the front matter's topics that `words` are about, else the document's tags."""
        have = set(terms(words))
        fitting = tuple(topic for topic, needed in self._known_topics if needed <= have)
        return fitting or tuple(str(tag) for tag in self.document.tags)

    @cached_property
    def _known_topics(self) -> list[tuple[str, set[str]]]:
        return [(topic, set(terms(topic))) for topic in self.front("topics")]
