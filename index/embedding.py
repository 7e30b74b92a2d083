"""Texts -> vectors, through sentence-transformers: one vector a text, or one a token.

A model is a folder with an ONNX file (run by `index.onnx`) or anything that sentence-transformers
loads by name or path. Knows nothing of chunks or of where models come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from index.late_interaction import quantize

Progress = Callable[[int, int], None]  # (texts done, texts in all)
_BATCH = 16


class Embedder(Protocol):
    """One unit vector a text."""

    fingerprint: str
    dimension: int

    def embed_query(self, query: str) -> NDArray[np.float32]:
        """Return a vector (dimension,)."""
        ...

    def embed_documents(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Return a matrix (len(texts), dimension)."""
        ...


class TokenEmbedder(Protocol):
    """One unit vector a token, for late interaction."""

    fingerprint: str

    def embed_query(self, query: str) -> NDArray[np.float32]:
        """Return a matrix (tokens, dimension)."""
        ...

    def embed_documents(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> list[NDArray[np.int8]]:
        """Return a quantized matrix (tokens, dimension) per text."""
        ...


class TokenCounter:
    """Counts a model's tokens with its tokenizer alone: no model, no torch, so it loads at once."""

    def __init__(self, reference: Path | str) -> None:
        from tokenizers import Tokenizer

        folder = Path(reference)
        self._tokenizer = (
            Tokenizer.from_file(str(folder / "tokenizer.json"))
            if folder.is_dir()
            else Tokenizer.from_pretrained(str(reference))
        )
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __call__(self, text: str) -> int:
        """Return the number of tokens of `text`, without the special ones."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class SentenceEmbedder:
    """The Embedder of a sentence-transformers model."""

    def __init__(
        self,
        reference: Path | str,
        *,
        fingerprint: str,
        query_prefix: str = "",
        threads: int | None = None,
    ) -> None:
        """Load the model."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

        self.fingerprint = fingerprint
        if _is_onnx(reference):
            from index.onnx import OnnxTransformer

            transformer = OnnxTransformer(
                Path(reference), output="token_embeddings", threads=threads
            )
            pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="cls")
            self._model = SentenceTransformer(
                modules=[transformer, pooling, Normalize()], prompts={"query": query_prefix}
            )
        else:
            prompts = {"query": query_prefix} if query_prefix else None
            self._model = SentenceTransformer(str(reference), prompts=prompts, device="cpu")
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def embed_query(self, query: str) -> NDArray[np.float32]:
        """Return a unit vector (dimension,)."""
        return np.asarray(
            self._model.encode_query(query, normalize_embeddings=True, show_progress_bar=False),
            dtype=np.float32,
        )

    def embed_documents(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Return unit vectors (len(texts), dimension)."""

        def encode(batch: list[str]) -> NDArray[np.float32]:
            return np.asarray(
                self._model.encode_document(
                    batch, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
                ),
                dtype=np.float32,
            )

        rows = _in_batches(texts, encode, progress)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)


class LateInteractionEmbedder:
    """The TokenEmbedder of a sentence-transformers multi-vector (ColBERT-style) model."""

    def __init__(
        self,
        reference: Path | str,
        *,
        fingerprint: str,
        query_prefix: str = "",
        document_prefix: str = "",
        threads: int | None = None,
    ) -> None:
        from sentence_transformers import MultiVectorEncoder

        self.fingerprint = fingerprint
        if _is_onnx(reference):
            from sentence_transformers.base.modules import Normalize

            from index.onnx import OnnxTransformer

            transformer = OnnxTransformer(
                Path(reference),
                output="token_embeddings",
                threads=threads,
                markers=(query_prefix.strip(), document_prefix.strip()),
            )
            self._model = MultiVectorEncoder(
                modules=[transformer, Normalize(module_input_name="token_embeddings")],
                prompts={"query": query_prefix, "document": document_prefix},
            )
        else:
            self._model = MultiVectorEncoder(str(reference), device="cpu")

    def embed_query(self, query: str) -> NDArray[np.float32]:
        """Return unit vectors (tokens, dimension)."""
        vectors = self._model.encode_query(
            query, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def embed_documents(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> list[NDArray[np.int8]]:
        """Return quantized unit vectors, a matrix (tokens, dimension) per text."""

        def encode(batch: list[str]) -> Sequence[NDArray[np.int8]]:
            vectors = self._model.encode_document(
                batch,
                batch_size=_BATCH,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            return [quantize(np.asarray(v, dtype=np.float32)) for v in vectors]

        return _in_batches(texts, encode, progress)


def _is_onnx(reference: Path | str) -> bool:
    return (Path(reference) / "model.onnx").is_file()


def _in_batches(
    texts: Sequence[str], encode: Callable[[list[str]], Any], progress: Progress | None
) -> list[Any]:
    """Encode in slices of similar length (padding is wasted work), reporting between them."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    results: list[Any] = [None] * len(texts)
    for start in range(0, len(order), 2 * _BATCH):
        part = order[start : start + 2 * _BATCH]
        for position, vector in zip(part, encode([texts[i] for i in part]), strict=True):
            results[position] = vector
        if progress is not None:
            progress(min(start + 2 * _BATCH, len(order)), len(order))
    return results
