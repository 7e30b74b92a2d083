"""Claim files: sentences beside the passage that should state them, labelled by a person.

Nothing here knows how a claim is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eval.json_lines import load_rows

Label = Literal["supported", "contradicted", "not_stated"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; `trick` says how it was made: paraphrase, number, negation, entity_swap..."""

    id: str
    source: str
    claim: str
    label: Label
    trick: str
    doc: str = ""
    topic: str = ""

    @property
    def supported(self) -> bool:
        """Whether the source states the claim."""
        return self.label == "supported"


def load_claims(path: Path) -> list[Claim]:
    """Read and check a claim file; raise CaseFileError, with file and line, at a mistake."""
    return load_rows(path, Claim, "id", _mistakes)


def _mistakes(claim: Claim) -> Iterator[str]:
    for name in ("id", "source", "claim", "trick"):
        if not getattr(claim, name).strip():
            yield f"{name} is empty"
