"""Does the cited passage state the sentence? Exact parts by rule, the rest by late interaction.

A number, unit or name that the passage lacks settles the matter: such changes overlap with the
source more than honest paraphrases do, so no similarity score can see them. Similarity then finds
sentences about something else. Knows nothing of how a sentence was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.embedding import TokenEmbedder
from rag.evidence import Passage, Unit
from rag.facts import is_negated, missing_names, missing_numbers

Verifier = Callable[[str, str], float | None]  # (claim, source) -> P(the source states the claim)

# Mean cosine of a sentence's tokens with their best match in the passage. Sentences that
# the LLM wrote from a passage score .80 to .97 against it, sentences on another topic .45 to .68.
_UNRELATED, _STATED = 0.62, 0.86
_QUOTE_SLACK = 0.03  # a second unit joins the quote if it raises the coverage by this much


@dataclass(frozen=True, slots=True)
class Support:
    """How well a passage states a sentence, from 0 to 1; the units that do; what is missing."""

    passage: Passage
    units: tuple[Unit, ...]
    score: float
    reason: str


class Grounds:
    """Passages prepared for checking: the token vectors of each of their units."""

    def __init__(self, passages: Sequence[Passage], embedder: TokenEmbedder) -> None:
        self.passages = passages
        self._embedder = embedder
        units = [(p.label, unit) for p in passages for unit in p.units]
        texts = [unit.plain for _, unit in units]
        vectors = embedder.embed_documents(texts) if texts else []
        self._vectors: dict[int, list[tuple[Unit, NDArray[np.float32]]]] = {
            p.label: [] for p in passages
        }
        for (label, unit), matrix in zip(units, vectors, strict=True):
            self._vectors[label].append((unit, matrix.astype(np.float32) / 127.0))

    def similarities(self, query: NDArray[np.float32]) -> list[tuple[Passage, Unit, float]]:
        """Return every unit with its MaxSim to `query` (tokens, dimension) per query token."""
        return [
            (passage, unit, float((query @ matrix.T).max(axis=1).mean()))
            for passage in self.passages
            for unit, matrix in self._vectors[passage.label]
        ]

    def check(self, sentence: str, passage: Passage, verify: Verifier | None = None) -> Support:
        """Return how well `passage` states `sentence`."""
        query = self._embedder.embed_query(sentence)
        best = [
            (unit, (query @ matrix.T).max(axis=1)) for unit, matrix in self._vectors[passage.label]
        ]
        if not best:
            return Support(passage, (), 0.0, "the passage has no text")
        coverage = float(np.max([scores for _, scores in best], axis=0).mean())
        units = _quote(best)
        score = float(np.clip((coverage - _UNRELATED) / (_STATED - _UNRELATED), 0.0, 1.0))
        reason = "" if score >= 0.5 else "the passage says something else"
        quote = " ".join(unit.plain for unit in units)
        source = passage.full_text
        missing = missing_numbers(sentence, source) + missing_names(sentence, source)
        if missing:
            score, reason = 0.0, f"not in the passage: {', '.join(missing)}"
        elif is_negated(sentence) and not is_negated(passage.prompt_text):
            score, reason = 0.0, "the passage does not negate this"
        elif verify is not None and (probability := verify(sentence, source)) is not None:
            score = min(score, probability)
            reason = "" if score >= 0.5 else "the model does not find it in the passage"
        return Support(passage, units, score, reason if quote else "no quote")


def _quote(best: Sequence[tuple[Unit, NDArray[np.float32]]]) -> tuple[Unit, ...]:
    """Pick the unit that covers the sentence best, and a neighbour where that helps."""
    means = [float(scores.mean()) for _, scores in best]
    top = int(np.argmax(means))
    chosen: tuple[int, ...] = (top,)
    gain = _QUOTE_SLACK
    for other in (top - 1, top + 1):
        if 0 <= other < len(best):
            both = float(np.maximum(best[top][1], best[other][1]).mean())
            if both - means[top] > gain:
                gain = both - means[top]
                chosen = (min(top, other), max(top, other))
    return tuple(best[i][0] for i in chosen)
