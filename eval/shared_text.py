"""Finds where a text shares a run of words with a source that it must not copy from.

Words are compared in lower case without punctuation or markup, with apostrophes both dropped and
as gaps. Knows nothing of Markdown structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingest.cleaning import repair_encoding

RUN = 8

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHE = re.compile(r"['’]")
_LINK_TARGET = re.compile(r"\]\([^)\n]*\)")
_GAPS = ("", " ")


class SourceRuns:
    """Every run of eight words in the sources, and the file it stands in."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        """Take (name, text) pairs; a text with a wrong encoding counts repaired, too."""
        self._runs: list[dict[tuple[str, ...], str]] = [{} for _ in _GAPS]
        for name, text in texts:
            for version in {text, repair_encoding(text).text}:
                for runs, gap in zip(self._runs, _GAPS, strict=True):
                    words = [word for word, _ in _words(version, gap)]
                    for run in _windows(words):
                        runs.setdefault(run, name)

    def shared(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield (line, words, name of the source) for each longest shared run, once a line."""
        seen: set[int] = set()
        for runs, gap in zip(self._runs, _GAPS, strict=True):
            words = _words(text, gap)
            known = [runs.get(run) for run in _windows([word for word, _ in words])]
            at = 0
            while at < len(known):
                start, name = at, known[at]
                while at < len(known) and known[at]:
                    at += 1
                if name and (line := words[start][1]) not in seen:
                    seen.add(line)
                    yield line, " ".join(word for word, _ in words[start : at + RUN - 1]), name
                at += 1


def read_sources(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of every text file in `folder`."""
    for path in sorted(folder.glob("*.txt")):
        yield path.name, path.read_text(encoding="utf-8-sig")


def _words(text: str, gap: str) -> list[tuple[str, int]]:
    """Return each word with its line, counted from 1."""
    plain = _LINK_TARGET.sub("]", _APOSTROPHE.sub(gap, text))
    return [
        (match[0].lower(), number)
        for number, line in enumerate(plain.split("\n"), start=1)
        for match in _WORD.finditer(line)
    ]


def _windows(words: list[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))
