"""Runs every answerable case through the stages of retrieval and measures what came back.

Quality and latency come from the same calls. A retrieval that fails counts 0 and is listed, one
that had to skip a part is counted as degraded. Nothing here knows how a stage ranks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from eval.cases import Case
from eval.estimates import Estimate
from eval.qrels import Judgements, MissingQuote, judge
from eval.retrieval_metrics import DEPTH, per_question, summarise
from index.errors import IndexStoreError
from index.hits import Stage
from ingest.documents import Chunk, Document
from rag.answers import Retrieval
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.pipeline import DocumentInfo

STAGES: tuple[Stage, ...] = ("bm25", "dense", "late", "fused", "reranked")
_WARM_UP = "what is this about?"

Advance = Callable[[], object]


class Retriever(Protocol):
    """What `rag.pipeline.RagPipeline` offers to a measurement of retrieval."""

    def retrieve(self, question: str, *, k: int, stage: Stage) -> Retrieval:
        """Return the best `k` hits of a stage."""
        ...

    def documents(self) -> Sequence[DocumentInfo]:
        """Return a line for each document of the index."""
        ...

    def document(self, doc_id: str) -> Document | None:
        """Return one document."""
        ...

    def chunks(self) -> Sequence[Chunk]:
        """Return the chunks of the index."""
        ...


@dataclass(slots=True)
class StageRun:
    """What one stage returned: chunk ids per question, times, and what went wrong."""

    ranking: dict[str, list[str]] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    degraded: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """The figures of one run; `values` holds stage -> query id -> metric -> value."""

    stages: Mapping[str, Mapping[str, Estimate]]
    tags: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    latency_ms: Mapping[str, Mapping[str, float | None]]
    failures: Sequence[Mapping[str, str]]
    degraded: Mapping[str, Mapping[str, int]]
    missing_quotes: Sequence[MissingQuote]
    values: Mapping[str, Mapping[str, Mapping[str, float]]]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        plain = asdict(self)
        return {
            "stages": plain["stages"],
            "tags": plain["tags"],
            "latency_ms": plain["latency_ms"],
            "failed": len(self.failures),
            "failures": plain["failures"],
            "degraded": plain["degraded"],
            "missing_quotes": list(plain["missing_quotes"]),
            "per_question": plain["values"],
        }


def measure_retrieval(
    retriever: Retriever,
    cases: Sequence[Case],
    *,
    seed: int,
    stages: Sequence[Stage] = STAGES,
    advance: Advance = lambda: None,
) -> RetrievalReport:
    """Measure the stages on answerable `cases`; `advance` is called after every retrieval."""
    documents = [retriever.document(info.id) for info in retriever.documents()]
    judgements = judge(cases, [d for d in documents if d is not None], retriever.chunks())
    runs = {stage: run_stage(retriever, cases, stage, advance) for stage in stages}
    return _report(cases, judgements, runs, seed)


def run_stage(
    retriever: Retriever, cases: Sequence[Case], stage: Stage, advance: Advance
) -> StageRun:
    """Retrieve for every case, after one call that is not counted: models load lazily."""
    run = StageRun()
    with suppress(RagError, IndexStoreError):  # it shows, and is counted, in the calls below
        retriever.retrieve(_WARM_UP, k=DEPTH, stage=stage)
    for case in cases:
        started = time.perf_counter()
        try:
            retrieval = retriever.retrieve(case.question, k=DEPTH, stage=stage)
        except (RagError, IndexStoreError) as error:
            run.failures[case.query_id] = f"{type(error).__name__}: {error}"
        else:
            run.milliseconds.append((time.perf_counter() - started) * 1000)
            run.ranking[case.query_id] = [hit.chunk.id for hit in retrieval.hits]
            run.degraded.update(retrieval.degraded)
        advance()
    return run


def percentiles(milliseconds: Sequence[float]) -> dict[str, float | None]:
    """Return p50 and p95; None where nothing was measured."""
    if not milliseconds:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def _report(
    cases: Sequence[Case], judgements: Judgements, runs: Mapping[Stage, StageRun], seed: int
) -> RetrievalReport:
    values: dict[str, dict[str, dict[str, float]]] = {
        stage: per_question(judgements.groups, run.ranking) for stage, run in runs.items()
    }
    by_tag: dict[str, list[str]] = {}
    for case in cases:
        for tag in case.tags:
            by_tag.setdefault(tag, []).append(case.query_id)
    return RetrievalReport(
        stages={stage: summarise(rows, rows, seed) for stage, rows in values.items()},
        tags={
            tag: {stage: summarise(rows, ids, seed) for stage, rows in values.items()}
            for tag, ids in sorted(by_tag.items())
        },
        latency_ms={stage: percentiles(run.milliseconds) for stage, run in runs.items()},
        failures=[
            {"query_id": query_id, "stage": stage, "error": error}
            for stage, run in runs.items()
            for query_id, error in run.failures.items()
        ],
        degraded={stage: dict(run.degraded) for stage, run in runs.items() if run.degraded},
        missing_quotes=judgements.missing,
        values=values,
    )
