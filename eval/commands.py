"""The commands of `python -m eval`: each measures one thing, prints it and writes JSON.

Knows nothing of how a figure is computed or how options are spelled.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from eval.cases import load_cases
from eval.errors import CaseFileError, CorpusError, ResultFileError
from eval.retrieval import STAGES, measure_retrieval
from eval.session import (
    Opener,
    answerable_cases,
    config,
    draw,
    own_settings,
    progress,
    settings_of,
    sha256,
    show,
    unzip,
)
from rag.answers import Mode

if TYPE_CHECKING:
    pass

SEEDS = Path("../shared/seeds")
SEED_CASES = Path("../shared/eval/seed_questions.jsonl")
CORPUS = Path("corpus")
CASES = Path("eval/cases")


def run_retrieval(options: argparse.Namespace, opener: Opener) -> None:
    """Measure every stage of retrieval on a case file."""
    from eval.tables import retrieval_notes, retrieval_tables

    result = _retrieval(options, opener)
    show(result, options.json, [*retrieval_tables(result), *retrieval_notes(result)])


def _retrieval(options: argparse.Namespace, opener: Opener) -> dict[str, Any]:
    started = time.perf_counter()
    cases = answerable_cases(options)
    own = own_settings(options)
    opened = opener(own, options.docs, False)
    with progress("retrieving", len(STAGES) * len(cases)) as advance:
        report = measure_retrieval(opened.pipeline, cases, seed=options.seed, advance=advance)
    return {
        **report.to_dict(),
        "hnsw_recall": opened.manifest["hnsw_recall@10"],
        "config": config(options, own, opened, len(cases)),
        "seconds": round(time.perf_counter() - started, 2),
    }


def run_coverage(options: argparse.Namespace, opener: Opener) -> None:
    """Look for the key facts of a case file in the passages retrieved."""
    from eval.coverage import coverage_lines, measure_coverage

    cases = answerable_cases(options)
    own = own_settings(options)
    opened = opener(own, options.docs, False)
    with progress("looking for key facts", len(cases)) as advance:
        result = measure_coverage(
            opened.pipeline, opened.token_embedder, cases, seed=options.seed, advance=advance
        )
    used = config(options, own, opened, len(cases))
    show({**result, "config": used}, options.json, coverage_lines(result))


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


def run_cases(options: argparse.Namespace, _: Opener) -> None:
    """Lint the case files and print what is in them."""
    from eval.cases_check import case_lines, check_cases

    findings, figures = check_cases(options.docs, options.folder)
    for line in case_lines(figures):
        print(line)
    for finding in findings:
        print(finding)
    if findings:
        raise CaseFileError(f"{len(findings)} findings in {options.folder}.")


def run_answers(options: argparse.Namespace, opener: Opener) -> None:
    """Ask every case and measure the answers."""
    from eval.tables import answer_tables

    result = _answers(options, opener)
    show(result, options.json, answer_tables(result))


def _answers(options: argparse.Namespace, opener: Opener) -> dict[str, Any]:
    from eval.answers import ask, causal_test, measure_answers
    from eval.cache import Cache, code_version
    from eval.claims import load_claims
    from eval.faithfulness import claim_jobs, endpoint_of, ragas_scores, samples, summarise
    from eval.judges import SUPPORT_CHECK, make_judges

    started = time.perf_counter()
    cases = draw(load_cases(options.cases), options.limit, options.seed)
    # RAGAS prompts carry worked examples and whole passages.
    wider = {"llm_context_tokens": 4096} if options.ragas else {}
    own = own_settings(options, **wider)
    mode: Mode = "extractive" if options.extractive else "llm"
    opened = opener(own, options.docs, not options.extractive)
    pipeline = opened.pipeline
    used = config(options, own, opened, len(cases))
    answer_settings = {k: v for k, v in used["settings"].items() if k != "llm_context_tokens"}
    version = [code_version(), used["corpus_hash"], answer_settings]
    cache = Cache(own.data_dir / "cache.jsonl")
    judge = make_judges(
        opened.token_embedder, pipeline.llm, cache, code_version(), pipeline.entailment
    )[SUPPORT_CHECK]
    with progress("answering", len(cases)) as advance:
        records = ask(pipeline, cases, cache, version, mode=mode, advance=advance)
    with progress("judging", len(cases)) as advance:
        result = measure_answers(cases, records, judge, seed=options.seed, advance=advance)
    result["records"] = {record.query_id: asdict(record) for record in records}
    shown = [pair for pair in zip(cases, records, strict=True) if pair[1].answered]
    if options.causal and mode == "llm":
        sample = draw(shown, options.causal, options.seed)
        with progress("asking again", len(sample)) as advance:
            result["causal"] = causal_test(pipeline, *unzip(sample), cache, version, judge, advance)
    if options.ragas:
        jobs = samples(*unzip(draw(shown, options.ragas, options.seed)), judge)
        claims = load_claims(options.claims) if options.claims else []
        claims = draw(claims, 3 * options.ragas, options.seed)
        every = [*jobs, *claim_jobs(claims)]
        with progress("RAGAS", len(every)) as advance:
            scores = ragas_scores(every, endpoint_of(pipeline.llm), cache, advance)
        result["ragas"] = summarise(jobs, claims, scores, seed=options.seed)
    pipeline.close()
    return {
        **result,
        "config": used,
        "seconds": round(time.perf_counter() - started, 2),
    }


def run_grounding(options: argparse.Namespace, opener: Opener) -> None:
    """Measure the support check on labelled claims."""
    from eval.tables import grounding_tables

    result = _grounding(options)
    show(result, options.json, grounding_tables(result))


def _grounding(options: argparse.Namespace) -> dict[str, Any]:
    from eval.cache import Cache, code_version
    from eval.claims import load_claims
    from eval.grounding import judge_claims, measure_grounding
    from eval.judges import make_judges
    from rag.loading import load_embedders, load_entailment, load_llm

    started = time.perf_counter()
    claims = draw(load_claims(options.cases), options.limit, options.seed)
    settings = settings_of(options)
    llm = None if options.no_llm else load_llm(settings)
    cache = Cache(settings.data_dir / "eval" / "claims.jsonl")
    judges = make_judges(
        load_embedders(settings)[1], llm, cache, code_version(), load_entailment(settings)
    )
    with progress("judging claims", len(claims)) as advance:
        scores = judge_claims(judges, claims, advance)
    if llm is not None:
        llm.close()
    return {
        "judges": measure_grounding(claims, scores, seed=options.seed),
        "labels": {claim.id: claim.supported for claim in claims},
        "config": {
            "docs": "-",
            "chunks": 0,
            "cases": str(options.cases),
            "cases_sha256": sha256(options.cases),
            "seed": options.seed,
            "questions": len(claims),
            "llm": llm.name if llm else "",
        },
        "seconds": round(time.perf_counter() - started, 2),
    }


def run_all(options: argparse.Namespace, opener: Opener) -> None:
    """Run every measurement, and write the results and a page with plots."""
    from eval.practice_command import measured_practice
    from eval.report import html_report
    from eval.tables import (
        answer_tables,
        grounding_tables,
        practice_tables,
        retrieval_notes,
        retrieval_tables,
    )

    options.out.mkdir(parents=True, exist_ok=True)
    options.extractive = options.no_llm = False
    claims = argparse.Namespace(**{**vars(options), "cases": options.claims})
    probes = argparse.Namespace(**{**vars(options), "cases": options.probes, "llm": False})
    results: dict[str, dict[str, Any]] = {}

    def keep(name: str, result: dict[str, Any], tables: Iterable[RenderableType]) -> None:
        results[name] = result
        show(result, str(options.out / f"{name}.json"), tables)

    keep("retrieval", found := _retrieval(options, opener), retrieval_tables(found))
    keep("grounding", judged := _grounding(claims), grounding_tables(judged))
    keep("practice", graded := measured_practice(probes), practice_tables(graded))
    keep("answers", answered := _answers(options, opener), answer_tables(answered))
    page = options.out / "report.html"
    page.write_text(html_report(results), encoding="utf-8")
    show({}, None, [*retrieval_notes(results["retrieval"]), f"report: {page}"])


def run_report(options: argparse.Namespace, _: Opener) -> None:
    """Write an HTML page from result files."""
    from eval.report import html_report

    results = {}
    for path in options.results:
        try:
            results[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ResultFileError(f"{path} is not JSON: {error}") from error
    try:
        page = html_report(results)
    except (KeyError, TypeError) as error:
        names = ", ".join(map(str, options.results))
        raise ResultFileError(f"not a result of `python -m eval`: {names} ({error!r})") from error
    options.out.write_text(page, encoding="utf-8")
    print(f"report: {options.out}")


def run_query_map(options: argparse.Namespace, opener: Opener) -> None:
    """Fit the map of query vectors on the questions of an index, and write it."""
    from eval.query_map import STEPS, fit_query_map
    from rag.loading import load_embedders

    own = own_settings(options, query_map=False)
    index = opener(own, options.docs, False).pipeline.index
    with progress("fitting", STEPS) as advance:
        fitted = fit_query_map(index, load_embedders(own)[0], seed=options.seed, advance=advance)
    fitted.save(options.out)
    print(f"query map of {own.embedder}: {options.out}")


def run_compare(options: argparse.Namespace, _: Opener) -> None:
    """Compare two result files, paired by question."""
    from eval.compare import compare, load_values
    from eval.tables import comparison_table

    comparison = compare(load_values(options.a), load_values(options.b), options.seed)
    result = {"a": str(options.a), "b": str(options.b), "stages": comparison}
    show(result, options.json, [comparison_table(comparison)])


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
    cases = answerable_cases(options) if options.cases else []
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
        print("timing `rag ingest` and `rag --help`", file=sys.stderr)
        measured = time_commands(options.docs, Path(folder))
        settings = settings_of(options).model_copy(update={"data_dir": Path(folder)})
        opened = opener(settings, None, True)
        pipeline = opened.pipeline
        questions = [case.question for case in cases] or heading_questions(pipeline.chunks())
        random.Random(options.seed).shuffle(questions)  # the LLM answers only the first of them
        with progress("searching", len(BENCH_STAGES) * len(cases)) as advance:
            report = measure_retrieval(
                pipeline, cases, seed=options.seed, stages=BENCH_STAGES, advance=advance
            )
        with progress("answering", len(questions) + options.answers) as advance:
            log = measure_answers(pipeline, questions, options.answers, advance)
        measured |= measured_search(report) | log.measured()
        measured["peak memory"] = (peak_memory_gb(), 1)
        used = config(options, settings, opened, len(questions))
        pipeline.close()
    result = {
        "measurements": beside_targets(measured),
        "outcomes": dict(log.outcomes),
        "invalid_citations": log.invalid,
        "retrieval": report.to_dict(),
        "config": {**used, "cpus": os.cpu_count(), "load_average": load},
        "seconds": round(time.perf_counter() - started, 2),
    }
    busy = f"load average before the start: {load:.1f} on {os.cpu_count()} CPUs"
    outcomes = (f"{outcome}: {count}" for outcome, count in log.outcomes.items() if count)
    show(result, options.json, [bench_table(result), busy, *outcomes, *log.invalid])
