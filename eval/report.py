"""Result files to one HTML page with plots that opens from disk, without a network.

Knows the JSON forms of the commands and computes nothing but bins for plotting.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Result = Mapping[str, Any]
_DEPTHS = (5, 10, 20)
_BINS = 8
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } svg { max-width: 100%; height: auto }
td, th { border-bottom: 1px solid #8884; padding: .25rem .7rem; text-align: left }
figure { display: inline-block; margin: 1rem 1rem 1rem 0 } figcaption { color: #666 }
"""


def html_report(results: Mapping[str, Result]) -> str:
    """Return the page for the results by command: retrieval, grounding, answers, practice."""
    parts = [part for name, result in results.items() for part in _section(name, result)]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>study-rag: evaluation"
        f"</title><style>{_STYLE}</style></head><body><h1>Evaluation</h1>{''.join(parts)}</body>"
        "</html>\n"
    )


def _section(name: str, result: Result) -> Iterator[str]:
    used = result["config"]
    yield f"<h2>{html.escape(name.capitalize())}</h2>"
    yield (
        f"<p>Documents {html.escape(used['docs'])} ({used['chunks']} chunks), cases"
        f" {html.escape(str(used['cases']))} (SHA-256 {str(used['cases_sha256'])[:12]}),"
        f" seed {used['seed']}; {used['questions']} items. Intervals are 95%.</p>"
    )
    if "stages" in result:
        yield _table(
            ["stage", "n", *_metrics(result)],
            [
                [stage, str(values["hit@5"]["n"]), *(_share(values[m]) for m in _metrics(result))]
                for stage, values in result["stages"].items()
            ],
        )
        yield _plot("Recall by depth and stage", lambda axes: _recall(axes, result))
        yield _plot("Time by stage, p50 and p95", lambda axes: _latency(axes, result))
    if "figures" in result:
        rows = [[name, str(e["n"]), _share(e)] for name, e in result["figures"].items()]
        yield _table(["figure", "n", "value and interval"], rows)
        yield _plot("Risk and coverage", lambda axes: _risk(axes, result))
        yield _plot("Reliability of the answerability", lambda axes: _answerability(axes, result))
        yield _plot("Time, p50 and p95", lambda axes: _latency(axes, result))
    if "judges" in result:
        shown = ("auroc", "auroc of numbers, units, negations", "precision", "recall", "accuracy")
        rows = [
            [judge, *(_share(values[name]) for name in shown)]
            for judge, values in result["judges"].items()
        ]
        yield _table(["judge", *shown], rows)
        yield _plot("Reliability of the support check", lambda axes: _support(axes, result))
    if "ragas" in result:
        rows = [
            [name, str(e["n"]), _share(e), str(e["failed"])]
            for name, e in result["ragas"]["metrics"].items()
        ]
        yield _table(["RAGAS metric", "n", "value and interval", "failed"], rows)
    if "baselines" in result:
        graders = {"grader": result["metrics"], **result["baselines"]}
        rows = [
            [name, str(estimate["n"]), *(_share(values[name]) for values in graders.values())]
            for name, estimate in result["metrics"].items()
        ]
        yield _table(["figure", "probes", *graders], rows)


def _metrics(result: Result) -> list[str]:
    return [name for name in next(iter(result["stages"].values())) if not name.startswith("recall")]


def _share(estimate: Any) -> str:
    if not isinstance(estimate, Mapping):
        return "-" if estimate is None else f"{estimate:.3f}"
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def _plot(title: str, draw: Callable[[Axes], None]) -> str:
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    svg = buffer.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _recall(axes: Axes, result: Result) -> None:
    for stage, values in result["stages"].items():
        axes.plot(_DEPTHS, [values[f"recall@{k}"]["value"] for k in _DEPTHS], "o-", label=stage)
    axes.set(xlabel="k", ylabel="recall@k", ylim=(0, 1), xticks=_DEPTHS)
    axes.legend(frameon=False)


def _latency(axes: Axes, result: Result) -> None:
    rows = {name: row for name, row in result["latency_ms"].items() if row["p50"] is not None}
    at = np.arange(len(rows))
    axes.barh(at - 0.2, [row["p50"] for row in rows.values()], 0.4, label="p50")
    axes.barh(at + 0.2, [row["p95"] for row in rows.values()], 0.4, label="p95")
    axes.set(xlabel="ms", yticks=at, yticklabels=list(rows))
    axes.legend(frameon=False)


def _risk(axes: Axes, result: Result) -> None:
    curve = result["risk_coverage"]
    axes.plot([p["coverage"] for p in curve], [p["risk"] for p in curve])
    axes.set(xlabel="coverage", ylabel="share wrong", xlim=(0, 1), ylim=(0, 1))


def _answerability(axes: Axes, result: Result) -> None:
    rows = result["per_question"]
    _reliability(axes, [row["answerability"] for row in rows], [row["answerable"] for row in rows])
    axes.set(xlabel="answerability", ylabel="share answerable")


def _support(axes: Axes, result: Result) -> None:
    scores = result["judges"]["support check"]["scores"]
    _reliability(axes, list(scores.values()), [result["labels"][name] for name in scores])
    axes.set(xlabel="support", ylabel="share supported")


def _reliability(axes: Axes, scores: Sequence[float], labels: Sequence[bool]) -> None:
    """Draw what share is true in each of eight equal groups, with the diagonal of the ideal."""
    order = np.argsort(scores)
    groups = [group for group in np.array_split(order, _BINS) if len(group)]
    x = [float(np.mean([scores[i] for i in group])) for group in groups]
    y = [float(np.mean([labels[i] for i in group])) for group in groups]
    axes.plot([0, 1], [0, 1], ":", color="gray")
    axes.plot(x, y, "o-")
    axes.set(xlim=(0, 1), ylim=(0, 1))
