"""Features of a point -> P(covered) -> state: a logistic model read from grader.toml.

Knows nothing of how features are made, or of how the weights were fitted (`eval.practice_fit`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rag.practice.features import SIGNS
from rag.practice.steps import PointState


@dataclass(frozen=True, slots=True)
class CoverageModel:
    """`unsure_from` and `covered_from` are probabilities, `on_topic_from` is a cosine."""

    intercept: float
    weights: tuple[float, ...]
    unsure_from: float
    covered_from: float
    on_topic_from: float

    def probability(self, features: Sequence[float]) -> float:
        """Return P(covered) of features in the order of SIGNS."""
        z = self.intercept + sum(w * x for w, x in zip(self.weights, features, strict=True))
        return 1 / (1 + math.exp(-z))

    def state(self, probability: float) -> PointState:
        """Return covered, unsure or missed; what is partial no probability says."""
        if probability >= self.covered_from:
            return "covered"
        return "unsure" if probability >= self.unsure_from else "missed"


@cache
def load_coverage_model() -> CoverageModel:
    """Read the weights that come with the package."""
    text = files("rag.practice").joinpath("grader.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    return CoverageModel(
        values["intercept"],
        tuple(values["weights"][name] for name in SIGNS),
        **values["thresholds"],
    )
