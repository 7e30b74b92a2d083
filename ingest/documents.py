"""The three things ingestion makes: a Document, its Blocks, and the Chunks that are searched.

All ranges are half-open, in Unicode code points of `Document.text`, so that
`document.text[chunk.start:chunk.end] == chunk.text` holds for every chunk. Nothing here knows
how a file was read or how a chunk is searched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code", "diagram", "turn", "qa"]
ChunkKind = Literal["text", "list", "table", "code", "diagram", "dialogue", "qa"]


def content_id(*parts: str) -> str:
    """Return 16 hex digits that depend on nothing but `parts`."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Document:
    """One source file, after decoding and repair.

    `uri` is the path relative to the ingested folder, with forward slashes. `text` has exactly as
    many lines as the source, so that a line number in it is a line number of the file. `sha256` is
    that of the source bytes. `metadata` holds the front matter, `tags` as a list of strings.
    """

    id: str
    uri: str
    title: str
    text: str
    sha256: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the front matter."""
        return tuple(str(tag) for tag in self.metadata.get("tags", ()))


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text with one structural role, below the headings in `heading_path`."""

    kind: BlockKind
    start: int
    end: int
    heading_path: tuple[str, ...]
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest quotable piece of a chunk: a sentence, a list item, a table row.

    `start` and `end` are offsets in the document; `plain` is the same words without markup.
    `questions` are those that people wrote down for it (ingest.questions).
    """

    start: int
    end: int
    plain: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: what is embedded, searched, put before the LLM and cited.

    `plain` is the searchable text of the span: no markup, no diagram. `context` is what a reader
    needs in front of it and the span itself lacks: the header of a table, the question of an
    answer. Both are derived from the document; only `text` is verbatim. `units` are its quotable
    pieces, in order, without headings and diagrams.
    """

    id: str
    doc_id: str
    ordinal: int
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    kind: ChunkKind
    plain: str
    context: str = ""
    units: tuple[Unit, ...] = ()

    @property
    def search_text(self) -> str:
        """What the engines index: heading path, context, plain text; a line each."""
        parts = (" > ".join(self.heading_path), self.context, self.plain)
        return "\n".join(part for part in parts if part)
