"""The override file: what parsing gets wrong is dropped or written anew, by id.

TOML, with any number of these tables; `rag practice bank list` shows the ids:

    [[drop]]
    id = "probe-how-do-you-1a2b"       # any entry with an id, or one point: probe-....3c4d

    [[rewrite]]
    id = "probe-how-do-you-1a2b.3c4d"  # with what is to change, see Rewrite
    text = "The words as they should be."

Spans stay: an entry written anew still cites where it came from. Knows nothing of parsing.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.practice.bank import Bank, Detector, Estimate, Facet, PhaseClock, Probe, RedFlag, Weight
from rag.practice.bank import RubricPoint as Point
from rag.practice.errors import BankError

_Entry = TypeVar("_Entry", Probe, RedFlag, PhaseClock, Estimate, Point)


class Drop(BaseModel):
    """An entry or a point to leave out; `reason` is for the reader of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    reason: str = ""


class Rewrite(Drop):
    """New values for the fields of a probe, a point or a red flag."""

    prompt: str | None = None
    context: str | None = None
    topics: list[str] | None = None
    companies: list[str] | None = None
    difficulty: str | None = None
    seconds: int | None = Field(default=None, gt=0)
    follow_ups: list[str] | None = None
    model_answer: str | None = None
    text: str | None = None
    weight: Weight | None = None
    facet: Facet | None = None
    level: str | None = None
    numbers: list[str] | None = None
    why: str | None = None
    better: str | None = None
    detector: Detector | None = None


class Overrides(BaseModel):
    """The contents of an override file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    drop: list[Drop] = []
    rewrite: list[Rewrite] = []


def load_overrides(path: Path) -> Overrides:
    """Read an override file; raises BankError, naming the mistake."""
    try:
        return Overrides.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BankError(f"{path}: cannot be read ({error.strerror}): check --overrides") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BankError(f"{path}: is no TOML file ({error}): correct it") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = error.errors()[0]["msg"]
        raise BankError(f"{path}: {where}: {message}: correct this entry") from error


def apply_overrides(bank: Bank, overrides: Overrides) -> Bank:
    """Return the bank with the overrides applied; ids that it does not have are problems."""
    change = _Change(overrides)
    probes = tuple(
        dataclasses.replace(probe, points=change.of(probe.points))
        for probe in change.of(bank.probes)
    )
    red_flags, clocks = change.of(bank.red_flags), change.of(bank.clocks)
    estimates = change.of(bank.estimates)
    # The points of a dropped probe were not looked at, but their ids are known.
    change.used |= {point.id for probe in bank.probes for point in probe.points}
    unknown = [
        f"overrides: nothing has the id {one.id!r}: remove it, or correct it"
        for one in (*overrides.drop, *overrides.rewrite)
        if one.id not in change.used
    ]
    return dataclasses.replace(
        bank,
        probes=probes,
        red_flags=red_flags,
        clocks=clocks,
        estimates=estimates,
        problems=(*bank.problems, *change.problems, *unknown),
    )


class _Change:
    """Drops and rewrites entries, and keeps which ids were there."""

    def __init__(self, overrides: Overrides) -> None:
        self._drop = {one.id for one in overrides.drop}
        self._rewrite = {one.id: one for one in overrides.rewrite}
        self.used: set[str] = set()
        self.problems: list[str] = []

    def of(self, entries: Iterable[_Entry]) -> tuple[_Entry, ...]:
        found = []
        for entry in entries:
            self.used.add(entry.id)
            if entry.id not in self._drop:
                found.append(self._rewritten(entry))
        return tuple(found)

    def _rewritten(self, entry: _Entry) -> _Entry:
        rewrite = self._rewrite.get(entry.id)
        if rewrite is None:
            return entry
        values: dict[str, Any] = rewrite.model_dump(exclude_none=True, exclude={"id", "reason"})
        known = {field.name for field in dataclasses.fields(entry)}
        if unknown := sorted(set(values) - known):
            kind = type(entry).__name__
            self.problems.append(f"overrides: {entry.id}: a {kind} has no {', '.join(unknown)}")
            values = {name: value for name, value in values.items() if name in known}
        fields: Any = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return dataclasses.replace(entry, **fields)
