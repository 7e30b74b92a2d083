"""Finds the files to ingest below the given paths and reads their bytes, safely.

Hidden files and folders are passed over; whatever else cannot be used is named with the reason.
Knows suffixes and sizes, nothing of what the files say.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import PathNotFound, UnreadableFile
from ingest.loaders import LOADERS, Limits


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to ingest; `uri` is its path relative to the ingested folder."""

    path: Path
    uri: str


Skipped = list[tuple[str, str]]  # (path as found, reason)


def find_files(paths: Sequence[Path]) -> tuple[list[SourceFile], Skipped]:
    """Return the files below `paths` in a stable order, and what was skipped.

    Where files of two paths would share a uri, the folder's name is put in front.
    """
    skipped: Skipped = []
    seen: set[Path] = set()
    found: list[tuple[Path, str, str]] = []
    for root in dict.fromkeys(path.absolute() for path in paths):
        if not root.exists():
            raise PathNotFound(root)
        entries = list(_walk(root, skipped)) if root.is_dir() else [(root, root.name)]
        for path, relative in sorted(entries, key=lambda entry: entry[1]):
            if path not in seen:
                seen.add(path)
                folder = root.name if root.is_dir() else root.parent.name
                found.append((path, relative, folder))
    counts: dict[str, int] = {}
    for _, relative, _ in found:
        counts[relative] = counts.get(relative, 0) + 1
    files: list[SourceFile] = []
    taken: set[str] = set()
    for path, relative, folder in found:
        uri = f"{folder}/{relative}" if counts[relative] > 1 else relative
        uri = uri if uri not in taken else path.as_posix().lstrip("/")
        taken.add(uri)
        files.append(SourceFile(path, uri))
    return files, skipped


def read_bytes(file: SourceFile, limits: Limits) -> bytes:
    """Return the bytes of `file`; raises UnreadableFile for what is no ordinary, sane file."""
    path = file.path
    if path.suffix.lower() not in LOADERS:
        known = " ".join(LOADERS)
        raise UnreadableFile(path, f"has an unsupported type (supported: {known})")
    try:
        # Non-blocking, so that opening a FIFO returns; the check below then refuses it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableFile(path, "is not a regular file")
            if status.st_size > limits.max_bytes:
                size = f"{status.st_size / 1e6:.1f} MB"
                raise UnreadableFile(path, f"is too large ({size}; raise the limit to take it)")
            data = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read ({error.strerror})") from error
    if len(data) > limits.max_bytes:
        raise UnreadableFile(path, "is too large (it grew while it was read)")
    return data


def _walk(root: Path, skipped: Skipped) -> Iterator[tuple[Path, str]]:
    real_root = root.resolve()

    def unreadable(error: OSError) -> None:
        skipped.append((str(error.filename), f"cannot be read ({error.strerror})"))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in list(folders):
            if (here / name).is_symlink():
                folders.remove(name)
                skipped.append((str(here / name), "is a link to a folder; links are not followed"))
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                skipped.append((str(path), "is a link that leads out of the folder"))
                continue
            yield path, path.relative_to(root).as_posix()
