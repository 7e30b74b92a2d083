"""Asks every case and measures what came back: citations, grounding, key facts, abstention, time.

What counts as supported is decided by a judge that is handed in, a function of (claim, source);
how good that judge is, `eval.grounding` measures. Nothing here knows how an answer is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from eval.bench import invalid_citations
from eval.cache import Cache
from eval.cases import Case
from eval.estimates import Estimate, mean, rate, statistic
from eval.retrieval import Advance, percentiles
from index.errors import IndexStoreError
from index.hits import Filters
from ingest.documents import Document
from rag.answers import Answer, Mode
from rag.errors import RagError

Judge = Callable[[str, str], float]  # (claim, source) -> P(the source states the claim)
SUPPORTED = 0.5
CONTEXTS = 5  # hits that faithfulness is judged against, besides the cited ones


class Answerer(Protocol):
    """What `rag.pipeline.RagPipeline` offers to a measurement of answers."""

    def answer(self, question: str, *, mode: Mode, filters: Filters) -> Answer:
        """Return the whole answer."""
        ...

    def document(self, doc_id: str) -> Document | None:
        """Return one document."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One question and what became of it; `sources` maps chunk ids of the hits to their text."""

    query_id: str
    status: str
    sentences: Sequence[Mapping[str, Any]] = ()
    citations: Sequence[Mapping[str, Any]] = ()
    rejected: Sequence[Mapping[str, str]] = ()
    invalid: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    answerability: float = 0.0
    first_sentence_ms: float | None = None
    total_ms: float = 0.0
    degraded: Sequence[str] = ()
    error: str = ""

    @property
    def answered(self) -> bool:
        """Whether the reader was shown a sentence."""
        return bool(self.sentences)

    @property
    def text(self) -> str:
        """The sentences without markers."""
        return " ".join(str(sentence["text"]) for sentence in self.sentences)

    def cited(self, sentence: Mapping[str, Any]) -> list[str]:
        """Return the chunk ids that a sentence cites."""
        chunks = {citation["id"]: citation["chunk_id"] for citation in self.citations}
        return list(dict.fromkeys(chunks[name] for name in sentence["citations"]))

    def contexts(self) -> list[str]:
        """Return the passages that the answer cites, then the best others."""
        cited = [chunk for sentence in self.sentences for chunk in self.cited(sentence)]
        return [self.sources[chunk] for chunk in dict.fromkeys([*cited, *self.sources])][:CONTEXTS]


def ask(
    pipeline: Answerer,
    cases: Sequence[Case],
    cache: Cache,
    version: object,
    *,
    mode: Mode = "llm",
    advance: Advance = lambda: None,
) -> list[Record]:
    """Ask every case, or take its record from `cache`; `version` is what answers depend on."""
    records = []
    for case in cases:

        def compute(case: Case = case) -> dict[str, Any]:
            return asdict(_ask(pipeline, case.question, case.query_id, mode, Filters()))

        row = cache.get(["answer", version, mode, case.question], compute)
        records.append(Record(**{**row, "query_id": case.query_id}))
        advance()
    return records


def _ask(pipeline: Answerer, question: str, query_id: str, mode: Mode, filters: Filters) -> Record:
    try:
        answer = pipeline.answer(question, mode=mode, filters=filters)
    except (RagError, IndexStoreError) as error:
        return Record(query_id, "failed", error=f"{type(error).__name__}: {error}")
    return Record(
        query_id,
        answer.status,
        [asdict(sentence) for sentence in answer.sentences],
        [asdict(citation) for citation in answer.citations],
        [asdict(rejected) for rejected in answer.rejected],
        invalid_citations(answer, pipeline.document),
        {hit.chunk.id: hit.chunk.search_text for hit in answer.hits},
        answer.answerability,
        answer.timings_ms.get("first_sentence"),
        answer.timings_ms.get("total", 0.0),
        list(answer.degraded),
    )


