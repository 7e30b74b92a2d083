"""`python -m eval COMMAND`: measures, prints, writes JSON. See `python -m eval --help`.

Exit codes: 0 done, 1 error or a gate that fails, 2 usage, 4 model or index missing, 130
interrupted. Knows nothing of how a figure is computed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from eval import commands
from eval.errors import EvalError
from eval.session import STDOUT, Opener, open_pipeline
from index.errors import IndexMissing, IndexStoreError
from ingest.errors import IngestError
from rag.errors import ModelError, RagError

Run = Callable[[argparse.Namespace, Opener], None]


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure study-rag.")
    added = parser.add_subparsers(title="commands", required=True)

    def add(name: str, run: object, help_: str, *groups: str) -> argparse.ArgumentParser:
        command = added.add_parser(name, help=help_)
        command.set_defaults(run=run)
        for group in groups:
            _GROUPS[group](command)
        return command

    docs = commands.CORPUS
    add("retrieval", commands.run_retrieval, "hit@k, recall@k, MRR, nDCG of each stage",
        "docs", "cases", "run", "json")  # fmt: skip
    answers = add("answers", commands.run_answers,
        "citations, faithfulness, abstention, time", "docs", "cases", "run", "json")  # fmt: skip
    answers.add_argument("--extractive", action="store_true", help="without the LLM")
    answers.add_argument(
        "--ragas", type=_count, default=0, help="answers that RAGAS scores with the local LLM [0]"
    )
    answers.add_argument(
        "--causal", type=_count, default=0, help="answers asked again without what they cite [0]"
    )
    answers.add_argument("--claims", type=Path, help="labelled claims, to measure the RAGAS judge")
    grounding = add("grounding", commands.run_grounding,
        "the support check on labelled claims, by trick", "cases", "run", "json")  # fmt: skip
    grounding.add_argument("--no-llm", action="store_true", help="only what needs no LLM")
    practice = add("practice", _late("practice_command", "run_practice"),
        "the grader of practice beside its baselines", "cases", "run", "json")  # fmt: skip
    practice.add_argument("--llm", action="store_true", help="it judges what is unsure")
    practice.add_argument("--fit", action="store_true", help="fit the grader on these cases")
    everything = add("all", commands.run_all,
        "retrieval, answers, grounding, practice; HTML report", "run")  # fmt: skip
    everything.add_argument("--docs", type=Path, default=docs, help=f"default: {docs}")
    everything.add_argument("--cases", type=Path, default=commands.CASES / "test.jsonl",
        help="default: the project's test split")  # fmt: skip
    everything.add_argument("--claims", type=Path, default=commands.CASES / "claims_test.jsonl")
    everything.add_argument("--probes", type=Path, default=commands.CASES / "practice_test.jsonl")
    everything.add_argument("--out", type=Path, default=Path("eval-report"), help="folder")
    everything.add_argument("--ragas", type=_count, default=20)
    everything.add_argument("--causal", type=_count, default=20)
    report = add("report", commands.run_report, "an HTML page from result files")
    report.add_argument("results", type=Path, nargs="+", help="JSON files of the commands above")
    report.add_argument("--out", type=Path, default=Path("report.html"))
    gate = add("gate", _late("gate_command", "run_gate"),
        "floors and no loss against the stored baseline", "run")  # fmt: skip
    gate.add_argument("--update", action="store_true", help="store what is measured as baseline")
    # A third of the cases: CI has minutes. The same ones every time, or nothing compares.
    gate.set_defaults(limit=90, docs=docs, cases=commands.CASES / "test.jsonl")
    check = add("cases", commands.run_cases, "lint the project's case files")
    check.add_argument("--docs", type=Path, default=docs, help=f"default: {docs}")
    check.add_argument("--folder", type=Path, default=commands.CASES)
    coverage = add("coverage", commands.run_coverage, "share of key facts in the first passages",
        "cases", "run", "json")  # fmt: skip
    coverage.add_argument("--docs", type=Path, default=docs, help=f"default: {docs}")
    corpus = add("corpus", commands.run_corpus, "lint the study corpus")
    corpus.add_argument("--docs", type=Path, default=docs, help=f"default: {docs}")
    corpus.add_argument("--seeds", type=Path, default=commands.SEEDS, help="texts not to copy from")
    bench = add("bench", commands.run_bench, "times, memory and quality beside their targets",
        "run", "json")  # fmt: skip
    bench.add_argument("--docs", type=Path, help=f"default: {commands.SEEDS}, or {docs}")
    bench.add_argument("--cases", type=Path, help="case file; default: the one of the seeds")
    bench.add_argument("--answers", type=_positive, default=10, help="LLM answers to time [10]")
    fit = add("query-map", commands.run_query_map, "fit the map of query vectors", "run")
    fit.add_argument("--docs", type=Path, default=docs, help=f"with a questions.jsonl [{docs}]")
    fit.add_argument("--out", type=Path, required=True, help="rag/query_maps/EMBEDDER.npz")
    decide = add("abstention", _late("abstention", "run_abstention"),
        "fit the probe that says whether a sentence answers", "run", "json")  # fmt: skip
    decide.add_argument("--docs", type=Path, default=docs, help=f"default: {docs}")
    decide.add_argument("--cases", type=Path, default=commands.CASES / "fit.jsonl")
    decide.add_argument("--out", type=Path, required=True, help="rag/probes/LLM.npz")
    compare = add("compare", commands.run_compare, "paired test of two results of `retrieval`",
        "seed", "json")  # fmt: skip
    compare.add_argument("a", type=Path, help="result file, the configuration to beat")
    compare.add_argument("b", type=Path, help="result file, the other configuration")
    return parser


def _late(module: str, name: str) -> Run:
    """Return a command whose module is imported when it runs: some import seconds of libraries."""

    def run(options: argparse.Namespace, opener: Opener) -> None:
        getattr(importlib.import_module(f"eval.{module}"), name)(options, opener)

    return run


def _docs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--docs", type=Path, required=True, help="folder or file to index")


def _cases(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cases", type=Path, required=True, help="case file (JSON lines)")


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=_positive, help="only so many cases, drawn")
    command.add_argument("--data-dir", type=Path, help="default: RAG_DATA_DIR, else .data")
    _seed(command)


def _seed(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=int, default=0, help="of draws and intervals [0]")


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", nargs="?", const=STDOUT, type=_target, metavar="OUT", help="to OUT, or to stdout"
    )


_GROUPS = {"docs": _docs, "cases": _cases, "run": _run, "seed": _seed, "json": _json}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _count(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def _target(text: str) -> str:
    """Refuse a place where minutes of work could not be written in the end."""
    if text != STDOUT and not Path(text).resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {Path(text).parent}")
    return text


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
