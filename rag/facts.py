"""The parts of a sentence that must match exactly: numbers with units, names, negation.

Deterministic text rules; knows nothing of models. What it finds in a claim must be found in the
source, or the claim is not supported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNTED = "zero one two three four five six seven eight nine ten eleven twelve".split()
_WORDS = {
    **{word: float(value) for value, word in enumerate(_COUNTED)},
    "dozen": 12.0, "half": 0.5, "twice": 2.0, "double": 2.0, "triple": 3.0,
}  # fmt: skip
_SCALES = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9,
    "t": 1e12, "trillion": 1e12,
}  # fmt: skip
_UNITS = {
    "%": "%", "percent": "%", "ms": "ms", "millisecond": "ms", "s": "s", "sec": "s", "second": "s",
    "min": "min", "minute": "min", "h": "h", "hr": "h", "hour": "h", "d": "day", "day": "day",
    "week": "week", "month": "month", "year": "year", "kb": "kb", "mb": "mb", "gb": "gb",
    "tb": "tb", "pb": "pb", "byte": "byte", "qps": "qps", "rps": "rps", "x": "x", "×": "x", "time": "x",
    "token": "token", "gpu": "gpu",
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.])[~≈<>≤≥$+−-]?(?P<value>\d[\d,]*(?:\.\d+)?)(?P<plus>\+)?"
    r"(?:\s*(?P<scale>k|m|b|bn|t|thousand|million|billion|trillion)(?![a-z]))?"
    r"(?:[\s-]*(?P<unit>%|×|[a-z]+))?",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(\d[\d,.]*)\s*(?:-|–|—|to)\s*(?=\d)", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-/.@'’][A-Za-z0-9]+)*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|without|cannot|rarely|hardly|unlike|instead)\b|n['’]t\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A value in base units of count, and its unit; "" where none is written."""

    value: float
    unit: str


def numbers(text: str) -> set[Number]:
    """Return the numbers of `text`: "10k QPS" is 10000 qps, "5-10%" is 5% and 10%, "two" is 2."""
    found: set[Number] = set()
    pending: list[float] = []
    for match in _NUMBER.finditer(text):
        value = float(match["value"].replace(",", "")) * _SCALES.get(
            (match["scale"] or "").lower(), 1.0
        )
        unit = _UNITS.get((match["unit"] or "").lower().rstrip("s") or "", "") or _UNITS.get(
            (match["unit"] or "").lower(), ""
        )
        if _RANGE.match(text, match.start("value")) and not unit:
            pending.append(value)  # the first end of a range: its unit follows the second
            continue
        found.update(Number(number, unit) for number in [*pending, value])
        pending.clear()
    found.update(Number(value, "") for value in pending)
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _WORDS:
            found.add(Number(_WORDS[word], ""))
    return found


def missing_numbers(claim: str, source: str) -> list[str]:
    """Return the numbers of `claim` that `source` does not state, in words for a report.

    A unit counts where both sides write one. Small number words ("one", "two") are grammar more
    often than facts and are not required.
    """
    stated = numbers(source)
    required = numbers(claim) - {Number(value, "") for value in (0.0, 0.5, 1.0, 2.0, 3.0)}
    return sorted(
        f"{number.value:g}{' ' + number.unit if number.unit else ''}"
        for number in required
        if not any(
            abs(number.value - other.value) <= 1e-9 * max(1.0, abs(number.value))
            and (number.unit == other.unit or not number.unit or not other.unit)
            for other in stated
        )
    )


def names(text: str) -> set[str]:
    """Return the names and technical terms of `text`: HNSW, MMoE, DCN-v2, p99, Kafka."""
    found = set()
    for match in _TOKEN.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“(*_")
        starts_sentence = not before or before[-1] in ".!?:\n•-"
        capitals = sum(c.isupper() for c in word)
        inner = any(c.isupper() for c in word[1:])
        lettered_digit = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
        if not (
            inner
            or (lettered_digit and not word[0].isdigit())
            or (capitals and not starts_sentence)
        ):
            continue
        if capitals == 1 and word in ("I", "A"):
            continue
        found.add(word)
    return found


def missing_names(claim: str, source: str) -> list[str]:
    """Return the names of `claim` that `source` does not have, not even spelled out."""
    have = _squeeze(source)
    initials = "".join(word[0] for word in re.findall(r"[a-z0-9]+", source.lower()))
    missing = []
    for name in names(claim):
        plain = _squeeze(name)
        singular = plain.removesuffix("s")
        acronym = name.isupper() and 2 < len(plain) <= 5 and plain in initials
        if plain not in have and singular not in have and not acronym:
            missing.append(name)
    return sorted(missing)


def is_negated(text: str) -> bool:
    """Tell whether `text` holds a negation word."""
    return bool(_NEGATION.search(text))


def _squeeze(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())
