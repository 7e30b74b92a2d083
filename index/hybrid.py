"""The hybrid index: BM25 and HNSW fused by RRF, ordered by late interaction, filtered.

Joins the engines and their files into one object that answers a query with Hits. It knows nothing
of cross-encoders, prompts or LLMs, and never changes once it is built.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.bm25 import BM25s, RankBM25, build_bm25, load_bm25
from index.embedding import Embedder, Progress, TokenEmbedder
from index.errors import EmbedderMismatch
from index.fusion import reciprocal_rank_fusion
from index.hits import Filters, Hit, Ranking, Stage
from index.hnsw import HnswIndex
from index.late_interaction import LateInteractionIndex
from index.query_map import QueryMap
from index.questions import QuestionIndex, question_rows
from index.storage import GenerationStore
from ingest.documents import Chunk, Document, Unit

CANDIDATES = 100  # of each of BM25 and HNSW, before fusion
LATE_CANDIDATES = 80  # of the fused ranking, scored by late interaction


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of one search, the milliseconds of each stage, and what was skipped."""

    hits: tuple[Hit, ...]
    timings_ms: Mapping[str, float]
    degraded: tuple[str, ...]


class HybridIndex:
    """Documents, their chunks, and the engines over the chunks that have searchable text.

    Positions of the engines are rows of `chunks`; `all_chunks` also holds what is only shown, such
    as a diagram that stands alone.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        all_chunks: Sequence[Chunk],
        bm25: RankBM25 | BM25s,
        dense: HnswIndex,
        late: LateInteractionIndex,
        questions: QuestionIndex | None,
        manifest: Mapping[str, Any],
        query_map: QueryMap | None = None,
    ) -> None:
        """Join the parts; `query_map` is used where it suits the passages."""
        self.documents = {document.id: document for document in documents}
        self.all_chunks = all_chunks
        self.chunks = searchable(all_chunks)
        self.bm25, self.dense, self.late, self.questions = bm25, dense, late, questions
        self.manifest = manifest
        self.query_map = query_map
        self._maps_queries = query_map is not None and query_map.suits(dense.vectors)

    @property
    def generation(self) -> str:
        """The name of the generation that this index was loaded from."""
        return str(self.manifest.get("generation", ""))

    def search(
        self,
        query: str,
        *,
        k: int,
        stage: Stage,
        filters: Filters,
        embedder: Embedder | None,
        token_embedder: TokenEmbedder | None,
    ) -> Found:
        """Return the best `k` chunks of `stage` ("bm25", "dense", "fused" or "late").

        Where an embedder is None its stage is skipped and named in `degraded`.
        """
        clock = _Clock()
        degraded = []
        allowed = self._allowed(filters)
        asked: Mapping[int, Mapping[int, float]] = {}
        explain: dict[int, dict[str, float]] = {}
        rankings: list[Ranking] = []
        if stage != "dense" or embedder is None:
            rankings.append(self.bm25.search(query, max(k, CANDIDATES), allowed))
            clock.stop("bm25")
            _note(explain, "bm25", rankings[-1])
        if stage != "bm25":
            if embedder is None:
                degraded.append("dense")
            else:
                vector = embedder.embed_query(query)
                if self.query_map is not None and self._maps_queries:
                    vector = self.query_map(vector)
                rankings.append(self.dense.search(vector, max(k, CANDIDATES), allowed))
                _note(explain, "dense", rankings[-1])
                every: Ranking = []
                if self.questions is not None:
                    every = self.questions.search(vector, len(self.chunks), allowed)
                    if stage != "dense":
                        rankings.append(every[: max(k, CANDIDATES)])
                        _note(explain, "asked", rankings[-1])
                self._fill_in_cosines(explain, vector, dict(every))
                clock.stop("dense")
        ranking = rankings[0] if len(rankings) == 1 else reciprocal_rank_fusion(rankings)
        if stage == "late":
            if token_embedder is None:
                degraded.append("late")
            else:
                tokens = token_embedder.embed_query(query)
                candidates = [p for p, _ in ranking[: max(k, LATE_CANDIDATES)]]
                ranking = self.late.rank(tokens, candidates)
                _note(explain, "late", ranking)
                if self.questions is not None:
                    asked = self.questions.by_unit(tokens, candidates)
                    for position, units in asked.items():
                        explain[position]["asked_late"] = round(max(units.values()), 4)
                clock.stop("late")
        hits = tuple(
            Hit(
                self.chunks[position],
                score,
                rank,
                stage,
                explain[position],
                asked.get(position, {}),
            )
            for rank, (position, score) in enumerate(ranking[:k], start=1)
        )
        return Found(hits, clock.timings_ms, tuple(degraded))

    def _fill_in_cosines(
        self,
        explain: dict[int, dict[str, float]],
        vector: NDArray[np.float32],
        asked: Mapping[int, float],
    ) -> None:
        """Give what one engine found the cosines that the others would have found."""
        for position, entry in explain.items():
            entry.setdefault("dense", round(float(self.dense.vectors[position] @ vector), 4))
            if position in asked:
                entry.setdefault("asked", round(asked[position], 4))

    def _allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        if not filters:
            return None
        return np.array([self._passes(chunk, filters) for chunk in self.chunks], dtype=bool)

    def _passes(self, chunk: Chunk, filters: Filters) -> bool:
        document = self.documents[chunk.doc_id]
        path = " > ".join(chunk.heading_path).casefold()
        return (
            (
                not filters.documents
                or document.id in filters.documents
                or any(fnmatch.fnmatchcase(document.uri, glob) for glob in filters.documents)
            )
            and (not filters.headings or any(h.casefold() in path for h in filters.headings))
            and (not filters.kinds or chunk.kind in filters.kinds)
            and chunk.id not in filters.without
            and (not filters.tags or not set(filters.tags).isdisjoint(document.tags))
        )

    def save(self, folder: Path) -> None:
        """Write everything but the manifest."""
        _write_json_lines(folder / "documents.jsonl", self.documents.values())
        _write_json_lines(folder / "chunks.jsonl", self.all_chunks)
        for engine in (self.bm25, self.dense, self.late, self.questions):
            if engine is not None:
                engine.save(folder)


def build_index(
    documents: Sequence[Document],
    chunks: Sequence[Chunk],
    *,
    embedder: Embedder,
    token_embedder: TokenEmbedder,
    previous: HybridIndex | None = None,
    progress: Progress | None = None,
) -> HybridIndex:
    """Embed and index `chunks`; vectors of texts that `previous` knows are taken from it.

    `progress` counts texts embedded, twice each: once as a whole, once by token.
    """
    passages = searchable(chunks)
    rows = question_rows(passages)
    texts = [chunk.search_text for chunk in passages] + [row.text for row in rows]
    vectors: dict[str, tuple[NDArray[np.float32], NDArray[np.int8]]] = {}
    if previous is not None and _same_models(previous.manifest, embedder, token_embedder):
        vectors = _vectors(previous)
    new = [text for text in dict.fromkeys(texts) if text not in vectors]

    def shifted(offset: int) -> Progress | None:
        if progress is None:
            return None
        return lambda done, _: progress(offset + done, 2 * len(new))

    fresh_dense = embedder.embed_documents(new, shifted(0))
    fresh_late = token_embedder.embed_documents(new, shifted(len(new)))
    vectors.update(zip(new, zip(fresh_dense, fresh_late, strict=True), strict=True))
    dense = np.stack([vectors[text][0] for text in texts])
    late = [vectors[text][1] for text in texts]
    n = len(passages)
    return HybridIndex(
        documents,
        chunks,
        build_bm25(texts[:n]),
        HnswIndex.build(dense[:n]),
        LateInteractionIndex.build(late[:n]),
        QuestionIndex(rows, dense[n:], LateInteractionIndex.build(late[n:])) if rows else None,
        {"embedder": embedder.fingerprint, "token_embedder": token_embedder.fingerprint},
    )


def _vectors(index: HybridIndex) -> dict[str, tuple[NDArray[np.float32], NDArray[np.int8]]]:
    """Return the vectors of every text that `index` holds: passages and questions."""
    found = {
        chunk.search_text: (index.dense.vectors[row], index.late.passage(row))
        for row, chunk in enumerate(index.chunks)
    }
    if index.questions is not None:
        for row, question in enumerate(index.questions.rows):
            late = index.questions.late.passage(row)
            found[question.text] = (index.questions.dense[row], late)
    return found


def searchable(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Return the chunks that have searchable text."""
    return [chunk for chunk in chunks if chunk.plain]


