"""`python -m eval gate`: measures in minutes, without the LLM, what must not get worse.

Knows nothing of floors or of how two runs are compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from eval import gate
from eval.answers import SUPPORTED, ask, measure_answers
from eval.cache import Cache, code_version
from eval.cases import load_cases
from eval.claims import load_claims
from eval.errors import GateError
from eval.grounding import judge_claims
from eval.judges import SUPPORT_CHECK, make_judges
from eval.retrieval import measure_retrieval
from eval.session import Opener, draw, own_settings, progress, sha256, show
from eval.tables import gate_table

CLAIMS = Path(__file__).with_name("cases") / "claims_test.jsonl"


def run_gate(options: argparse.Namespace, opener: Opener) -> None:
    """Hold retrieval, extractive answers and the rules of the support check against the past."""
    values = _gate_values(options, opener)
    if options.update:
        stored = {"cases_sha256": sha256(options.cases), "values": values}
        gate.BASELINE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        print(f"stored {gate.BASELINE}; commit it with the reason why it changed")
        return
    baseline = gate.load_baseline()
    rows = gate.compare(values, gate.load_floors(), baseline["values"], options.seed)
    show({}, None, [gate_table(rows)])
    if baseline["cases_sha256"] != sha256(options.cases):
        print("note: the case file changed since the baseline was stored", file=sys.stderr)
    if failed := [row["figure"] for row in rows if row["fails"]]:
        raise GateError(f"the gate fails: {', '.join(failed)}.")


def _gate_values(options: argparse.Namespace, opener: Opener) -> dict[str, dict[str, float]]:
    """Return figure -> question -> value of what can be measured in minutes, without the LLM."""
    own = own_settings(options)
    opened = opener(own, options.docs, False)
    cases = draw(load_cases(options.cases), options.limit, options.seed)
    answerable = [case for case in cases if case.answerable]
    with progress("retrieving", len(answerable)) as advance:
        report = measure_retrieval(
            opened.pipeline, answerable, seed=options.seed, stages=("reranked",), advance=advance
        )
    with tempfile.TemporaryDirectory(prefix="rag-gate-") as folder:
        cache = Cache(Path(folder) / "cache.jsonl")  # of this run only: nothing old may pass
        judge = make_judges(opened.token_embedder, None, cache, code_version())[SUPPORT_CHECK]
        with progress("answering", len(cases)) as advance:
            records = ask(opened.pipeline, cases, cache, "", mode="extractive", advance=advance)
        with progress("judging", len(cases)) as advance:
            answers = measure_answers(cases, records, judge, seed=options.seed, advance=advance)
        claims = load_claims(CLAIMS)
        with progress("checking claims", len(claims)) as advance:
            scores = judge_claims({SUPPORT_CHECK: judge}, claims, advance)[SUPPORT_CHECK]
    values: dict[str, dict[str, float]] = {}
    for query_id, metrics in report.values["reranked"].items():
        for name in ("hit@5", "mrr@10"):
            values.setdefault(name, {})[query_id] = metrics[name]
    for row in answers["per_question"]:
        right = row["answered"] == row["answerable"]
        values.setdefault("extractive: answered or refused rightly", {})[row["query_id"]] = float(
            right
        )
        if row["answerable"]:
            values.setdefault("extractive: key facts", {})[row["query_id"]] = row["key_facts"]
        if row["valid"]:
            values.setdefault("citation validity", {})[row["query_id"]] = min(row["valid"])
    values["support check: claims judged as labelled"] = {
        claim.id: float((score >= SUPPORTED) == claim.supported)
        for claim, score in zip(claims, scores, strict=True)
    }
    return values
