"""An index on disk: a sequence of immutable generations and a pointer to the current one.

    ROOT/CURRENT                         the name of a generation
    ROOT/generations/NAME/manifest.json  what it was made with, and the SHA-256 of every file
    ROOT/generations/NAME/...            written aside, synced, checked, renamed; then final

A process that is killed at any point leaves the old generation in place. Knows nothing of what
the files mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from index.errors import IndexCorrupt, IndexMissing, IndexStoreError

SCHEMA_VERSION = 3
_KEPT = 2  # the current generation and the one to fall back to


class GenerationStore:
    """The generations below `root`; one process may build at a time, any number may read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._generations = root / "generations"

    def names(self) -> list[str]:
        """Return the complete generations, oldest first."""
        if not self._generations.is_dir():
            return []
        return sorted(p.name for p in self._generations.iterdir() if not p.name.startswith("."))

    def current(self) -> str:
        """Return the name of the current generation; raises IndexMissing."""
        try:
            name = (self.root / "CURRENT").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise IndexMissing(
                f"there is no index in {self.root}: run `rag ingest PATH` to build one"
            ) from None
        return name

    def candidates(self) -> list[Path]:
        """Return the folders to try, best first: the current generation, then the one before it."""
        current = self.current()
        older = [name for name in reversed(self.names()) if name < current]
        return [self._generations / name for name in [current, *older[: _KEPT - 1]]]

    def newest_sound(self) -> tuple[Path, dict[str, Any], list[str]]:
        """Return the best generation whose files are whole, its manifest, and what was passed over.

        Raises IndexMissing, or IndexCorrupt where none is left.
        """
        problems: list[str] = []
        for folder in self.candidates():
            try:
                return folder, read_manifest(folder), problems
            except IndexCorrupt as error:
                problems.append(str(error))
        raise IndexCorrupt("; ".join(problems))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to build; raises IndexStoreError where another process has it."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / "build.lock", timeout=0):
                yield
        except Timeout:
            raise IndexStoreError(
                f"another process is building the index in {self.root}: wait for it to end"
            ) from None

    def publish(
        self,
        write: Callable[[Path], None],
        manifest: Mapping[str, Any],
        check: Callable[[Path], None],
    ) -> str:
        """Build a generation and make it the current one; call it under `lock`.

        `write` fills a new folder, `check` loads it back and raises where it does not work. Until
        the last rename nothing that a reader sees has changed.
        """
        self._generations.mkdir(parents=True, exist_ok=True)
        for left_over in self._generations.glob(".building-*"):
            shutil.rmtree(left_over)
        number = 1 + max((int(name.split("-")[0]) for name in self.names()), default=0)
        folder = self._generations / f".building-{number:06d}"
        folder.mkdir()
        try:
            write(folder)
            hashes = {str(p.relative_to(folder)): sha256_of(p) for p in _files(folder)}
            name = f"{number:06d}-{_digest(hashes)}"
            content = {"schema_version": SCHEMA_VERSION, "generation": name, **manifest}
            (folder / "manifest.json").write_text(
                json.dumps({**content, "files": hashes}, indent=2), encoding="utf-8"
            )
            for path in _files(folder):
                _sync(path)
            _sync(folder)
            check(folder)
            folder.rename(self._generations / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _sync(self._generations)
        self._point_to(name)
        for old in self.names()[:-_KEPT]:
            shutil.rmtree(self._generations / old)
        return name

    def _point_to(self, name: str) -> None:
        pointer = self.root / ".CURRENT.new"
        pointer.write_text(name + "\n", encoding="utf-8")
        _sync(pointer)
        pointer.replace(self.root / "CURRENT")
        _sync(self.root)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a generation after checking every file; raises IndexCorrupt."""
    rebuild = "run `rag ingest PATH` to build the index again"
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        if manifest["schema_version"] != SCHEMA_VERSION:
            raise IndexCorrupt(f"{folder.name} was written by another version: {rebuild}")
        for name, expected in manifest["files"].items():
            if sha256_of(folder / name) != expected:
                raise IndexCorrupt(f"{folder.name}/{name} is damaged: {rebuild}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IndexCorrupt(f"{folder.name} cannot be read ({error}): {rebuild}") from error
    return manifest


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:8]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