def load_index(
    store: GenerationStore,
    *,
    embedder: str,
    token_embedder: str,
    query_map: QueryMap | None = None,
) -> tuple[HybridIndex, list[str]]:
    """Return the current index, or the one before it, and the problems met on the way.

    `embedder` and `token_embedder` are the fingerprints of the models that will embed queries.
    Raises IndexMissing, IndexCorrupt (no generation left) or EmbedderMismatch.
    """
    folder, manifest, problems = store.newest_sound()
    if (manifest["embedder"], manifest["token_embedder"]) != (embedder, token_embedder):
        raise EmbedderMismatch(
            "the index was made with other embedding models than the ones in use: run "
            "`rag ingest PATH` to build it again, or set RAG_EMBEDDER and RAG_TOKEN_EMBEDDER back"
        )
    return read_index(folder, manifest, query_map), problems


def read_index(
    folder: Path, manifest: Mapping[str, Any], query_map: QueryMap | None = None
) -> HybridIndex:
    """Load a generation whose hashes were checked."""
    chunks = [_chunk(row) for row in _read_json_lines(folder / "chunks.jsonl")]
    has_questions = any(unit.questions for chunk in chunks for unit in chunk.units)
    return HybridIndex(
        _read_documents(folder),
        chunks,
        load_bm25(folder),
        HnswIndex.load(folder),
        LateInteractionIndex.load(folder),
        QuestionIndex.load(folder, searchable(chunks)) if has_questions else None,
        manifest,
        query_map,
    )


def load_documents(store: GenerationStore) -> list[Document]:
    """Return the documents of the current index, or of the one before it; needs no models.

    Raises IndexMissing, or IndexCorrupt where no generation is left.
    """
    return _read_documents(store.newest_sound()[0])


def _read_documents(folder: Path) -> list[Document]:
    return [Document(**row) for row in _read_json_lines(folder / "documents.jsonl")]


class _Clock:
    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.timings_ms[stage] = round((now - self._last) * 1000, 2)
        self._last = now


def _note(explain: dict[int, dict[str, float]], stage: str, ranking: Ranking) -> None:
    for rank, (position, score) in enumerate(ranking, start=1):
        entry = explain.setdefault(position, {})
        entry[stage] = round(score, 4)
        entry[f"{stage}_rank"] = rank


def _same_models(manifest: Mapping[str, Any], dense: Embedder, late: TokenEmbedder) -> bool:
    stored = (manifest.get("embedder"), manifest.get("token_embedder"))
    return stored == (dense.fingerprint, late.fingerprint)


def _write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(dataclasses.asdict(row), ensure_ascii=True, default=str) + "\n")


def _chunk(row: dict[str, Any]) -> Chunk:
    units = tuple(
        Unit(**{**unit, "questions": tuple(unit["questions"])}) for unit in row.pop("units")
    )
    return Chunk(**{**row, "heading_path": tuple(row["heading_path"]), "units": units})


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
