"""How like a text is to each of several others, by the cosine of their embeddings.

Knows nothing of what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from index.embedding import Embedder

Match = Callable[[str, Sequence[str]], Sequence[float]]


def embedding_match(embedder: Embedder) -> Match:
    """Return a Match over `embedder`; both sides are embedded as documents: neither is a query."""

    def match(text: str, others: Sequence[str]) -> list[float]:
        if not others:
            return []
        vectors = embedder.embed_documents([text, *others])
        return [float(cosine) for cosine in vectors[1:] @ vectors[0]]

    return match
