"""A study document as a page: front matter and lines of the file, and the sections in them.

Line numbers count from 1; code and diagrams are blanked. Knows nothing of what a corpus must hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rag.practice.pages import Line, Section, sections

_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)
_FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """One file; `front` is None where the front matter is missing or no mapping."""

    path: Path
    front: Mapping[str, Any] | None
    lines: tuple[Line, ...]

    def sections(self) -> Iterator[Section]:
        """Yield every section, a section before those within it."""
        return sections(self.lines)


def read_page(path: Path) -> Page:
    """Read a Markdown file; raises OSError or UnicodeDecodeError."""
    text = path.read_text(encoding="utf-8")
    match = _FRONT_MATTER.match(text)
    front = None
    if match:
        try:
            front = yaml.safe_load(match[1])
        except yaml.YAMLError:
            front = None
    skipped = text[: match.end()].count("\n") if match else 0
    body = text[match.end() :] if match else text
    body = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), body)
    lines = tuple(enumerate(body.split("\n"), start=skipped + 1))
    return Page(path, front if isinstance(front, dict) else None, lines)
