"""What can go wrong while files are read.

IngestError
|- PathNotFound      a path to ingest does not exist
`- UnreadableFile    one file cannot be used; ingestion names it and goes on
"""

from __future__ import annotations

from pathlib import Path


class IngestError(Exception):
    """Base of every error of this package."""


class PathNotFound(IngestError):
    """A path to ingest does not exist."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} does not exist; name a file or a folder with documents")
        self.path = path


class UnreadableFile(IngestError):
    """One file cannot be used; `reason` says why in words for the report."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
