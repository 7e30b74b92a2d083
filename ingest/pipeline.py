"""ingest_paths(): files to documents and chunks, incrementally, with a report.

Joins discovery, loading, cleaning, parsing, chunking and duplicate detection. Knows nothing of
embedding; the tokenizer is a function that counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.chunking import chunk_document
from ingest.cleaning import repair_encoding
from ingest.dedup import exact_duplicates, near_duplicates
from ingest.discovery import SourceFile, find_files, read_bytes
from ingest.documents import Block, Chunk, Document, content_id
from ingest.errors import UnreadableFile
from ingest.loaders import Limits, load_file
from ingest.pieces import CountTokens
from ingest.questions import FILE_NAME, attach_questions, load_questions
from ingest.structure import parse_blocks

PARSER_VERSION = 2  # raise it when the same file gives other chunks than before
# What a folder says of its documents.
_NO_DOCUMENTS = (FILE_NAME, "practice-overrides.toml", "phrasings.jsonl")
NEAR_DUPLICATE = 0.8  # Jaccard similarity of word shingles

Previous = Mapping[str, tuple[str, Document, Sequence[Chunk]]]
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class IngestReport:
    """What an ingestion did. `documents` and `chunks` are counts of what is to be indexed."""

    documents: int = 0
    chunks: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    repaired_lines: int = 0
    repaired_spots: int = 0
    lossy_spots: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str, float]] = field(default_factory=list)
    questions: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            **asdict(self),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "duplicates": [{"item": item, "of": of} for item, of in self.duplicates],
            "near_duplicates": [
                {"item": item, "of": of, "similarity": round(similarity, 3)}
                for item, of, similarity in self.near_duplicates
            ],
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Documents by path, their chunks in order, and the report."""

    documents: list[Document]
    chunks: list[Chunk]
    report: IngestReport


def ingest_paths(
    paths: Sequence[Path],
    *,
    count_tokens: CountTokens,
    max_tokens: int = 200,
    overlap_tokens: int = 40,
    max_file_bytes: int = 20_000_000,
    previous: Previous | None = None,
    progress: Progress | None = None,
) -> IngestResult:
    """Ingest the files below `paths`; raises PathNotFound, names whatever else is unusable.

    `max_tokens` and `overlap_tokens` size the chunks; 200 tokens are about 140 English words.
    `previous` maps a uri to (sha256, document, chunks) of a run with the same sizes and the same
    PARSER_VERSION; a file with the same hash is not parsed again. `progress` is called with
    (done, total, uri).
    """
    began = time.perf_counter()
    limits, previous = Limits(max_bytes=max_file_bytes), previous or {}

    def cut(document: Document, blocks: Sequence[Block]) -> list[Chunk]:
        return chunk_document(
            document,
            blocks,
            count_tokens=count_tokens,
            max_tokens=max_tokens,
            overlap_tokens=overlap_tokens,
        )

    files, skipped = find_files(paths)
    files = [file for file in files if file.path.name not in _NO_DOCUMENTS]
    report = IngestReport(skipped=skipped)
    documents: dict[str, Document] = {}
    chunks: dict[str, list[Chunk]] = {}
    for number, file in enumerate(files):
        if progress:
            progress(number, len(files), file.uri)
        try:
            data = read_bytes(file, limits)
            entry = _unchanged(previous, file, data)
            document, found = entry or _parse(file, data, limits, cut, report)
        except UnreadableFile as error:
            report.skipped.append((file.uri, error.reason))
            continue
        documents[file.uri] = document
        chunks[file.uri] = found
    _drop_duplicates(documents, chunks, report)
    _attach_questions(paths, chunks, report)
    _count(documents, chunks, previous, report)
    report.seconds = time.perf_counter() - began
    if progress:
        progress(len(files), len(files), "")
    kept = [chunk for uri in documents for chunk in chunks[uri]]
    return IngestResult(list(documents.values()), kept, report)


def _unchanged(
    previous: Previous, file: SourceFile, data: bytes
) -> tuple[Document, list[Chunk]] | None:
    entry = previous.get(file.uri)
    if entry is None:
        return None
    sha256, document, chunks = entry
    if sha256 != hashlib.sha256(data).hexdigest():
        return None
    # A gap: chunks were dropped as duplicates of a document that may be gone by now.
    whole = bool(chunks) and all(chunk.ordinal == n for n, chunk in enumerate(chunks))
    return (document, list(chunks)) if whole else None


