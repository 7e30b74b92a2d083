"""Results as tables for a terminal. Knows the JSON forms and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

_PLAIN: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
_SHOWN = ("hit@1", "hit@5", "hit@10", "recall@10", "mrr@10", "ndcg@10")


def retrieval_tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the table of stages and that of tags, the latter for the last stage."""
    stages = Table("stage", *_SHOWN, "p50", "p95", title="Retrieval (times in ms)", **_PLAIN)
    for stage, metrics in result["stages"].items():
        latency = result["latency_ms"][stage]
        cells = (_estimate(metrics[name]) for name in _SHOWN)
        stages.add_row(stage, *cells, _number(latency["p50"]), _number(latency["p95"]))
    yield stages
    last = list(result["stages"])[-1]
    tags = Table("tag", "n", *_SHOWN, title=f"By tag, stage {last}", **_PLAIN)
    for tag, by_stage in result["tags"].items():
        metrics = by_stage[last]
        tags.add_row(
            escape(tag), str(metrics["hit@5"]["n"]), *(_estimate(metrics[m]) for m in _SHOWN)
        )
    yield tags


def retrieval_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for everything that a reader of the figures must know besides."""
    for failure in result["failures"]:
        where = f"{failure['query_id']} {failure['stage']}"
        yield f"failed, counted 0: {where}: {escape(failure['error'])}"
    for stage, reasons in result["degraded"].items():
        for reason, count in reasons.items():
            yield f"degraded: {stage}: {escape(reason)} ({count} times)"
    for missing in result["missing_quotes"]:
        quote = escape(missing["quote"][:80])
        yield f"missing: {missing['query_id']} {missing['doc']}: {missing['reason']}: {quote!r}"


def comparison_table(comparison: Mapping[str, Any]) -> Table:
    """Return one row a stage and metric."""
    table = Table(
        "stage", "metric", "n", "A", "B", "B - A", "p", "better", "worse", box=SIMPLE_HEAD
    )
    for stage, outcome in comparison.items():
        for metric, row in outcome["metrics"].items():
            figures = (f"{row['a']:.3f}", f"{row['b']:.3f}", f"{row['difference']:+.3f}")
            counts = (f"{row['p']:.3f}", str(row["better"]), str(row["worse"]))
            table.add_row(stage, metric, str(outcome["n"]), *figures, *counts)
    return table


def bench_table(result: Mapping[str, Any]) -> Table:
    """Return value, target and whether it was met, one row a measurement."""
    table = Table("measured", "value", "target", "met", "n", title="Benchmark", **_PLAIN)
    for name, row in result["measurements"].items():
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        target = f"{row['relation']} {row['target']:g} {row['unit']}" if row["relation"] else ""
        value = f"{_number(row['value'])} {row['unit']}".strip()
        table.add_row(name, value, target.strip(), met, str(row["n"]))
    return table


def _estimate(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    return f"{_short(estimate['value'])}\n{_short(estimate['low'])}-{_short(estimate['high'])}"


def _short(share: float) -> str:
    """Return `.73` for 0.734: six intervals must fit into 80 columns."""
    return f"{share:.2f}".removeprefix("0")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def answer_tables(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the figures of answers, their times, what was rejected, and what RAGAS says."""
    figures = Table("figure", "n", "value", "95% interval", title="Answers", **_PLAIN)
    for name, estimate in result["figures"].items():
        figures.add_row(name, str(estimate["n"]), *_cells(estimate))
    yield figures
    times = Table("time in ms", "p50", "p95", **_PLAIN)
    for name, row in result["latency_ms"].items():
        times.add_row(name, _number(row["p50"]), _number(row["p95"]))
    yield times
    tags = Table("tag", "n", "answered", "key facts", title="By tag", **_PLAIN)
    for kind in ("answerable_by_tag", "unanswerable_by_tag"):
        for tag, row in result[kind].items():
            share = row["answered"]
            facts = _short(row["key_facts"]) if kind == "answerable_by_tag" else ""
            tags.add_row(escape(tag), str(share["n"]), _short(share["value"]), facts)
    yield tags
    for title in ("rejected", "degraded"):
        yield from (f"{title}: {escape(what)} ({n})" for what, n in result[title].items())
    for failure in result["failures"]:
        yield f"failed: {failure['query_id']}: {escape(failure['error'])}"
    if "causal" in result:
        yield f"asked again without the cited passages: {result['causal']}"
    if "ragas" in result:
        yield from _ragas_tables(result["ragas"])


def _ragas_tables(ragas: Mapping[str, Any]) -> Iterator[RenderableType]:
    table = Table(
        "RAGAS, judged by the local LLM", "n", "failed", "value", "95% interval", **_PLAIN
    )
    for name, estimate in ragas["metrics"].items():
        table.add_row(name, str(estimate["n"]), str(estimate["failed"]), *_cells(estimate))
    for name, estimate in ragas.items():
        if isinstance(estimate, Mapping) and "low" in estimate:
            table.add_row(name, str(estimate["n"]), "", *_cells(estimate))
    yield table
    agreement = ragas["agreement"]
    yield (
        f"the two judges on {agreement['sentences']} sentences: kappa"
        f" {_number(agreement['kappa'])}, same verdict {_number(agreement['same']['value'])}"
    )


def grounding_tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the judges side by side, then the accuracy of each by trick."""
    judges = result["judges"]
    names = [
        name for name, value in next(iter(judges.values())).items()
        if isinstance(value, Mapping) and "low" in value
    ]  # fmt: skip
    table = Table("judge", *names, "kappa", title="Support check", **_PLAIN)
    for judge, row in judges.items():
        table.add_row(judge, *(_estimate(row[name]) for name in names), _number(row["kappa"]))
    yield table
    tricks = Table("judged as labelled", "n", *judges, **_PLAIN)
    for trick, first in next(iter(judges.values()))["accuracy by trick"].items():
        shares = (_short(row["accuracy by trick"][trick]["value"]) for row in judges.values())
        tricks.add_row(trick, str(first["n"]), *shares)
    yield tricks


def practice_tables(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the figures of the grader beside those of its baselines."""
    baselines = result["baselines"]
    table = Table("figure", "n", "grader", *baselines, title="Practice", **_PLAIN)
    for name, estimate in result["metrics"].items():
        cells = (_estimate(row[name]) for row in (result["metrics"], *baselines.values()))
        table.add_row(name, str(estimate["n"]), *cells)
    yield table
    yield "n counts probes; seconds an answer: " + ", ".join(
        f"{name} {seconds:g}" for name, seconds in result["seconds_per_answer"].items()
    )


def gate_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a figure, with what makes it fail."""
    table = Table("figure", "n", "mean", "floor", "change", "p", "", title="Gate", **_PLAIN)
    for row in rows:
        change = "-" if row["difference"] is None else f"{row['difference']:+.3f}"
        p = "-" if row["p"] is None else f"{row['p']:.3f}"
        shown = (_number(row["mean"]), _number(row["floor"]), change, p, row["fails"] or "holds")
        table.add_row(row["figure"], str(row["n"]), *shown)
    return table


def _cells(estimate: Mapping[str, Any]) -> tuple[str, str]:
    if estimate["value"] is None:
        return "-", ""
    return f"{estimate['value']:.3f}", f"{estimate['low']:.3f} to {estimate['high']:.3f}"
