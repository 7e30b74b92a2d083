"""`python -m eval retrieval | coverage | compare | bench | corpus`: measures, prints, writes JSON.

The only module of this package that builds Settings. Exit codes: 0 done, 1 error, 2 usage, 4
model or index missing, 130 interrupted. Knows nothing of how a figure is computed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.progress import Progress

from eval.cases import Case, load_cases
from eval.errors import CaseFileError, CorpusError, EvalError
from eval.retrieval import STAGES, Advance, measure_retrieval
from eval.retrieval_metrics import DEPTH
from index.errors import IndexMissing, IndexStoreError
from ingest.errors import IngestError
from rag.errors import ModelError, RagError

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline
    from rag.settings import Settings

STDOUT = "-"
SEEDS = Path("../shared/seeds")
SEED_CASES = Path("../shared/eval/seed_questions.jsonl")
CORPUS = Path("corpus")


@dataclass(frozen=True, slots=True)
class Opened:
    """A pipeline and the manifest of its index."""

    pipeline: RagPipeline
    manifest: Mapping[str, Any]


Opener = Callable[["Settings", Path | None, bool], Opened]


def open_pipeline(settings: Settings, docs: Path | None, llm: bool) -> Opened:
    """Bring the index in line with `docs` (None: leave it as it is) and load everything."""
    from index.storage import GenerationStore, read_manifest
    from rag.indexing import update_index
    from rag.pipeline import build_pipeline

    if docs is not None:
        with _bar() as bar:
            task = bar.add_task("indexing", total=None)

            def advance(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            report = update_index(settings, [docs], advance)
        for skipped in report["skipped"]:
            print(f"skipped: {skipped}", file=sys.stderr)
    folder = GenerationStore(settings.data_dir / "index").candidates()[0]
    return Opened(build_pipeline(settings, llm=llm), read_manifest(folder))


def main(arguments: Sequence[str] | None = None, opener: Opener = open_pipeline) -> int:
    """Run one command and return its exit code; a test passes its own `opener`."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options, opener)
    except (ModelError, IndexMissing) as error:
        return _fail(str(error), 4)
    except (EvalError, RagError, IndexStoreError, IngestError, OSError) as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


def run_retrieval(options: argparse.Namespace, opener: Opener) -> None:
    """Measure every stage of retrieval on a case file."""
    from eval.tables import retrieval_notes, retrieval_tables

    started = time.perf_counter()
    cases = choose(load_cases(options.cases), options.limit, options.seed)
    settings = _settings(options)
    own = settings.model_copy(update={"data_dir": settings.data_dir / "eval" / _hash(options.docs)})
    opened = opener(own, options.docs, False)
    with _progress("retrieving", len(STAGES) * len(cases)) as advance:
        report = measure_retrieval(opened.pipeline, cases, seed=options.seed, advance=advance)
    result = {
        **report.to_dict(),
        "hnsw_recall": opened.manifest["hnsw_recall@10"],
        "config": _config(options, own, opened, len(cases)),
        "seconds": round(time.perf_counter() - started, 2),
    }
    _print(result, options.json, [*retrieval_tables(result), *retrieval_notes(result)])


def run_coverage(options: argparse.Namespace, opener: Opener) -> None:
    """Look for the key facts of a case file in the passages retrieved."""
    from eval.coverage import coverage_lines, measure_coverage
    from rag.loading import load_embedders

    cases = choose(load_cases(options.cases), options.limit, options.seed)
    settings = _settings(options)
    own = settings.model_copy(update={"data_dir": settings.data_dir / "eval" / _hash(options.docs)})
    opened = opener(own, options.docs, False)
    late = load_embedders(own)[1]
    with _progress("looking for key facts", len(cases)) as advance:
        result = measure_coverage(opened.pipeline, late, cases, seed=options.seed, advance=advance)
    config = _config(options, own, opened, len(cases))
    _print({**result, "config": config}, options.json, coverage_lines(result))


