"""Arithmetic with units; expected values by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.practice.bank import EstimateStep
from rag.practice.estimates import (
    check_step,
    check_steps,
    formula_shape,
    read_quantities,
    read_unit,
    score,
)
from tests.practice.fakes import ESTIMATE

PER_DAY, AVERAGE, PEAK = ESTIMATE.steps
STORE = EstimateStep("With replicas", "400 × 3", 1200, "GB")


@pytest.mark.parametrize(
    ("text", "factor", "dims"),
    [
        ("QPS", 1, (0, -1)),
        ("per day", 1 / 86400, (0, -1)),
        ("requests a day", 1 / 86400, (0, -1)),
        ("daily requests", 1 / 86400, (0, -1)),
        ("GB/s", 1e9, (1, -1)),
        ("TB", 1e12, (1, 0)),
        ("GiB", 2**30, (1, 0)),
        ("GPU days", 86400, (0, 1)),
        ("Gbps", 1.25e8, (1, -1)),
        ("opens per user per day", 1 / 86400, (0, -1)),
        ("reads per second", 1, (0, -1)),
        ("the user's items", 1, (0, 0)),
        ("%", 0.01, (0, 0)),
    ],
)
def test_a_unit_is_bytes_and_seconds(text, factor, dims):
    found = read_unit(text)
    assert found[0] == pytest.approx(factor)
    assert found[1] == dims


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("58k QPS", 58_000), ("58K qps", 58_000), ("58,000", 58_000), ("5e9 per day", 5e9 / 86400),
        ("1.2 TB", 1.2e12), ("5 billion", 5e9), ("5B requests", 5e9), ("5 x 10^9", 5e9),
        ("174m", 174e6), ("~60k/s", 60_000), ("50-70k QPS", 60_000), ("33 ms", 0.033),
        ("51%", 0.51), ("1.2T", 1.2e12),
    ],
)  # fmt: skip
def test_quantities_are_read_as_people_write_them(text, base):
    (quantity,) = read_quantities(text)
    assert quantity.base == pytest.approx(base)


@pytest.mark.parametrize(
    ("step", "answer", "state"),
    [
        (AVERAGE, "58k QPS", "right"),
        (AVERAGE, "about 60,000 requests per second", "right"),
        (AVERAGE, "5e9 per day", "right"),  # the same rate in other units
        (AVERAGE, "5e9 / 86400 = 58k qps", "right"),
        (AVERAGE, "58k", "no unit"),
        (AVERAGE, "58k GB", "wrong unit"),
        (AVERAGE, "70k QPS", "wrong value"),  # 21% off
        (AVERAGE, "63k QPS", "right"),  # 9% off
        (AVERAGE, "no idea", "no number"),
        (PER_DAY, "5e9 per day", "right"),
        (PER_DAY, "5 billion", "right"),  # the question names the unit
        (PER_DAY, "58k QPS", "right"),
        (PER_DAY, "5e9 QPS", "wrong value"),
        (PEAK, "58k * 3 ≈ 174k QPS", "right"),
        (STORE, "1.2 TB", "right"),
        (STORE, "1,200 GB", "right"),
        (STORE, "1200", "no unit"),
        (STORE, "1.2 GB", "wrong value"),
        (EstimateStep("Distance", "30 × 0.05", 1.5, "m"), "1.5 m", "right"),
        (EstimateStep("Embedding", "a", 405, "GPU days"), "400 GPU days", "right"),
        (EstimateStep("Embedding", "a", 405, "GPU days"), "9,700 GPU hours", "right"),
        (EstimateStep("L2 GPUs", "a", 200, "GPUs"), "200", "right"),
        (EstimateStep("Per hour", "a", 5.37e12, "bytes"), "5.4 TB per hour", "right"),
        (EstimateStep("Per hour", "a", 5.37e12, "bytes"), "5.4 TB", "right"),
        (EstimateStep("At 0.80", "17 - 20", -3.0, "million"), "-3 million dollars", "right"),
        (EstimateStep("At 0.80", "17 - 20", -3.0, "million"), "3 million", "wrong value"),
        (EstimateStep("At 0.95", "10 - 1", 9.0, "million"), "$9M", "right"),
        (EstimateStep("Share left", "1 - 0.7 × 0.7", 0.51, ""), "51%", "right"),
    ],
)
def test_a_step_is_checked_with_its_unit(step, answer, state):
    assert check_step(step, answer).state == state


def test_a_slip_is_named():
    assert "thousand" in check_step(STORE, "1.2 GB").note
    assert "86,400" in check_step(PER_DAY, "5e9 QPS").note
    assert "bits" in check_step(STORE, "9.6 TB").note


def test_a_whole_calculation_is_checked_step_by_step():
    text = "500M x 10 is 5 billion a day, so 58k QPS; at the peak 100k QPS"
    checks = check_steps(ESTIMATE, (0, 1, 2), text)
    assert [check.state for check in checks] == ["right", "right", "no number"]
    assert score(checks) == pytest.approx(2 / 3)


def test_half_a_point_without_a_unit():
    assert score([check_step(AVERAGE, "58k")]) == 0.5


def test_the_shape_of_a_formula_holds_no_number():
    assert formula_shape("5,000,000,000 × 1,024 / 86,400") == "a × b / c"


@settings(deadline=None)  # other jobs may hold the processor
@given(st.floats(1e-3, 1e15), st.sampled_from(["QPS", "GB", "bytes", "ms", "", "GPUs"]))
def test_the_value_itself_is_right_and_twice_the_value_is_not(value, unit):
    step = EstimateStep("Value", "a", value, unit)
    assert check_step(step, f"{value:f} {unit}").state == "right" or value < 1
    assert check_step(step, f"{2 * value:f} {unit}").state != "right" or value < 1


@settings(deadline=None)  # other jobs may hold the processor
@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text):
    check_step(STORE, text)
    check_steps(ESTIMATE, (0, 1, 2), text)