def measure_answers(
    cases: Sequence[Case],
    records: Sequence[Record],
    judge: Judge,
    *,
    seed: int,
    advance: Advance = lambda: None,
) -> dict[str, Any]:
    """Return every figure of EVAL with its interval, and a row for every question."""
    rows = []
    for case, record in zip(cases, records, strict=True):
        rows.append(_row(case, record, judge))
        advance()
    answerable = [row for row in rows if row["answerable"]]
    unanswerable = [row for row in rows if not row["answerable"]]
    shown = [row for row in rows if row["answered"]]
    right = [row for row in answerable if row["answered"]]
    times = [row for row in right if row["first_sentence_ms"] is not None]
    figures: dict[str, Estimate] = {
        "citation validity": rate([v for row in rows for v in row["valid"]]),
        "citation validity before the checks": rate([v for row in rows for v in row["known"]]),
        "citation recall": _pooled(shown, "recall", seed),
        "citation precision": _pooled(shown, "precision", seed),
        "faithfulness": _pooled(shown, "faithful", seed),
        "hallucination rate": rate([float(not all(row["faithful"])) for row in shown]),
        "coverage": rate([float(row["answered"]) for row in answerable]),
        "key-fact recall, of answered": mean([row["key_facts"] for row in right], seed),
        "key-fact recall, of all answerable": mean([row["key_facts"] for row in answerable], seed),
        "answered though unanswerable": rate([float(row["answered"]) for row in unanswerable]),
        "refused though answerable": rate([float(not row["answered"]) for row in answerable]),
        "abstention AUROC": auroc(
            [row["answerable"] for row in rows], [row["answerability"] for row in rows], seed
        ),
    }
    return {
        "figures": {name: asdict(estimate) for name, estimate in figures.items()},
        "unanswerable_by_tag": _by_tag(cases, rows, answerable=False),
        "answerable_by_tag": _by_tag(cases, rows, answerable=True),
        "latency_ms": {
            "first sentence": percentiles([row["first_sentence_ms"] for row in times]),
            "whole answer": percentiles([row["total_ms"] for row in right]),
            "abstention": percentiles([r["total_ms"] for r in rows if not r["answered"]]),
        },
        "risk_coverage": risk_coverage(rows),
        "rejected": dict(Counter(_kind(r["reason"]) for x in records for r in x.rejected)),
        "degraded": dict(Counter(reason for record in records for reason in record.degraded)),
        "failures": [
            {"query_id": r.query_id, "error": r.error} for r in records if r.status == "failed"
        ],
        "per_question": rows,
    }


def _row(case: Case, record: Record, judge: Judge) -> dict[str, Any]:
    """Judge one answer. Shares are lists of 0 and 1, one for each sentence or citation."""
    contexts = record.contexts()
    recall, precision, faithful = [], [], []
    for sentence in record.sentences:
        cited = [record.sources[chunk] for chunk in record.cited(sentence)]
        alone = [judge(sentence["text"], source) >= SUPPORTED for source in cited]
        together = any(alone) or (len(cited) > 1 and _holds(judge, sentence["text"], cited))
        recall.append(float(together))
        for number, holds in enumerate(alone):
            rest = cited[:number] + cited[number + 1 :]
            needed = together and not (rest and _holds(judge, sentence["text"], rest))
            precision.append(float(together and (holds or needed)))
        others = [text for text in contexts if text not in cited]
        faithful.append(
            float(together or any(judge(sentence["text"], s) >= SUPPORTED for s in others))
        )
    told = case.key_facts if record.answered else ()
    facts = [float(judge(fact, record.text) >= SUPPORTED) for fact in told]
    labels = len(record.sentences) + len(record.rejected)
    unknown = sum(r["reason"].startswith("unknown label") for r in record.rejected)
    return {
        "query_id": case.query_id,
        "answerable": case.answerable,
        "answered": record.answered,
        "status": record.status,
        "answerability": record.answerability,
        "recall": recall,
        "precision": precision,
        "faithful": faithful,
        "key_facts": float(np.mean(facts)) if facts else 0.0,
        "valid": [1.0] * (len(record.citations) - len(record.invalid))
        + [0.0] * len(record.invalid),
        "known": [1.0] * (labels - unknown) + [0.0] * unknown,
        "first_sentence_ms": record.first_sentence_ms,
        "total_ms": record.total_ms,
    }