def _parse(
    file: SourceFile,
    data: bytes,
    limits: Limits,
    cut: Callable[[Document, Sequence[Block]], list[Chunk]],
    report: IngestReport,
) -> tuple[Document, list[Chunk]]:
    loaded = load_file(file.path, data, limits)
    if loaded.metadata.get("ingest") is False:
        raise UnreadableFile(file.path, "its front matter says `ingest: false`")
    repair = repair_encoding(loaded.text)
    blocks = parse_blocks(repair.text)
    headings = (block.heading_path[-1] for block in blocks if block.kind == "heading")
    sha256 = hashlib.sha256(data).hexdigest()
    document = Document(
        id=content_id(file.uri, sha256),
        uri=file.uri,
        title=loaded.title or next(headings, "") or file.path.stem,
        text=repair.text,
        sha256=sha256,
        metadata=loaded.metadata,
    )
    found = cut(document, blocks)
    if not found:
        raise UnreadableFile(file.path, "holds no text beside comments and badges")
    report.repaired_lines += repair.lines
    report.repaired_spots += repair.spots
    report.lossy_spots += repair.lossy
    return document, found


def _drop_duplicates(
    documents: dict[str, Document], chunks: dict[str, list[Chunk]], report: IngestReport
) -> None:
    """Index equal documents and equal chunks once; report these and the nearly equal ones."""
    copies = exact_duplicates((uri, document.text) for uri, document in documents.items())
    for uri, original in copies.items():
        del documents[uri], chunks[uri]
        report.duplicates.append((uri, original))
    by_id = {chunk.id: chunk for found in chunks.values() for chunk in found}
    names = {chunk.id: f"{uri}#{chunk.ordinal}" for uri, found in chunks.items() for chunk in found}
    # Diagrams alone have no searched text, so that there is nothing to compare.
    texts = {key: chunk.search_text for key, chunk in by_id.items() if chunk.plain}
    repeated = exact_duplicates(texts.items())
    for uri, found in chunks.items():
        # The last chunk stays, so that a gap in the ordinals always tells of what was dropped.
        last = found[-1].id
        dropped = {chunk.id for chunk in found if chunk.id in repeated and chunk.id != last}
        chunks[uri] = [chunk for chunk in found if chunk.id not in dropped]
        report.duplicates += [(names[key], names[repeated[key]]) for key in sorted(dropped)]
    distinct = {key: by_id[key].plain for key in texts if key not in repeated}
    report.near_duplicates += [
        (names[two], names[one], similarity)
        for one, two, similarity in near_duplicates(distinct, NEAR_DUPLICATE)
    ]


def _attach_questions(
    paths: Sequence[Path], chunks: dict[str, list[Chunk]], report: IngestReport
) -> None:
    """Give the units of `chunks` the questions of the ingested folders, and no others."""
    asked: dict[str, list[tuple[str, tuple[str, ...]]]] = {uri: [] for uri in chunks}
    for path in (folder / FILE_NAME for folder in paths):
        if not path.is_file():
            continue
        found, skipped = load_questions(path)
        report.skipped += skipped
        for uri, rows in found.items():
            if uri in asked:
                asked[uri] += rows
            else:
                report.skipped.append((str(path), f"asks about {uri}, which is not here"))
    for uri, rows in asked.items():
        chunks[uri], lost = attach_questions(chunks[uri], rows)
        report.skipped += [(f"{uri}: a question", f"its quote is not there: {q!r}") for q in lost]
        report.questions += sum(len(questions) for quote, questions in rows if quote not in lost)


def _count(
    documents: Mapping[str, Document],
    chunks: Mapping[str, Sequence[Chunk]],
    previous: Previous,
    report: IngestReport,
) -> None:
    report.documents = len(documents)
    report.chunks = sum(len(found) for found in chunks.values())
    report.added = sum(uri not in previous for uri in documents)
    report.removed = sum(uri not in documents for uri in previous)
    known = [uri for uri in documents if uri in previous]
    report.unchanged = sum(documents[uri].id == previous[uri][1].id for uri in known)
    report.changed = len(known) - report.unchanged