def run_corpus(options: argparse.Namespace, _: Opener) -> None:
    """Lint the study corpus, also against the texts it was written from where they are."""
    from eval.corpus_check import check_corpus

    sources = options.seeds if options.seeds.is_dir() else None
    if sources is None:
        print(f"skipped: text shared with {options.seeds}, which is not here", file=sys.stderr)
    findings = check_corpus(options.docs, sources)
    for finding in findings:
        print(finding)
    if findings:
        raise CorpusError(f"{len(findings)} findings; fix them as corpus/README.md says.")
    print(f"{options.docs}: no findings", file=sys.stderr)


def run_compare(options: argparse.Namespace, _: Opener) -> None:
    """Compare two result files, paired by question."""
    from eval.compare import compare, load_values
    from eval.tables import comparison_table

    comparison = compare(load_values(options.a), load_values(options.b), options.seed)
    result = {"a": str(options.a), "b": str(options.b), "stages": comparison}
    _print(result, options.json, [comparison_table(comparison)])


def run_bench(options: argparse.Namespace, opener: Opener) -> None:
    """Time everything from an empty data folder and hold it against the targets."""
    from eval.bench import (
        BENCH_STAGES,
        beside_targets,
        heading_questions,
        measure_answers,
        measured_search,
        peak_memory_gb,
        time_commands,
    )
    from eval.tables import bench_table

    started = time.perf_counter()
    load = os.getloadavg()[0]
    if options.docs is None:
        options.docs = SEEDS if SEEDS.is_dir() else CORPUS
        options.cases = options.cases or (SEED_CASES if SEED_CASES.is_file() else None)
    cases = choose(load_cases(options.cases), options.limit, options.seed) if options.cases else []
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
        print("timing `rag ingest` and `rag --help`", file=sys.stderr)
        measured = time_commands(options.docs, Path(folder))
        settings = _settings(options).model_copy(update={"data_dir": Path(folder)})
        opened = opener(settings, None, True)
        pipeline = opened.pipeline
        questions = [case.question for case in cases] or heading_questions(pipeline.chunks())
        random.Random(options.seed).shuffle(questions)  # the LLM answers only the first of them
        with _progress("searching", len(BENCH_STAGES) * len(cases)) as advance:
            report = measure_retrieval(
                pipeline, cases, seed=options.seed, stages=BENCH_STAGES, advance=advance
            )
        with _progress("answering", len(questions) + options.answers) as advance:
            log = measure_answers(pipeline, questions, options.answers, advance)
        measured |= measured_search(report) | log.measured()
        measured["peak memory"] = (peak_memory_gb(), 1)
        config = _config(options, settings, opened, len(questions))
        pipeline.close()
    result = {
        "measurements": beside_targets(measured),
        "outcomes": dict(log.outcomes),
        "invalid_citations": log.invalid,
        "retrieval": report.to_dict(),
        "config": {**config, "cpus": os.cpu_count(), "load_average": load},
        "seconds": round(time.perf_counter() - started, 2),
    }
    busy = f"load average before the start: {load:.1f} on {os.cpu_count()} CPUs"
    outcomes = (f"{outcome}: {count}" for outcome, count in log.outcomes.items() if count)
    _print(result, options.json, [bench_table(result), busy, *outcomes, *log.invalid])


