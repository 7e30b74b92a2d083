"""Results of slow calls, kept in a file so that an interrupted run goes on where it stopped.

The key is everything that a result depends on; who calls decides what that is. Nothing here knows
what is cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("rag", "index", "ingest")
SUFFIXES = frozenset({".py", ".toml", ".npy", ".npz"})  # weights decide as much as source


class Cache:
    """A JSON-lines file of key and value; a line that was cut off by a kill is ignored."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._values: dict[str, Any] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                self._values[row["key"]] = row["value"]

    def get(self, key: object, compute: Callable[[], Any]) -> Any:
        """Return the value of `key` (JSON-able), computed and written down if it is new."""
        value = self.find(key)
        if value is None:
            value = compute()
            self.put(key, value)
        return value

    def find(self, key: object) -> Any:
        """Return the value of `key`, or None."""
        return self._values.get(_digest(key))

    def put(self, key: object, value: Any) -> None:
        """Write down the value of `key`, which must not be None."""
        with self._path.open("a", encoding="utf-8") as file:
            # The line break first: it ends a line that was cut off.
            file.write("\n" + json.dumps({"key": _digest(key), "value": value}) + "\n")
        self._values[_digest(key)] = value


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def code_version(root: Path | None = None) -> str:
    """Return a hash of source and weights of everything that answers a question."""
    root = root or Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix not in SUFFIXES:
                continue
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
