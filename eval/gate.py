"""Floors that figures must hold, and the paired comparison with the stored baseline.

Knows the figures by name and question; where they come from is not known here.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import GateError
from eval.estimates import paired_p_value

SIGNIFICANT = 0.05
THRESHOLDS = Path(__file__).with_name("thresholds.toml")
BASELINE = Path(__file__).with_name("baseline.json")

Values = Mapping[str, Mapping[str, float]]  # figure -> question -> value


def load_floors(path: Path = THRESHOLDS) -> dict[str, float]:
    """Return the least mean of each figure."""
    with path.open("rb") as file:
        return {str(name): float(floor) for name, floor in tomllib.load(file)["floors"].items()}


def load_baseline(path: Path = BASELINE) -> dict[str, Any]:
    """Return the stored baseline: `values` by figure and question, and what it was measured on."""
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateError(
            f"{path}: no baseline; store one with `gate --update` ({error})."
        ) from error
    return stored


def compare(
    values: Values, floors: Mapping[str, float], baseline: Values, seed: int
) -> list[dict[str, Any]]:
    """Return a row a figure: mean, floor, baseline, p of the difference, and what fails.

    A figure fails below its floor, or where it is lower than the baseline on the same questions
    and the paired permutation test says that this is no accident. A question that one side lacks
    is left out of the comparison and counted.
    """
    rows = []
    for name in sorted({*values, *floors}):
        now = values.get(name, {})
        before = baseline.get(name, {})
        both = sorted(now.keys() & before.keys())
        row: dict[str, Any] = {
            "figure": name,
            "n": len(now),
            "mean": float(np.mean(list(now.values()))) if now else None,
            "floor": floors.get(name),
            "compared": len(both),
            "difference": None,
            "p": None,
            "fails": "",
        }
        if not now:
            row["fails"] = "not measured"
        elif name in floors and row["mean"] < floors[name]:
            row["fails"] = "below its floor"
        if both:
            row["difference"] = float(np.mean([now[q] - before[q] for q in both]))
            row["p"] = paired_p_value([before[q] for q in both], [now[q] for q in both], seed)
            if row["difference"] < 0 and row["p"] < SIGNIFICANT and not row["fails"]:
                row["fails"] = "worse than the baseline"
        rows.append(row)
    return rows
