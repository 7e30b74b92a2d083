"""Back-of-the-envelope arithmetic, checked with units: "58k QPS" is "5e9 per day" is right.

A quantity is a number of bytes^a * seconds^b; nouns such as requests or GPUs are not units. Knows
nothing of sessions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.practice.bank import Estimate, EstimateStep
from rag.practice.steps import StepCheck

TOLERANCE = 0.10  # of the value: 60k passes for 58k, rounding in the head is the skill

_BYTE, _SECOND = (1, 0), (0, 1)
_PER_SECOND, _NUMBER = (0, -1), (0, 0)
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_UNITS: dict[str, tuple[float, tuple[int, int]]] = {
    "thousand": (1e3, _NUMBER), "million": (1e6, _NUMBER), "billion": (1e9, _NUMBER),
    "%": (0.01, _NUMBER), "percent": (0.01, _NUMBER),
    "qps": (1.0, _PER_SECOND), "rps": (1.0, _PER_SECOND), "tps": (1.0, _PER_SECOND),
    "kqps": (1e3, _PER_SECOND), "mqps": (1e6, _PER_SECOND), "hz": (1.0, _PER_SECOND),
    "byte": (1.0, _BYTE), "bit": (0.125, _BYTE),
    "kilobyte": (1e3, _BYTE), "megabyte": (1e6, _BYTE), "gigabyte": (1e9, _BYTE),
    "terabyte": (1e12, _BYTE), "petabyte": (1e15, _BYTE), "exabyte": (1e18, _BYTE),
    "us": (1e-6, _SECOND), "µs": (1e-6, _SECOND), "microsecond": (1e-6, _SECOND),
    "ms": (1e-3, _SECOND), "millisecond": (1e-3, _SECOND),
    "s": (1.0, _SECOND), "sec": (1.0, _SECOND), "second": (1.0, _SECOND),
    "min": (60.0, _SECOND), "minute": (60.0, _SECOND),
    "h": (3600.0, _SECOND), "hr": (3600.0, _SECOND), "hour": (3600.0, _SECOND),
    "d": (86400.0, _SECOND), "day": (86400.0, _SECOND), "week": (7 * 86400.0, _SECOND),
    "month": (30 * 86400.0, _SECOND), "year": (365 * 86400.0, _SECOND),
    "hourly": (1 / 3600.0, _PER_SECOND), "daily": (1 / 86400.0, _PER_SECOND),
    "weekly": (1 / 604800.0, _PER_SECOND), "monthly": (1 / (30 * 86400.0), _PER_SECOND),
    "yearly": (1 / (365 * 86400.0), _PER_SECOND),
}  # fmt: skip
for _prefix, _factor in _PREFIXES.items():
    _UNITS[f"{_prefix}b"] = (_factor, _BYTE)
    _UNITS[f"{_prefix}bit"] = (_factor / 8, _BYTE)
    _UNITS[f"{_prefix}bps"] = (_factor / 8, (1, -1))  # network rates are in bits
for _power, _prefix in enumerate("kmgtp", start=1):
    _UNITS[f"{_prefix}ib"] = (1024.0**_power, _BYTE)

_SCALES = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9,
    "billion": 1e9, "t": 1e12, "trillion": 1e12, "quadrillion": 1e15,
}  # fmt: skip
_DIGITS = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_QUANTITY = re.compile(
    rf"(?<![\w.])(?P<sign>[-−])?(?P<value>{_DIGITS})"
    r"(?:e(?P<e>[+-]?\d+)|\s*[x×*·]\s*10\s*(?:\^|\*\*)\s*(?P<power>-?\d+))?"
    rf"(?:\s*(?:-|–|to)\s*(?P<upper>{_DIGITS}))?"
    r"(?:\s*(?P<scale>thousand|million|billion|trillion|quadrillion|bn|mn|[kmbt])(?![a-zµ]))?"
    r"(?P<unit>(?:(?!\.\s)[^\d=≈~;,()\n])*)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[a-zµ]+(?:['’][a-z]+)?|[/%]", re.IGNORECASE)
_PER = frozenset({"per", "/", "each", "every"})
_TIMES = frozenset("s sec second min minute h hr hour d day week month year".split())


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` of `10 GB per day` is 10, `factor` 1e9 / 86400, `dims` (1, -1)."""

    value: float
    factor: float
    dims: tuple[int, int]

    @property
    def base(self) -> float:
        """The value in bytes and seconds."""
        return self.value * self.factor


def read_unit(text: str) -> tuple[float, tuple[int, int]]:
    """Return the factor to bytes and seconds, and their powers: "GB/day" is 1e9/86400, (1, -1).

    Words that are no unit count things and do not matter: "GPU days" is days.
    """
    factor, size, time = 1.0, 0, 0
    below = False
    words = [_singular(token) for token in _TOKEN.findall(text)]
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word in _PER or (word in ("a", "an") and following in _TIMES):
            below = True
            continue
        if word in _UNITS:
            amount, (bytes_, seconds) = _UNITS[word]
            sign = -1 if below else 1
            factor *= amount**sign
            size, time = size + sign * bytes_, time + sign * seconds
        below = False
    return factor, (size, time)


