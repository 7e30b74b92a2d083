"""One loader per file type: bytes to text, title and metadata.

For text formats line N of the result is line N of the file. A loader knows nothing of
structure; PDF and DOCX are parsed in a process of their own, with limits.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from ingest.cleaning import normalise_newlines
from ingest.errors import UnreadableFile

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_FRONT_MATTER = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single file may cost."""

    max_bytes: int = 20_000_000
    parse_seconds: int = 60
    parse_memory: int = 1_500_000_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """The text of a file before cleaning; `title` is empty where the format names none."""

    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Loader(Protocol):
    """Turns the bytes of one file type into text."""

    def load(self, path: Path, data: bytes, limits: Limits) -> Loaded:
        """Return the text of `data`, read from `path`; raises UnreadableFile."""
        ...


class TextLoader:
    """Plain text and Markdown; front matter becomes metadata and leaves blank lines behind."""

    def load(self, path: Path, data: bytes, limits: Limits) -> Loaded:
        """Decode and split off the front matter."""
        text = normalise_newlines(_decode(path, data))
        match = _FRONT_MATTER.match(text)
        if match is None or len(match.group(1)) > _MAX_FRONT_MATTER:
            return Loaded(text)
        metadata = _front_matter(match.group(1))
        if metadata is None:
            return Loaded(text)
        blank = "\n" * match.group().count("\n")
        return Loaded(blank + text[match.end() :], str(metadata.get("title", "")), metadata)


class HtmlLoader:
    """HTML, as Markdown-like lines: headings, lists and tables; scripts and styles dropped."""

    def load(self, path: Path, data: bytes, limits: Limits) -> Loaded:
        """Return what a reader of the page sees."""
        from ingest.markup import html_to_text

        _reject_binary(path, data.decode("latin-1"))
        title, text = html_to_text(data)
        return Loaded(text, title)


class IsolatedLoader:
    """PDF and DOCX, parsed by `ingest/extract.py` in a process with limits on memory and time."""

    def load(self, path: Path, data: bytes, limits: Limits) -> Loaded:
        """Return the text; a document that breaks the limits is unreadable, not fatal."""
        command = [
            *(sys.executable, "-P", "-X", "utf8", str(Path(__file__).with_name("extract.py"))),
            *(path.suffix.lower(), str(limits.parse_memory), str(limits.parse_seconds)),
        ]
        # Numerical libraries reserve address space per thread, which counts against the limit.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            process = subprocess.run(
                command,
                input=data,
                capture_output=True,
                timeout=limits.parse_seconds,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnreadableFile(path, f"takes over {limits.parse_seconds} s to parse") from error
        try:
            result = json.loads(process.stdout)
        except ValueError as error:
            reason = f"stopped the parser (exit code {process.returncode}): over a limit"
            raise UnreadableFile(path, reason) from error
        if "reason" in result:
            raise UnreadableFile(path, result["reason"])
        text = normalise_newlines(result["text"])
        return Loaded(text, result["title"].strip(), result["metadata"])


_TEXT, _HTML, _ISOLATED = TextLoader(), HtmlLoader(), IsolatedLoader()
LOADERS: Mapping[str, Loader] = {
    ".md": _TEXT,
    ".markdown": _TEXT,
    ".txt": _TEXT,
    ".html": _HTML,
    ".htm": _HTML,
    ".pdf": _ISOLATED,
    ".docx": _ISOLATED,
}


def load_file(path: Path, data: bytes, limits: Limits) -> Loaded:
    """Load `data`, the bytes of `path`, with the loader of its suffix."""
    if not data.strip():
        raise UnreadableFile(path, "is empty")
    loaded = LOADERS[path.suffix.lower()].load(path, data, limits)
    if not loaded.text.strip():
        raise UnreadableFile(path, "holds no text")
    return loaded


def _decode(path: Path, data: bytes) -> str:
    import ftfy

    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = _reject_binary(path, data.decode("latin-1")) and ftfy.guess_bytes(data)[0]
    return _reject_binary(path, text)


def _reject_binary(path: Path, text: str) -> str:
    if "\0" in text:
        raise UnreadableFile(path, "is binary (it holds NUL characters)")
    if len(_CONTROL.findall(text)) > len(text) // 100:
        raise UnreadableFile(path, "is binary (over 1% control characters)")
    return text


def _front_matter(source: str) -> dict[str, Any] | None:
    """Return the mapping in `source`, scalars and lists of scalars only, or None."""
    import yaml

    try:
        data = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    metadata: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, list):
            metadata[str(key)] = [_scalar(item) for item in value if _is_scalar(item)]
        elif _is_scalar(value):
            metadata[str(key)] = _scalar(value)
    if "tags" in metadata and not isinstance(metadata["tags"], list):
        metadata["tags"] = [tag.strip() for tag in str(metadata["tags"]).split(",") if tag.strip()]
    return metadata


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool | date)


def _scalar(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
