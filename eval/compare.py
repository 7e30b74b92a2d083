"""Compares two result files of `python -m eval retrieval --json`, question by question.

Only questions that both files hold are compared; how many each has alone is reported. Nothing
here measures anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.errors import ResultFileError
from eval.estimates import paired_p_value

Values = Mapping[str, Mapping[str, Mapping[str, float]]]  # stage -> query id -> metric -> value


def load_values(path: Path) -> Values:
    """Read the per-question values of a result file; raises ResultFileError."""
    try:
        values: Values = json.loads(path.read_text(encoding="utf-8"))["per_question"]
        for stage, rows in values.items():
            for query_id, row in rows.items():
                if not all(isinstance(value, int | float) for value in row.values()):
                    raise TypeError(f"{stage}.{query_id} holds something that is not a number")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultFileError(
            f"{path}: no result of `python -m eval retrieval --json {path.name}` ({error!r})."
        ) from error
    return values


def compare(a: Values, b: Values, seed: int) -> dict[str, Any]:
    """Return, per stage and metric of both, the two means, `b - a` and the paired p value."""
    stages = [stage for stage in a if stage in b]
    if not stages:
        raise ResultFileError("the two results have no stage in common: nothing to compare.")
    return {stage: _compare_stage(stage, a[stage], b[stage], seed) for stage in stages}


def _compare_stage(
    stage: str,
    a: Mapping[str, Mapping[str, float]],
    b: Mapping[str, Mapping[str, float]],
    seed: int,
) -> dict[str, Any]:
    shared = [query_id for query_id in a if query_id in b]
    if not shared:
        raise ResultFileError(f"stage {stage}: the two results have no question in common.")
    metrics = [metric for metric in a[shared[0]] if metric in b[shared[0]]]
    comparison: dict[str, Any] = {
        "n": len(shared),
        "only_a": len(a) - len(shared),
        "only_b": len(b) - len(shared),
        "metrics": {},
    }
    for metric in metrics:
        before = [a[query_id][metric] for query_id in shared]
        after = [b[query_id][metric] for query_id in shared]
        comparison["metrics"][metric] = {
            "a": sum(before) / len(shared),
            "b": sum(after) / len(shared),
            "difference": (sum(after) - sum(before)) / len(shared),
            "p": paired_p_value(before, after, seed),
            "better": sum(y > x for x, y in zip(before, after, strict=True)),
            "worse": sum(y < x for x, y in zip(before, after, strict=True)),
        }
    return comparison
