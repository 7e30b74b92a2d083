"""`python -m eval practice`: measures the grader of practice, or fits it.

Knows nothing of how a figure is computed or how options are spelled.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from eval.practice_cases import load_practice
from eval.session import Opener, draw, progress, settings_of, sha256, show


def run_practice(options: argparse.Namespace, _: Opener) -> None:
    """Measure the grader of practice beside its baselines, or fit it."""
    from eval.tables import practice_tables

    if options.fit:
        _fit(options)
        return
    result = measured_practice(options)
    show(result, options.json, practice_tables(result))


def measured_practice(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the grader and its baselines on the graded answers of a file."""
    from eval.practice import cut_answers, mark_answers, measure, with_made_answers
    from eval.practice_methods import baselines, grader_method
    from rag.loading import load_embedders, load_llm, load_reranker
    from rag.practice.grader import Grader

    started = time.perf_counter()
    cases = draw(load_practice(options.cases), options.limit, options.seed)
    settings = settings_of(options)
    embedder, token_embedder = load_embedders(settings)
    reranker = load_reranker(settings)
    llm = load_llm(settings) if options.llm else None
    grader = Grader(embedder, token_embedder, reranker, llm)
    whole, cut = with_made_answers(cases), cut_answers(cases)
    methods = {"grader": grader_method(grader), **baselines(embedder)}
    figures, seconds = {}, {}
    for name, method in methods.items():
        begun = time.perf_counter()
        with progress(name, len(whole) + len(cut)) as advance:
            marked = mark_answers(method, whole, advance), mark_answers(method, cut, advance)
        seconds[name] = round((time.perf_counter() - begun) / max(1, len(whole) + len(cut)), 3)
        figures[name] = measure(*marked, seed=options.seed)
    if llm is not None:
        llm.close()
    return {
        "metrics": figures.pop("grader"),
        "baselines": figures,
        "seconds_per_answer": seconds,
        "config": {
            "docs": "-",
            "chunks": 0,
            "cases": str(options.cases),
            "cases_sha256": sha256(options.cases),
            "seed": options.seed,
            "questions": len(cases),
            "answers": len(whole),
            "grader": grader.version,
        },
        "seconds": round(time.perf_counter() - started, 2),
    }


def _fit(options: argparse.Namespace) -> None:
    from eval.practice import ATTACKS
    from eval.practice_fit import TARGET, fit, to_toml, without_phrasings
    from eval.practice_methods import best_thresholds, fit_samples
    from rag.loading import load_embedders, load_reranker

    cases = load_practice(options.cases)
    settings = settings_of(options)
    embedder, token_embedder = load_embedders(settings)
    reranker = load_reranker(settings)
    with progress("measuring", sum(len(case.answers) + 3 for case in cases)) as advance:
        samples = fit_samples(cases, embedder, token_embedder, reranker, advance)
    note = f"Fitted on {len(samples)} points of answers to {len(cases)} probes of {options.cases}."
    plain = fit(without_phrasings(samples), ATTACKS)
    TARGET.write_text(to_toml(plain, fit(samples, ATTACKS), note), encoding="utf-8")
    print(f"wrote {TARGET}; thresholds of the baselines: {best_thresholds(cases, embedder)}")
