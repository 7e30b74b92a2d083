"""Paths -> a new generation of the index: ingest, embed what is new, build, publish.

The old generation stays in use until the new one has been written, reloaded and queried.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from index.errors import IndexMissing, IndexStoreError
from index.hits import Filters
from index.hybrid import HybridIndex, build_index, load_index, read_index, searchable
from index.storage import GenerationStore, read_manifest
from ingest.errors import IngestError
from ingest.pipeline import PARSER_VERSION, IngestResult, ingest_paths
from rag.loading import embedder_fingerprints, load_embedders, token_counter
from rag.settings import Settings

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # (what, done, in all)
_LIBRARIES = ("hnswlib", "rank-bm25", "bm25s", "sentence-transformers", "onnxruntime", "numpy")


def update_index(
    settings: Settings, paths: Sequence[Path] | None, progress: Progress | None = None
) -> dict[str, Any]:
    """Bring the index in line with `paths` (None: those of the current index); return the report.

    The index then holds exactly what the paths hold: what is gone from them disappears. Raises
    IngestError where nothing could be read, ModelError, or IndexStoreError.
    """
    start = time.perf_counter()
    report_progress = progress or (lambda what, done, total: None)
    store = GenerationStore(settings.data_dir / "index")
    with store.lock():
        fingerprints = embedder_fingerprints(settings)
        previous = _previous(store, fingerprints)
        sources = _sources(paths, previous)
        chunking = {
            "parser": PARSER_VERSION,
            "tokens": settings.chunk_tokens,
            "overlap": settings.chunk_overlap_tokens,
        }
        reusable = previous is not None and previous.manifest.get("chunking") == chunking
        result = ingest_paths(
            [Path(source) for source in sources],
            count_tokens=token_counter(settings),
            max_tokens=settings.chunk_tokens,
            overlap_tokens=settings.chunk_overlap_tokens,
            max_file_bytes=settings.max_file_bytes,
            previous=_by_uri(previous) if previous is not None and reusable else None,
            progress=lambda done, total, uri: report_progress(f"reading {uri}", done, total),
        )
        if not searchable(result.chunks):
            skipped = "; ".join(f"{path}: {reason}" for path, reason in result.report.skipped)
            raise IngestError(
                f"nothing to index in {', '.join(sources)}"
                + (f" ({skipped})" if skipped else "")
                + ": give a folder or file with .md, .txt, .html, .pdf or .docx text"
            )
        if previous is not None and reusable and _same(previous, result, sources):
            generation = previous.generation
        else:
            origin = {"sources": sources, "chunking": chunking}
            generation = _build(settings, store, result, previous, origin, report_progress)
    return {
        **result.report.to_dict(),
        "generation": generation,
        "seconds": round(time.perf_counter() - start, 2),
    }


def _build(
    settings: Settings,
    store: GenerationStore,
    result: IngestResult,
    previous: HybridIndex | None,
    origin: Mapping[str, Any],
    progress: Progress,
) -> str:
    embedder, token_embedder = load_embedders(settings)
    index = build_index(
        result.documents,
        result.chunks,
        embedder=embedder,
        token_embedder=token_embedder,
        previous=previous,
        progress=lambda done, total: progress("embedding", done, total),
    )
    manifest = {
        **index.manifest,
        **origin,
        "dimension": embedder.dimension,
        "space": "cosine",
        "corpus_hash": _corpus_hash(result),
        "counts": {"documents": len(result.documents), "chunks": len(result.chunks)},
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "hnsw_recall@10": round(index.dense.recall(), 4),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }

    def check(folder: Path) -> None:
        loaded = read_index(folder, read_manifest(folder))
        text = loaded.chunks[0].search_text
        found = loaded.search(
            text, k=3, stage="late", filters=Filters(), embedder=embedder,
            token_embedder=token_embedder,
        )  # fmt: skip
        if not found.hits:
            raise IndexStoreError("the new index does not find its own text: it was not published")

    progress("writing", 0, 1)
    generation = store.publish(index.save, manifest, check)
    progress("writing", 1, 1)
    return generation


def _previous(store: GenerationStore, fingerprints: tuple[str, str]) -> HybridIndex | None:
    try:
        index, problems = load_index(
            store, embedder=fingerprints[0], token_embedder=fingerprints[1]
        )
    except IndexMissing:
        return None
    except IndexStoreError as error:
        # Damaged, or of another embedding model: this build replaces it from the sources.
        logger.warning("building from nothing: %s", error)
        return None
    return None if problems else index


def _sources(paths: Sequence[Path] | None, previous: HybridIndex | None) -> list[str]:
    if paths is not None:
        return [str(path.resolve()) for path in paths]
    if previous is None:
        raise IndexMissing("there is no index yet: run `rag ingest PATH` first")
    return list(previous.manifest["sources"])


def _by_uri(previous: HybridIndex) -> dict[str, Any]:
    chunks: dict[str, list[Any]] = {doc_id: [] for doc_id in previous.documents}
    for chunk in previous.all_chunks:
        chunks[chunk.doc_id].append(chunk)
    return {
        document.uri: (document.sha256, document, chunks[document.id])
        for document in previous.documents.values()
    }


def _same(previous: HybridIndex, result: IngestResult, sources: list[str]) -> bool:
    built_from = (previous.manifest["corpus_hash"], previous.manifest["sources"])
    return built_from == (_corpus_hash(result), sources)


def _corpus_hash(result: IngestResult) -> str:
    ids = sorted(chunk.id for chunk in result.chunks) + sorted(d.id for d in result.documents)
    ids += [q for chunk in result.chunks for unit in chunk.units for q in unit.questions]
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
