"""Exact and near duplicates among texts.

Exact: equal after reduction to lower-case words. Near: a high Jaccard similarity of word shingles,
candidates found by MinHash (Broder 1997) with banding. Knows only keys and texts.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from ingest.documents import content_id

_WORD = re.compile(r"\w+")
_SHINGLE = 4
_BANDS, _ROWS = 24, 4  # a pair of similarity .7 becomes a candidate with probability .999
_PRIME = (1 << 31) - 1
_MAX_BUCKET = 50  # a bucket beyond this is boilerplate; its pairs are taken in sequence only


def fingerprint(text: str) -> str:
    """Return an id that is the same for texts with the same words in the same order."""
    return content_id(" ".join(_WORD.findall(text.lower())))


def exact_duplicates(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map the key of each repeated text to the key of its first occurrence."""
    first: dict[str, str] = {}
    repeated: dict[str, str] = {}
    for key, text in texts:
        original = first.setdefault(fingerprint(text), key)
        if original != key:
            repeated[key] = original
    return repeated


def near_duplicates(texts: Mapping[str, str], threshold: float) -> list[tuple[str, str, float]]:
    """Return pairs of keys whose texts have a Jaccard similarity of at least `threshold`."""
    shingles = {key: _shingles(text) for key, text in texts.items()}
    shingles = {key: found for key, found in shingles.items() if len(found) >= _SHINGLE}
    random = np.random.default_rng(0)
    factors = random.integers(1, _PRIME, (_BANDS * _ROWS, 2), dtype=np.int64)
    buckets: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for key, found in shingles.items():
        signature = _signature(found, factors)
        for band in range(_BANDS):
            rows = signature[band * _ROWS : (band + 1) * _ROWS]
            buckets[band, rows.tobytes()].append(key)
    pairs: dict[tuple[str, str], float] = {}
    for keys in buckets.values():
        chosen = combinations(keys, 2) if len(keys) <= _MAX_BUCKET else pairwise(keys)
        for one, two in chosen:
            if (one, two) not in pairs:
                a, b = shingles[one], shingles[two]
                pairs[one, two] = len(a & b) / len(a | b)
    return [(*pair, score) for pair, score in sorted(pairs.items()) if score >= threshold]


def _shingles(text: str) -> set[int]:
    words = _WORD.findall(text.lower())
    spans = (" ".join(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1))
    return {zlib.crc32(span.encode("utf-8", "surrogatepass")) >> 1 for span in spans}


def _signature(shingles: set[int], factors: NDArray[np.int64]) -> NDArray[np.int64]:
    values = np.fromiter(shingles, dtype=np.int64, count=len(shingles)) % _PRIME
    # Products stay below 2^62: both factors are below 2^31.
    hashed = (factors[:, :1] * values[None, :] + factors[:, 1:]) % _PRIME
    return np.asarray(hashed.min(axis=1), dtype=np.int64)