def read_quantities(text: str, unit: str = "") -> list[Quantity]:
    """Return the quantities in `text`; a range counts as its middle.

    `unit` is the unit expected: where it is "m" (metres), "5 m" is not five million.
    """
    found = []
    for match in _QUANTITY.finditer(text):
        value = float(match["value"].replace(",", ""))
        value *= 10.0 ** int(match["e"] or match["power"] or 0)
        if match["upper"]:
            value = (value + float(match["upper"].replace(",", ""))) / 2
        if match["sign"]:
            value = -value
        scale = (match["scale"] or "").lower()
        if scale and not (scale == unit == "m"):
            value *= _SCALES[scale]
        factor, dims = read_unit(match["unit"])
        found.append(Quantity(value, factor, dims))
    return found


def check_step(step: EstimateStep, answer: str) -> StepCheck:
    """Check an answer to one step; of a worked line the result after the last `=` counts."""
    result = re.split(r"[=≈]", answer)[-1]
    quantities = read_quantities(result, step.unit) or read_quantities(answer, step.unit)
    return _check(step, quantities[:1], result.strip())


def check_steps(estimate: Estimate, asked: Sequence[int], answer: str) -> tuple[StepCheck, ...]:
    """Check a whole calculation: a step is right where any quantity of the answer is its value."""
    checks = []
    for number in asked:
        step = estimate.steps[number]
        found = [
            _check(step, [quantity], "") for quantity in read_quantities(answer, step.unit)
        ] or [_check(step, [], "")]
        right = [check for check in found if check.state == "right"]
        unmarked = [check for check in found if check.state == "no unit"]
        nothing = StepCheck(step.name, "no number", "", *_expected(step))
        checks.append((right + unmarked + [nothing])[0])
    return tuple(checks)


def score(checks: Sequence[StepCheck]) -> float:
    """Return the share of right steps; a right number without its unit is half right."""
    credit = {"right": 1.0, "no unit": 0.5}
    return sum(credit.get(check.state, 0.0) for check in checks) / len(checks)


def formula_shape(expression: str) -> str:
    """Return an expression with letters for its numbers: `5,000 / 86,400` is `a / b`."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    return re.sub(_DIGITS, lambda _: next(letters, "…"), expression)


def _check(step: EstimateStep, quantities: Sequence[Quantity], given: str) -> StepCheck:
    expected, expression = _expected(step)
    if not quantities:
        return StepCheck(step.name, "no number", given, expected, expression)
    quantity = quantities[0]
    readings = _readings(step)
    if any(q.dims == quantity.dims and _near(quantity.base, q.base) for q in readings):
        return StepCheck(step.name, "right", given, expected, expression)
    unitless = quantity.dims == _NUMBER and quantity.factor == 1.0
    if unitless and _near(quantity.value, step.value):
        named = not step.unit or any(q.dims == _NUMBER for q in readings)
        state = "right" if named else "no unit"
        return StepCheck(step.name, state, given, expected, expression)  # type: ignore[arg-type]
    if not any(q.dims == quantity.dims for q in readings) and not unitless:
        return StepCheck(step.name, "wrong unit", given, expected, expression)
    target = next((q.base for q in readings if q.dims == quantity.dims), step.value)
    note = _slip(quantity.base, target)
    return StepCheck(step.name, "wrong value", given, expected, expression, note)


def _readings(step: EstimateStep) -> list[Quantity]:
    """Return what the corpus may mean: the unit as written, the one in the name, or both.

    "Per hour: ... = 5 GB" is 5 GB, or 5 GB per hour.
    """
    units = {step.unit, f"{step.unit} {step.name}"}
    return [Quantity(step.value, *read_unit(unit)) for unit in sorted(units)]


def _expected(step: EstimateStep) -> tuple[str, str]:
    value = f"{step.value:,.0f}" if abs(step.value) >= 100 else f"{step.value:,.4g}"
    return f"{value} {step.unit}".strip(), step.expression


def _near(value: float, target: float) -> bool:
    return math.isclose(value, target, rel_tol=0, abs_tol=abs(target) * TOLERANCE + 1e-12)


def _slip(value: float, target: float) -> str:
    """Name the usual slip that explains a wrong value, if one does."""
    if not value or not target:
        return ""
    slips = {
        1e3: "a factor of a thousand", 1e6: "a factor of a million", 1e9: "a factor of a billion",
        8.0: "a factor of 8: bits or bytes?", 86400.0: "the 86,400 seconds of a day",
        3600.0: "the 3,600 seconds of an hour", 24.0: "the 24 hours of a day", 10.0: "a zero",
    }  # fmt: skip
    ratio = max(value / target, target / value)
    return next((f"off by {name}" for slip, name in slips.items() if _near(ratio, slip)), "")


def _singular(token: str) -> str:
    word = token.lower()
    singular = word.removesuffix("s")
    return singular if singular in _UNITS and len(singular) > 1 and word not in _UNITS else word