def choose(cases: Sequence[Case], limit: int | None, seed: int) -> list[Case]:
    """Return the answerable cases, or `limit` of them drawn with `seed`, in the file's order."""
    answerable = [case for case in cases if case.answerable]
    if not answerable:
        raise CaseFileError("the case file holds no answerable question: nothing to retrieve.")
    if limit is None or limit >= len(answerable):
        return answerable
    drawn = random.Random(seed).sample(range(len(answerable)), limit)
    return [answerable[number] for number in sorted(drawn)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure study-rag.")
    commands = parser.add_subparsers(title="commands", required=True)
    retrieval = commands.add_parser("retrieval", help="hit@k, recall@k, MRR, nDCG of each stage")
    retrieval.set_defaults(run=run_retrieval)
    retrieval.add_argument("--docs", type=Path, required=True, help="folder or file to index")
    retrieval.add_argument("--cases", type=Path, required=True, help="case file (JSON lines)")
    coverage = commands.add_parser("coverage", help="share of key facts in the first passages")
    coverage.set_defaults(run=run_coverage)
    coverage.add_argument("--docs", type=Path, default=CORPUS, help=f"default: {CORPUS}")
    coverage.add_argument("--cases", type=Path, required=True, help="case file (JSON lines)")
    corpus = commands.add_parser("corpus", help="lint the study corpus")
    corpus.set_defaults(run=run_corpus)
    corpus.add_argument("--docs", type=Path, default=CORPUS, help=f"default: {CORPUS}")
    corpus.add_argument("--seeds", type=Path, default=SEEDS, help="texts not to copy from")
    bench = commands.add_parser("bench", help="times, memory and quality beside their targets")
    bench.set_defaults(run=run_bench)
    bench.add_argument("--docs", type=Path, help=f"default: {SEEDS} where it is, else {CORPUS}")
    bench.add_argument("--cases", type=Path, help="case file; default: the one of the seeds")
    bench.add_argument("--answers", type=_positive, default=10, help="LLM answers to time [10]")
    compare = commands.add_parser("compare", help="paired test of two results of `retrieval`")
    compare.set_defaults(run=run_compare)
    compare.add_argument("a", type=Path, help="result file, the configuration to beat")
    compare.add_argument("b", type=Path, help="result file, the other configuration")
    for command in (retrieval, coverage, bench):
        command.add_argument("--limit", type=_positive, help="only so many questions, drawn")
        command.add_argument("--data-dir", type=Path, help="default: RAG_DATA_DIR, else .data")
    for command in (retrieval, coverage, bench, compare):
        command.add_argument("--seed", type=int, default=0, help="of draws and intervals [0]")
        command.add_argument(
            "--json",
            nargs="?",
            const=STDOUT,
            type=_target,
            metavar="OUT",
            help="to OUT, or to stdout",
        )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _target(text: str) -> str:
    """Refuse a place where minutes of work could not be written in the end."""
    if text != STDOUT and not Path(text).resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {Path(text).parent}")
    return text


def _settings(options: argparse.Namespace) -> Settings:
    from rag.settings import load_settings

    return load_settings(**({"data_dir": options.data_dir} if options.data_dir else {}))


def _config(
    options: argparse.Namespace, settings: Settings, opened: Opened, questions: int
) -> dict[str, Any]:
    """Return what the figures depend on."""
    cases = options.cases
    return {
        "docs": str(options.docs),
        "cases": str(cases) if cases else None,
        "cases_sha256": hashlib.sha256(cases.read_bytes()).hexdigest() if cases else None,
        "questions": questions,
        "limit": options.limit,
        "seed": options.seed,
        "depth": DEPTH,
        "documents": len(opened.pipeline.documents()),
        "chunks": len(opened.pipeline.chunks()),
        "corpus_hash": opened.manifest["corpus_hash"],
        "settings": settings.model_dump(mode="json", exclude={"llm_api_key", "ingest_token"}),
    }


def _hash(docs: Path) -> str:
    return hashlib.sha256(str(docs.resolve()).encode()).hexdigest()[:16]


@contextmanager
def _progress(what: str, total: int) -> Iterator[Advance]:
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _bar() -> Progress:
    return Progress(console=Console(stderr=True), transient=True)


def _print(result: Mapping[str, Any], target: str | None, parts: Iterable[RenderableType]) -> None:
    """Show `parts` on stdout, or on stderr where the JSON goes to stdout."""
    console = Console(stderr=target == STDOUT, highlight=False)
    for part in parts:
        console.print(part)
    if target == STDOUT:
        print(json.dumps(result, indent=2))
    elif target is not None:
        Path(target).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
