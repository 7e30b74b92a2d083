"""The parts of a sentence that must match exactly: numbers with units, names, negation.

Deterministic text rules; knows nothing of models. What it finds in a claim must be found in the
source, or the claim is not supported.
"""

from __future__ import annotations

import math
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
# Units and what they are of their base unit: 0.5 s is 500 ms, 0.4 TB is 400 GB.
_BASE = {
    "%": ("%", 1.0), "x": ("x", 1.0), "day": ("day", 1.0), "week": ("day", 7.0),
    "month": ("month", 1.0), "year": ("year", 1.0), "qps": ("qps", 1.0), "token": ("token", 1.0),
    "gpu": ("gpu", 1.0), "ms": ("s", 1e-3), "s": ("s", 1.0), "min": ("s", 60.0), "h": ("s", 3600.0),
    "byte": ("byte", 1.0), "kb": ("byte", 1e3), "mb": ("byte", 1e6), "gb": ("byte", 1e9),
    "tb": ("byte", 1e12), "pb": ("byte", 1e15),
}  # fmt: skip
_SPELLINGS = {
    "percent": "%", "×": "x", "time": "x", "times": "x", "millisecond": "ms", "sec": "s",
    "second": "s", "minute": "min", "hr": "h", "hour": "h", "d": "day", "rps": "qps",
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.])[~≈<>≤≥$+−-]?(?P<value>\d[\d,]*(?:\.\d+)?)(?P<plus>\+)?"
    r"(?:\s*(?P<scale>k|m|b|bn|t|thousand|million|billion|trillion)(?![a-z]))?"
    r"(?:[\s-]*(?P<unit>%|×|[a-z]+))?",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(\d[\d,.]*)\s*(?:-|–|—|to)\s*(?=\d)", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-/.@'’][A-Za-z0-9]+)*")
_RESTRICTING = frozenset(
    "if unless only except until when where may might sometimes often usually rarely".split()
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|without|cannot|rarely|hardly|unlike|instead)\b|n['’]t\b",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"\bhow (?:\w+ )?(?:many|much)\b|\bhow (?:long|often|big|large|fast|old|far)\b"
    r"|\b(?:what|which) (?:[\w-]+ ){0,2}(?:share|percentage|rate|price|threshold|size"
    r"|level|ratio|score|budget|similarity|ttl|entropy|pressure|frequency|latency|temperature|dimension"
    r"|value)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    rf"\d|\b(?:{'|'.join(_COUNTED[2:])}|dozens?|half|thirds?|quarters?"
    r"|fifth|tenth|twice|once|hundreds?|thousands?|millions?|hourly|daily|nightly|weekly|monthly|yearly"
    r"|(?:second|minute|hour|day|week|month|year)s?|every)\b",
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
        scale = _SCALES.get((match["scale"] or "").lower(), 1.0)
        value = float(match["value"].replace(",", "")) * scale
        unit, factor = _unit(match["unit"] or "")
        if not unit and _RANGE.match(text, match.start("value")):
            pending.append(value)  # the first end of a range: its unit follows the second
            continue
        found.update(Number(number * factor, unit) for number in [*pending, value])
        pending.clear()
    found.update(Number(value, "") for value in pending)
    words = re.findall(r"[a-z]+", text.lower())
    return found | {Number(_WORDS[word], "") for word in words if word in _WORDS}


def _unit(word: str) -> tuple[str, float]:
    """Return the base unit and how many of it make one of `word`; "" where it is no unit."""
    word = word.lower()
    for form in (word, word.removesuffix("s")):
        form = _SPELLINGS.get(form, form)
        if form in _BASE:
            return _BASE[form]
    return "", 1.0


def missing_numbers(claim: str, source: str) -> list[str]:
    """Return the numbers of `claim` that `source` does not state, in words for a report.

    A unit counts where both sides write one. Small number words ("one", "two") are grammar more
    often than facts and are not required.
    """
    stated = numbers(source)
    required = numbers(claim) - {Number(value, "") for value in (0.0, 0.5, 1.0, 2.0, 3.0)}
    return sorted(
        f"{number.value:g} {number.unit}".strip()
        for number in required
        if not any(_equal(number, other) for other in stated)
    )


def _equal(one: Number, other: Number) -> bool:
    same_unit = one.unit == other.unit or not one.unit or not other.unit
    return same_unit and math.isclose(one.value, other.value, rel_tol=1e-6)


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
        if word in ("I", "A") or _unit(word)[0] or _is_quantity(word):
            continue
        found.add(word)
    return found


def _is_quantity(word: str) -> bool:
    """Tell whether `word` is a number with its scale or unit, such as 10K: no name."""
    match = _NUMBER.fullmatch(word)
    return match is not None and bool(match["scale"] or _unit(match["unit"] or "")[0])


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


def lacks_number(question: str, text: str) -> bool:
    """Tell whether only an amount answers `question` (how many, how often) and none is there."""
    return bool(_QUANTITY.search(question)) and not _AMOUNT.search(text)


def conditions(text: str) -> set[str]:
    """Return the words of `text` that restrict what it says: if, only, unless, up to..."""
    return {word for word in re.findall(r"[a-z]+", text.lower()) if word in _RESTRICTING}


def _squeeze(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())
