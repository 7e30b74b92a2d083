"""The benchmark behind `make bench`: times, memory, retrieval quality, citation validity.

Commands are timed as a user starts them, in a process of their own with its imports; questions in
this process with everything loaded, as the service answers them. The targets are those for two
CPU cores and the default models. Nothing here knows how an answer is made.
"""

from __future__ import annotations

import operator
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval.errors import BenchError
from eval.retrieval import Advance, RetrievalReport, Retriever, percentiles
from index.hits import Stage
from ingest.documents import Chunk, Document
from rag.answers import Answer, Done, Event, Mode, SentenceReady

BENCH_STAGES: tuple[Stage, ...] = ("late", "reranked")
HELP_RUNS = 3

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach; without a relation it is only shown."""

    unit: str
    relation: str = ""
    value: float | None = None


TARGETS = {
    "ingest from nothing": Target("s", "<=", 90),
    "ingest without changes": Target("s", "<=", 3),
    "rag --help, median": Target("s", "<", 0.6),
    "hit@5": Target("", ">=", 0.76),
    "MRR@10": Target("", ">=", 0.65),
    "search without cross-encoder, p50": Target("ms"),
    "search without cross-encoder, p95": Target("ms", "<=", 50),
    "search with cross-encoder, p50": Target("ms"),
    "search with cross-encoder, p95": Target("ms", "<=", 700),
    "extractive answer, p50": Target("ms"),
    "extractive answer, p95": Target("ms", "<=", 900),
    "LLM, first sentence, p50": Target("s", "<=", 8),
    "LLM, whole answer, p50": Target("s", "<=", 15),
    "valid citations": Target("", ">=", 1.0),
    "peak memory": Target("GB", "<=", 3),
}

Measured = dict[str, tuple[float | None, int]]  # name of a target -> (value, n)


class Answerer(Retriever, Protocol):
    """What `rag.pipeline.RagPipeline` offers to a measurement of answers."""

    def answer(self, question: str, *, mode: Mode) -> Answer:
        """Return the whole answer."""
        ...

    def stream(self, question: str) -> Iterator[Event]:
        """Yield the events of an answer by the LLM."""
        ...


@dataclass(slots=True)
class AnswerLog:
    """What was seen while answering; times are of answers, not of abstentions before them."""

    first_sentence_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    extractive_ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    citations: int = 0
    invalid: list[str] = field(default_factory=list)

    def measured(self) -> Measured:
        """Return the figures, None where no question was answered."""
        extractive = percentiles(self.extractive_ms)
        valid = 1 - len(self.invalid) / self.citations if self.citations else None
        return {
            "extractive answer, p50": (extractive["p50"], len(self.extractive_ms)),
            "extractive answer, p95": (extractive["p95"], len(self.extractive_ms)),
            "LLM, first sentence, p50": (
                percentiles(self.first_sentence_s)["p50"],
                len(self.first_sentence_s),
            ),
            "LLM, whole answer, p50": (percentiles(self.whole_s)["p50"], len(self.whole_s)),
            "valid citations": (valid, self.citations),
        }


def time_commands(docs: Path, data_dir: Path) -> Measured:
    """Time `rag ingest` from nothing and again, and `rag --help`; `data_dir` must be empty."""
    ingest = ("ingest", str(docs), "--data-dir", str(data_dir), "--json")
    first, again = _seconds(ingest), _seconds(ingest)
    helps = [_seconds(("--help",)) for _ in range(HELP_RUNS)]
    return {
        "ingest from nothing": (first, 1),
        "ingest without changes": (again, 1),
        "rag --help, median": (float(np.median(helps)), HELP_RUNS),
    }


def measured_search(report: RetrievalReport) -> Measured:
    """Return latency of BENCH_STAGES and quality of the last from a report over them."""
    n = len(report.values[BENCH_STAGES[0]])
    late, reranked = (report.latency_ms[stage] for stage in BENCH_STAGES)
    quality = report.stages[BENCH_STAGES[-1]]
    return {
        "hit@5": (quality["hit@5"].value, quality["hit@5"].n),
        "MRR@10": (quality["mrr@10"].value, quality["mrr@10"].n),
        "search without cross-encoder, p50": (late["p50"], n),
        "search without cross-encoder, p95": (late["p95"], n),
        "search with cross-encoder, p50": (reranked["p50"], n),
        "search with cross-encoder, p95": (reranked["p95"], n),
    }


def measure_answers(
    pipeline: Answerer,
    questions: Sequence[str],
    with_llm: int,
    advance: Advance = lambda: None,
) -> AnswerLog:
    """Answer every question extractively, then by the LLM until it wrote `with_llm` answers."""
    log = AnswerLog()
    pipeline.answer(questions[0], mode="extractive")  # not counted: models load lazily
    for question in questions:
        started = time.perf_counter()
        answer = pipeline.answer(question, mode="extractive")
        if answer.status != "abstained":
            log.extractive_ms.append((time.perf_counter() - started) * 1000)
        _note(log, pipeline, answer, "extractive")
        advance()
    for question in questions:
        if len(log.whole_s) == with_llm:
            break
        written = len(log.whole_s)
        _stream(log, pipeline, question)
        if len(log.whole_s) > written:
            advance()
    return log


def invalid_citations(answer: Answer, document_of: Callable[[str], Document | None]) -> list[str]:
    """Name each citation whose quote is not at its offsets or whose chunk was not in the prompt."""
    prompt = {hit.chunk.id for hit in answer.hits}
    mistakes = []
    for citation in answer.citations:
        document = document_of(citation.doc_id)
        if document is None or document.text[citation.start : citation.end] != citation.quote:
            mistakes.append(f"{answer.question!r} {citation.id}: not the text at its offsets")
        elif citation.chunk_id not in prompt:
            mistakes.append(f"{answer.question!r} {citation.id}: its chunk was not in the prompt")
    return mistakes


def heading_questions(chunks: Iterable[Chunk], n: int = 5) -> list[str]:
    """Return `n` questions after headings evenly spread over the corpus, for want of cases."""
    headings = list(dict.fromkeys(chunk.heading_path[-1] for chunk in chunks if chunk.heading_path))
    if not headings:
        raise BenchError("the documents have no headings to ask about: name questions with --cases")
    spread = headings[:: max(1, len(headings) // n)][:n]
    return [f"What should I know about {heading}?" for heading in spread]


def peak_memory_gb() -> float:
    """Return the most memory that this process has had, in GB of 10^9 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    rollup = Path("/proc/self/smaps_rollup")
    if rollup.is_file():
        # llama.cpp's two servers map the same file: its pages are counted twice, but there once.
        sizes = re.findall(r"^(\w+): +(\d+) kB", rollup.read_text(encoding="utf-8"), re.MULTILINE)
        now = {name: int(kb) * 1024 for name, kb in sizes}
        peak -= now["Rss"] - now["Pss"]
    return peak / 1e9


