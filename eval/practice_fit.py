"""Graded answers -> the weights and thresholds of the grader: a logistic fit with fixed signs.

Probabilities for the thresholds come from leaving one probe out. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]

import rag.practice
from rag.practice.features import ALL_SIGNS, SIGNS

Matrix = NDArray[np.float64]

TARGET = Path(rag.practice.__file__).with_name("grader.toml")
STRENGTH = 0.5  # inverse of the L2 penalty
MAX_FALSE_COVER, MAX_UNSURE = 0.10, 0.12
ON_TOPIC_FROM = 0.56  # real answers on dev have .57 and more, others .48 to .59


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of one answer. `values` is None where nothing of the answer was left to grade."""

    probe: str
    level: str
    covered: bool
    values: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Fit:
    """What grader.toml holds of one model."""

    intercept: float
    weights: tuple[float, ...]
    unsure_from: float
    covered_from: float


def fit(samples: Sequence[Sample], attacks: Sequence[str]) -> Fit:
    """Fit the weights on all samples and the thresholds on probes left out.

    The values of the samples are those of SIGNS, or of ALL_SIGNS.
    """
    kept = [sample for sample in samples if sample.values is not None]
    held_out = np.zeros(len(samples))
    for probe in dict.fromkeys(sample.probe for sample in samples):
        intercept, weights = logistic([s for s in kept if s.probe != probe])
        for i, sample in enumerate(samples):
            if sample.probe == probe and sample.values is not None:
                z = intercept + float(np.dot(weights, sample.values))
                held_out[i] = 1 / (1 + np.exp(-z))
    covered_from, unsure_from = thresholds(samples, held_out, attacks)
    intercept, weights = logistic(kept)
    return Fit(intercept, tuple(map(float, weights)), unsure_from, covered_from)


def logistic(samples: Sequence[Sample]) -> tuple[float, Matrix]:
    """Return intercept and weights; no weight gets the sign that its feature does not allow."""
    x = np.array([sample.values for sample in samples], dtype=np.float64)
    sign = np.where([sample.covered for sample in samples], 1.0, -1.0)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1.0
    z = (x - mean) / scale

    def loss(b: Matrix) -> tuple[float, Matrix]:
        margin = sign * (z @ b[1:] + b[0])
        value = STRENGTH * np.logaddexp(0, -margin).sum() + 0.5 * (b[1:] ** 2).sum()
        slope = -STRENGTH * sign / (1 + np.exp(margin))
        return float(value), np.concatenate([[slope.sum()], z.T @ slope + b[1:]])

    signs = list(ALL_SIGNS.values())[: x.shape[1]]
    bounds = [(None, None), *((0, None) if s > 0 else (None, 0) for s in signs)]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = found[1:] / scale
    return float(found[0] - weights @ mean), weights


def thresholds(
    samples: Sequence[Sample], probability: Matrix, attacks: Sequence[str]
) -> tuple[float, float]:
    """Return from where a point is covered, and from where unsure.

    Covered: the best macro-F1 among thresholds with few enough false covers on attacks. Unsure:
    as low as MAX_UNSURE of all points allows.
    """
    truth = np.array([sample.covered for sample in samples])
    attack = np.array([sample.level in attacks for sample in samples])
    steps = [step / 100 for step in range(20, 100)]
    allowed = [t for t in steps if (probability >= t)[attack].mean() <= MAX_FALSE_COVER]
    covered_from = max(allowed, key=lambda t: _macro_f1(truth, probability >= t))
    below = np.sort(probability[probability < covered_from])[::-1]
    room = int(MAX_UNSURE * len(probability))
    unsure_from = float(below[min(room, len(below) - 1)])
    return covered_from, round(unsure_from, 3)


def without_phrasings(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples as if no point had phrasings."""
    return [replace(s, values=s.values and s.values[: len(SIGNS)]) for s in samples]


def to_toml(plain: Fit, phrased: Fit, note: str) -> str:
    """Return the text of grader.toml."""
    return (
        "# The grader's logistic models of points without and with phrasings:\n"
        f"# P(covered) = 1 / (1 + exp(-(intercept + weights . x))). {note}\n"
        "# Refit: python -m eval practice --cases eval/cases/practice_dev.jsonl --fit\n"
        f"on_topic_from = {ON_TOPIC_FROM}  # cosine with the question or any point\n"
        f"{_model_toml('plain', plain)}{_model_toml('phrased', phrased)}"
    )


def _model_toml(name: str, found: Fit) -> str:
    names = list(ALL_SIGNS)[: len(found.weights)]
    weights = "\n".join(
        f'"{feature}" = {weight:.4f}' for feature, weight in zip(names, found.weights, strict=True)
    )
    return (
        f"\n[{name}]\nintercept = {found.intercept:.4f}\ncovered_from = {found.covered_from}\n"
        f"unsure_from = {found.unsure_from}\n\n[{name}.weights]\n{weights}\n"
    )


def _macro_f1(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    wrong = int((truth != said).sum())
    hits = (int((truth & said).sum()), int((~truth & ~said).sum()))
    return sum(2 * hit / (2 * hit + wrong) for hit in hits) / 2
