"""A figure with its 95% interval and its n, and the paired test between two configurations.

Wilson's interval for rates, the percentile bootstrap over questions for every other mean. Nothing
here knows what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.stats as st  # type: ignore[import-untyped]
from numpy.typing import NDArray

RESAMPLES = 2_000
PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` questions with its 95% interval; all None where nothing was measured."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def rate(outcomes: Sequence[float]) -> Estimate:
    """Return the share of ones among zeros and ones, with Wilson's interval."""
    n = len(outcomes)
    if not n:
        return Estimate(None, None, None, 0)
    successes = round(sum(outcomes))
    interval = st.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), n)


def mean(values: Sequence[float], seed: int) -> Estimate:
    """Return the mean of values between 0 and 1, with the bootstrap interval.

    The bootstrap says nothing from one value, which therefore gets the whole range; where all
    values are equal it gives a width of 0, which for a small n is too sure.
    """
    if not values:
        return Estimate(None, None, None, 0)
    sample = np.asarray(values, dtype=np.float64)
    value = float(sample.mean())
    if len(values) == 1:
        return Estimate(value, 0.0, 1.0, 1)
    interval = st.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), len(values))


def paired_p_value(a: Sequence[float], b: Sequence[float], seed: int) -> float:
    """Return the two-sided p of a paired permutation test on the mean of `b - a`.

    Exact up to 13 pairs, by 10,000 random sign flips above.
    """
    if list(a) == list(b):
        return 1.0

    def mean_difference(
        x: NDArray[np.float64], y: NDArray[np.float64], axis: int
    ) -> NDArray[np.float64]:
        return np.asarray((y - x).mean(axis=axis))

    outcome = st.permutation_test(
        (np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)),
        mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=seed,
    )
    return float(outcome.pvalue)


Item = TypeVar("Item")


def statistic(
    items: Sequence[Item], compute: Callable[[Sequence[Item]], float], seed: int
) -> Estimate:
    """Return any figure over `items` with its interval, from 500 resamples of whole items."""
    if not items:
        return Estimate(None, None, None, 0)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(items), size=(500, len(items)))
    values = [compute([items[i] for i in draw]) for draw in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(compute(items), float(low), float(high), len(items))