def beside_targets(measured: Mapping[str, tuple[float | None, int]]) -> dict[str, dict[str, Any]]:
    """Return value, unit, relation, target, met and n for each target that was measured."""
    rows: dict[str, dict[str, Any]] = {}
    for name, target in TARGETS.items():
        if name not in measured:
            continue
        value, n = measured[name]
        met = None
        if value is not None and target.value is not None:
            met = _HOLDS[target.relation](value, target.value)
        rows[name] = {
            "value": value,
            "unit": target.unit,
            "relation": target.relation,
            "target": target.value,
            "met": met,
            "n": n,
        }
    return rows


def _stream(log: AnswerLog, pipeline: Answerer, question: str) -> None:
    """Answer by the LLM; where it was not asked, no time is taken."""
    started = time.perf_counter()
    first: float | None = None
    for event in pipeline.stream(question):
        if isinstance(event, SentenceReady) and first is None:
            first = time.perf_counter() - started
        if isinstance(event, Done):
            _note(log, pipeline, event.answer, "llm")
            if "llm" in event.answer.timings_ms:
                log.whole_s.append(time.perf_counter() - started)
                log.first_sentence_s.extend([first] if first is not None else [])
                log.outcomes["llm: no sentence kept"] += first is None


def _note(log: AnswerLog, pipeline: Answerer, answer: Answer, mode: Mode) -> None:
    log.outcomes[f"{mode}: {answer.status}"] += 1
    log.outcomes.update(f"{mode}: degraded by {reason}" for reason in answer.degraded)
    log.citations += len(answer.citations)
    log.invalid.extend(invalid_citations(answer, pipeline.document))


def _seconds(arguments: Sequence[str]) -> float:
    """Run the `rag` of this environment and return how long it took."""
    command = shutil.which("rag", path=str(Path(sys.executable).parent)) or shutil.which("rag")
    if command is None:
        raise BenchError("there is no `rag` command: install the project with `make setup`")
    started = time.perf_counter()
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchError(f"`rag {' '.join(arguments)}` ended with {done.returncode}: {last[0]}")
    return seconds
