"""What can go wrong in this package; every message says what to do next.

RagError
|- SettingsError            a setting is unknown or out of range
|- ModelError
|  |- ModelMissing          not downloaded yet
|  |- ModelDownloadFailed   no network, no such package, disk full
|  `- ModelCorrupt          a file's size or SHA-256 is not the pinned one
|- LLMError                 the language model cannot be loaded or does not answer
`- ConversationError        a conversation cannot be kept or has no usable id
"""

from __future__ import annotations


class RagError(Exception):
    """Base of every error that a user of `rag` may meet."""


class SettingsError(RagError):
    """A setting is unknown or out of range."""


class ModelError(RagError):
    """A model cannot be used."""


class ModelMissing(ModelError):
    """A model is not in the model folder."""


class ModelDownloadFailed(ModelError):
    """A model could not be fetched; what had arrived is kept for the next try."""


class ModelCorrupt(ModelError):
    """A file differs from its pinned size or SHA-256; nothing of it is kept."""


class LLMError(RagError):
    """The language model cannot be loaded or does not answer."""


class ConversationError(RagError):
    """A conversation cannot be kept or has no usable id."""
