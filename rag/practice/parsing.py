"""parse_bank(): documents to the bank of practice, and lint(): what in it reads badly.

Runs every parser over every document, settles ids and contested numbers, and applies the override
file. Deterministic; loads no model. The shapes are known to the parsers alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from index.bm25 import terms
from ingest.documents import Document
from rag.practice.admonitions import parse_admonitions
from rag.practice.agreement import contested_points
from rag.practice.bank import (
    Bank,
    Clarification,
    CompanyLens,
    Estimate,
    PhaseClock,
    Probe,
    RedFlag,
    RubricPoint,
    Span,
)
from rag.practice.conventions import parse_conventions
from rag.practice.dialogue import parse_dialogue
from rag.practice.overrides import apply_overrides, load_overrides
from rag.practice.phrasings import load_phrasings, with_phrasings
from rag.practice.points import POINT_WORDS
from rag.practice.source import Source
from rag.practice.tabled import Entry, parse_tables
from rag.practice.unmarked import parse_unmarked

_PARSERS = (parse_tables, parse_conventions, parse_dialogue, parse_admonitions, parse_unmarked)
_FEWEST = 2  # points of a probe
_HELD = 0.6  # of a point's terms that its span must hold


def parse_bank(
    documents: Sequence[Document], overrides: Path | None = None, phrasings: Path | None = None
) -> Bank:
    """Return what practice finds in `documents`; raises BankError for a bad file beside them."""
    found: list[Entry] = []
    for document in documents:
        source = Source(document)
        entries = [entry for parse in _PARSERS for entry in parse(source)]
        found += sorted(
            entries, key=lambda entry: -1 if isinstance(entry, str) else entry.span.start
        )
    probes = _unique([entry for entry in found if isinstance(entry, Probe) and entry.points])
    empty = [entry for entry in found if isinstance(entry, Probe) and not entry.points]
    bank = Bank(
        probes=tuple(_settled(documents, probes)),
        red_flags=tuple(entry for entry in found if isinstance(entry, RedFlag)),
        clarifications=tuple(entry for entry in found if isinstance(entry, Clarification)),
        clocks=tuple(entry for entry in found if isinstance(entry, PhaseClock)),
        lenses=tuple(entry for entry in found if isinstance(entry, CompanyLens)),
        estimates=tuple(entry for entry in found if isinstance(entry, Estimate)),
        problems=(
            *(entry for entry in found if isinstance(entry, str)),
            *(f"{probe.span.doc}: {probe.prompt!r} has no points" for probe in empty),
        ),
    )
    if overrides:
        bank = apply_overrides(bank, load_overrides(overrides))
    return with_phrasings(bank, load_phrasings(phrasings)) if phrasings else bank


def lint(bank: Bank, documents: Sequence[Document]) -> list[str]:
    """Return what could not be read, and what reads badly, a line each."""
    texts = {document.id: document.text for document in documents}
    found = list(bank.problems)
    for probe in bank.probes:
        found += (f"{probe.id}: {message}" for message in _probe_faults(probe))
        for point in probe.points:
            found += (f"{point.id}: {message}" for message in _point_faults(point, texts))
    named: list[Probe | RedFlag | PhaseClock | Estimate] = [*bank.probes, *bank.red_flags]
    ids = Counter(entry.id for entry in [*named, *bank.clocks, *bank.estimates])
    found += (f"{key}: {count} entries have this id" for key, count in ids.items() if count > 1)
    return found


def _probe_faults(probe: Probe) -> Iterator[str]:
    if len(probe.points) < _FEWEST:
        yield f"has {len(probe.points)} point(s): nothing to grade by"
    if len(probe.prompt.split()) > 100:
        yield "the prompt is longer than 100 words"
    if re.search(r"\*\*|\]\(|`{3}", probe.prompt):
        yield "markup is left in the prompt"


def _point_faults(point: RubricPoint, texts: dict[str, str]) -> Iterator[str]:
    words = point.text.split()
    if len(words) > POINT_WORDS:
        yield f"has {len(words)} words, over {POINT_WORDS}: {point.text[:40]}..."
    if re.search(r"\*\*|\]\(|`{3}", point.text):
        yield f"markup is left: {point.text}"
    if held(point.text, point.span, texts) < _HELD:
        yield f"its span does not hold its words: {point.text}"


def held(words: str, span: Span, texts: dict[str, str]) -> float:
    """Return the part of the terms of `words` that the text of `span` holds."""
    wanted = set(terms(words))
    there = set(terms(texts.get(span.doc_id, "")[span.start : span.end]))
    return len(wanted & there) / len(wanted) if wanted else 1.0


def _unique(probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes with ids that differ: the second of one id gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for probe in probes:
        seen[probe.id] += 1
        if (count := seen[probe.id]) > 1:
            identity = f"{probe.id}-{count}"
            points = tuple(
                dataclasses.replace(point, id=identity + point.id.removeprefix(probe.id))
                for point in probe.points
            )
            probe = dataclasses.replace(probe, id=identity, points=points)
        found.append(probe)
    return found


def _settled(documents: Sequence[Document], probes: Sequence[Probe]) -> Iterator[Probe]:
    """Yield the probes; points whose numbers the corpus contests have none."""
    points = [point for probe in probes for point in probe.points]
    contested = contested_points(documents, points)
    for probe in probes:
        yield dataclasses.replace(
            probe,
            points=tuple(
                dataclasses.replace(point, numbers=()) if point.id in contested else point
                for point in probe.points
            ),
        )
