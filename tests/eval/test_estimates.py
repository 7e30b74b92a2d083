from __future__ import annotations

import math

import pytest

from eval.estimates import Estimate, mean, paired_p_value, rate


def test_wilson_by_hand():
    # Wilson (1927): centre (p + z²/2n) / (1 + z²/n), here p = .8, n = 10, z = 1.959964
    z, p, n = 1.959964, 0.8, 10
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    estimate = rate([1.0] * 8 + [0.0] * 2)
    assert estimate.value == 0.8
    assert estimate.n == 10
    assert estimate.low == pytest.approx(centre - half, abs=1e-6)
    assert estimate.high == pytest.approx(centre + half, abs=1e-6)


def test_a_perfect_rate_is_not_certain():
    estimate = rate([1.0] * 4)
    assert estimate.value == estimate.high == 1.0
    assert estimate.low == pytest.approx(4 / (4 + 1.959964**2), abs=1e-6)


def test_nothing_measured_is_none_not_nan():
    assert rate([]) == mean([], 0) == Estimate(None, None, None, 0)


def test_bootstrap_is_reproducible_and_holds_the_mean():
    values = [0.0, 0.25, 0.5, 1.0, 1.0]
    estimate = mean(values, seed=1)
    assert estimate == mean(values, seed=1)
    assert estimate.value == pytest.approx(0.55)
    assert 0 <= estimate.low < 0.55 < estimate.high <= 1


def test_bootstrap_width_is_that_of_the_normal_approximation():
    values = [0.0, 1.0] * 200  # standard error 0.5 / 20 = 0.025
    estimate = mean(values, seed=0)
    assert estimate.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert estimate.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_one_value_and_equal_values():
    assert mean([0.3], 0) == Estimate(0.3, 0.0, 1.0, 1)
    assert mean([1.0, 1.0, 1.0], 0) == Estimate(1.0, 1.0, 1.0, 3)


def test_paired_p_by_hand():
    # Four gains of 1: of the 16 sign flips two are as extreme, all plus and all minus.
    assert paired_p_value([0, 0, 0, 0, 1], [1, 1, 1, 1, 1], 0) == pytest.approx(2 / 16)
    assert paired_p_value([0, 1], [1, 0], 0) == 1.0
    assert paired_p_value([0.5, 1.0], [0.5, 1.0], 0) == 1.0
    assert paired_p_value([0.0] * 30, [1.0] * 30, 0) < 0.001
