"""Features of a point -> P(covered) -> state: logistic models read from grader.toml.

One for points with phrasings and one for the others. Knows nothing of how features are made, or of
how the weights were fitted (`eval.practice_fit`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rag.practice.features import ALL_SIGNS, SIGNS
from rag.practice.steps import PointState


@dataclass(frozen=True, slots=True)
class CoverageModel:
    """A logistic model; `unsure_from` and `covered_from` are probabilities."""

    intercept: float
    weights: tuple[float, ...]
    unsure_from: float
    covered_from: float

    def probability(self, features: Sequence[float]) -> float:
        """Return P(covered) of features in the order of the weights."""
        z = self.intercept + sum(w * x for w, x in zip(self.weights, features, strict=True))
        return 1 / (1 + math.exp(-z))

    def state(self, probability: float) -> PointState:
        """Return covered, unsure or missed; what is partial no probability says."""
        if probability >= self.covered_from:
            return "covered"
        return "unsure" if probability >= self.unsure_from else "missed"


@dataclass(frozen=True, slots=True)
class CoverageModels:
    """The models of points without and with phrasings; `on_topic_from` is a cosine."""

    plain: CoverageModel
    phrased: CoverageModel
    on_topic_from: float

    def of(self, features: Sequence[float]) -> CoverageModel:
        """Return the model for features of one point."""
        return self.phrased if len(features) > len(SIGNS) else self.plain


@cache
def load_coverage_models() -> CoverageModels:
    """Read the weights that come with the package."""
    text = files("rag.practice").joinpath("grader.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    return CoverageModels(
        _model(values["plain"], SIGNS),
        _model(values["phrased"], ALL_SIGNS),
        values["on_topic_from"],
    )


def _model(values: Mapping[str, Any], signs: Mapping[str, int]) -> CoverageModel:
    weights = tuple(values["weights"][name] for name in signs)
    return CoverageModel(
        values["intercept"], weights, values["unsure_from"], values["covered_from"]
    )
