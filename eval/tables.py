"""Results as tables for a terminal. Knows the JSON forms and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
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
