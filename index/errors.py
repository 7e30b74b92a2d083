"""What can go wrong with an index; every message says what to do next.

IndexStoreError
|- IndexMissing        nothing has been ingested yet
|- IndexCorrupt        a file differs from its manifest, and no generation is left to fall back to
`- EmbedderMismatch    the index was made with another embedding model
"""

from __future__ import annotations


class IndexStoreError(Exception):
    """Base of every error of this package."""


class IndexMissing(IndexStoreError):
    """There is no index in the data folder."""


class IndexCorrupt(IndexStoreError):
    """A generation's files are not those that its manifest lists."""


class EmbedderMismatch(IndexStoreError):
    """Vectors of two models must never meet in one search."""