def _holds(judge: Judge, claim: str, sources: Sequence[str]) -> bool:
    return judge(claim, "\n".join(sources)) >= SUPPORTED


def _pooled(rows: Sequence[Mapping[str, Any]], name: str, seed: int) -> Estimate:
    """Return the share of ones over all sentences, its interval by resampling whole questions."""
    groups = [row[name] for row in rows if row[name]]
    return statistic(groups, lambda sample: sum(map(sum, sample)) / sum(map(len, sample)), seed)


def auroc(labels: Sequence[bool], scores: Sequence[float], seed: int) -> Estimate:
    """Return the area under the ROC curve; None where only one label occurs."""
    pairs = list(zip(labels, scores, strict=True))

    def area(sample: Sequence[tuple[bool, float]]) -> float:
        truth = [label for label, _ in sample]
        return float(roc_auc_score(truth, [s for _, s in sample])) if len(set(truth)) == 2 else 0.5

    if len(set(labels)) < 2:
        return Estimate(None, None, None, len(labels))
    return statistic(pairs, area, seed)


def risk_coverage(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return the share answered and the share of those that is wrong, from sure to unsure.

    Wrong is an answer to an unanswerable question, or one that states none of the key facts.
    """
    shown = sorted((r for r in rows if r["answered"]), key=lambda row: -row["answerability"])
    curve, wrong = [], 0
    for number, row in enumerate(shown, start=1):
        wrong += not row["answerable"] or row["key_facts"] == 0
        curve.append({"coverage": number / len(rows), "risk": wrong / number})
    return curve


def _by_tag(
    cases: Sequence[Case], rows: Sequence[Mapping[str, Any]], *, answerable: bool
) -> dict[str, Any]:
    """Return, by tag, the share answered; for answerable questions the key-fact recall, too."""
    tags: dict[str, list[Mapping[str, Any]]] = {}
    for case, row in zip(cases, rows, strict=True):
        if case.answerable == answerable:
            for tag in case.tags:
                tags.setdefault(tag, []).append(row)
    return {
        tag: {
            "answered": asdict(rate([float(row["answered"]) for row in found])),
            "key_facts": float(np.mean([row["key_facts"] for row in found])),
        }
        for tag, found in sorted(tags.items())
    }


def _kind(reason: str) -> str:
    """Return a reason without what is special to one sentence."""
    return reason.split(":")[0].split("[")[0].strip()


def causal_test(
    pipeline: Answerer,
    cases: Sequence[Case],
    records: Sequence[Record],
    cache: Cache,
    version: object,
    judge: Judge,
    advance: Advance = lambda: None,
) -> dict[str, Any]:
    """Ask again without the cited passages: the answer must change or abstain (Wallat 2025).

    An answer that another passage supports as well may stay, and is counted apart.
    """
    outcomes: Counter[str] = Counter()
    for case, record in zip(cases, records, strict=True):
        cited = sorted({c for s in record.sentences for c in record.cited(s)})

        def compute(case: Case = case, cited: Sequence[str] = cited) -> dict[str, Any]:
            filters = Filters(without=cited)
            return asdict(_ask(pipeline, case.question, case.query_id, "llm", filters))

        again = Record(**cache.get(["causal", version, case.question, cited], compute))
        outcomes[_changed(record, again, judge)] += 1
        advance()
    return {"n": sum(outcomes.values()), **outcomes}


def _changed(before: Record, after: Record, judge: Judge) -> str:
    if not after.answered:
        return "abstains"
    if after.text != before.text:
        return "changes"
    sources = "\n".join(after.contexts())
    held = all(judge(s["text"], sources) >= SUPPORTED for s in after.sentences)
    return "same, elsewhere in the corpus" if held else "same, unsupported"
