"""Uploaded files, under names that the service makes.

Knows nothing of what is in a file: ingestion reads it and reports what it cannot use.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from api.errors import BadRequest

_UNSAFE = re.compile(r"[^\w.\- ()]+")
_MAX_STEM_BYTES = 120
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")


def safe_name(name: str) -> str:
    """Return a file name for the name that a client gave.

    A harmless name stays as it is, so that a second upload replaces the first. One that has to
    change gets 8 digits of its hash, so that two names never meet. Raises BadRequest for a path.
    """
    if not name or "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
        raise BadRequest("A file needs a plain name: no folders, no U+0000.")
    normal = unicodedata.normalize("NFC", name)
    stem, suffix = os.path.splitext(normal)  # noqa: PTH122  # a Path would drop "..", "." parts
    if not _SUFFIX.fullmatch(suffix):
        stem, suffix = normal, ""
    stem = _UNSAFE.sub("_", stem).strip(" .")
    stem = stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore")
    if stem and stem + suffix == name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{stem or 'file'}-{digest}{suffix}"


def save_uploads(folder: Path, files: Mapping[str, BinaryIO]) -> list[str]:
    """Write each file whole or not at all, over one of the same name; return the paths' names."""
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    for name, file in files.items():
        target = root / name
        if target.parent != root or PurePosixPath(name).name != name:
            raise BadRequest(f"{name!r} would leave the folder for uploads.")
        with tempfile.NamedTemporaryFile(dir=root, prefix=".part-", delete=False) as part:
            try:
                while block := file.read(1 << 20):
                    part.write(block)
                part.flush()
                os.fsync(part.fileno())
                os.replace(part.name, target)  # noqa: PTH105  # over a link, not through it
            except OSError:
                Path(part.name).unlink(missing_ok=True)
                raise
    return list(files)
