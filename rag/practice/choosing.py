"""Which probe, ladder, estimate or document a session is about: by filter, then by seed.

Knows the bank only. A choice depends on nothing but the bank, the filter, the seed and what was
already practised.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rag.practice.bank import Bank, Estimate, Probe, Span
from rag.practice.errors import NothingFits, UnknownProbe

T = TypeVar("T")
_ASKED_ALONE = frozenset({"probe", "transcript", "quiz", "entry", "drill", "ladder"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asked for; "" means anything."""

    topic: str = ""
    company: str = ""
    difficulty: str = ""

    def fits(self, probe: Probe) -> bool:
        """Tell whether a probe is of that topic, company and difficulty."""
        return (
            self.closeness(probe) > 0
            and (not self.company or self.company.lower() in map(str.lower, probe.companies))
            and (not self.difficulty or self.difficulty.lower() == probe.difficulty.lower())
        )

    def closeness(self, probe: Probe) -> int:
        """Return 3 where the probe asks of the topic, 2 where it stands below it, 1 or 0."""
        where = (
            " ".join(probe.topics),
            " ".join([probe.span.doc, *probe.span.heading_path]),
            probe.prompt,
        )
        near = (n for n, text in enumerate(where, start=1) if self._topic in _plain(text))
        return max(near, default=0)

    @property
    def _topic(self) -> str:
        return _plain(self.topic)

    def __str__(self) -> str:
        parts = (f"{name} {getattr(self, name)!r}" for name in ("topic", "company", "difficulty"))
        return ", ".join(part for part in parts if not part.endswith("''")) or "anything"


def probe_by_id(bank: Bank, probe_id: str) -> Probe:
    """Return a probe; raises UnknownProbe."""
    try:
        return bank.by_id[probe_id]
    except KeyError:
        raise UnknownProbe(
            f"there is no probe {probe_id!r}: `rag practice bank list` shows all of them"
        ) from None


def choose_probe(bank: Bank, wanted: Wanted, seed: int, practised: Collection[str] = ()) -> Probe:
    """Return a probe that fits; if there are any, one about the topic itself, not practised yet."""
    fitting = [
        probe
        for probe in bank.probes
        if probe.kind in _ASKED_ALONE and probe.points and wanted.fits(probe)
    ]
    nearest = max(map(wanted.closeness, fitting), default=0)
    closest = [probe for probe in fitting if wanted.closeness(probe) == nearest]
    fresh = [probe for probe in closest if probe.id not in practised]
    return _draw(fresh or closest, seed, f"no probe fits {wanted}")


def choose_ladder(bank: Bank, wanted: Wanted, seed: int) -> Probe:
    """Return a probe with levelled answers that fits."""
    ladders = [probe for probe in bank.probes if len(probe.anchors) > 1 and wanted.fits(probe)]
    return _draw(ladders, seed, f"no ladder fits {wanted}")


def choose_estimate(bank: Bank, wanted: Wanted, seed: int) -> Estimate:
    """Return an estimation exercise whose title or document fits the topic."""
    topic = _plain(wanted.topic)
    fitting = [
        estimate
        for estimate in bank.estimates
        if estimate.steps and topic in _plain(f"{estimate.title} {estimate.span.doc}")
    ]
    return _draw(fitting, seed, f"no estimation exercise fits {wanted}")


def _plain(text: str) -> str:
    return text.lower().replace("-", " ")


def _draw(items: Sequence[T], seed: int, otherwise: str) -> T:
    if not items:
        raise NothingFits(f"{otherwise}: widen it, or ingest documents that have one")
    return random.Random(seed).choice(items)


def nearness(one: Probe, other: Span, topics: Collection[str] = ()) -> tuple[int, int, int]:
    """Return how near an entry stands to a probe: same document, shared headings, shared topics."""
    same = one.span.doc_id == other.doc_id
    shared = 0
    if same:
        for a, b in zip(one.span.heading_path, other.heading_path, strict=False):
            if a != b:
                break
            shared += 1
    return int(same), shared, len(set(one.topics) & set(topics))
