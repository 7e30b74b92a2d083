"""Does the cited passage state the sentence? Exact parts by rule, the rest by late interaction.

A number, unit or name that the passage lacks settles the matter: such changes overlap with the
source more than honest paraphrases do, so no similarity score can see them. Similarity then finds
sentences about something else; `says_the_same` is the proof. Knows nothing of how a sentence was
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.bm25 import terms
from index.embedding import TokenEmbedder
from index.late_interaction import dequantize, maxsim
from ingest.documents import Unit
from rag.entailment import Entailment
from rag.evidence import Passage
from rag.facts import conditions, is_negated, missing_names, missing_numbers

# Two similarities, each mapped to 0..1 between the value of unrelated and of copied sentences,
# read off sentences that the default LLM wrote (eval/LOG.md): the mean cosine of a sentence's
# tokens with their best match in the passage, and the share of its terms that the passage lacks.
_COSINE = (0.70, 0.88)
_NOVELTY = (0.6, 0.2)
# Of a clause in the quote: what is left out before it may be the verb, or who says so.
_BEGINS, _ENDS = r"(?:^|[.:;!?—|])\W*", r"(?=\W*(?:$|[.,:;!?—|)]))"
_ENTAILED = 0.9  # P(entailment) of a model that the user installed; not measured here
_QUOTE_GAIN = 0.03  # a neighbouring unit joins the quote if it raises the cosine by this much


@dataclass(frozen=True, slots=True)
class Support:
    """How well `units` of a passage state a sentence, from 0 to 1; `reason` why no better.

    `contradicted`: a number, a name or a denial of the sentence is not in the passage.
    """

    passage: Passage
    units: tuple[Unit, ...]
    score: float
    reason: str
    contradicted: bool = False

    @property
    def quote(self) -> str:
        """The units without markup."""
        return " ".join(unit.plain for unit in self.units)


class Grounds:
    """The token vectors of each unit of some passages, for checking sentences against them."""

    def __init__(
        self,
        passages: Sequence[Passage],
        embedder: TokenEmbedder,
        entailment: Entailment | None = None,
    ) -> None:
        self._embedder, self._entailment = embedder, entailment
        units = list(dict.fromkeys(unit for passage in passages for unit in passage.units))
        vectors = embedder.embed_documents([unit.plain for unit in units])
        self._vectors = {
            unit: dequantize(matrix) for unit, matrix in zip(units, vectors, strict=True)
        }

    def similarity(self, query: NDArray[np.float32]) -> dict[Unit, float]:
        """Return each unit's MaxSim to `query` (tokens, dimension), divided by its tokens."""
        return {unit: float(maxsim(query, v).mean()) for unit, v in self._vectors.items()}

    def relevance(self, question: str, sentence: str) -> float:
        """Return how well `sentence` meets the tokens of `question`: their mean MaxSim."""
        (vectors,) = self._embedder.embed_documents([sentence])
        query = self._embedder.embed_query(question)
        return float(maxsim(query, dequantize(vectors)).mean())

    def check(self, sentence: str, passages: Iterable[Passage]) -> list[Support]:
        """Return how well each of `passages` states `sentence`, best first."""
        query = self._embedder.embed_query(sentence)
        found = [self._check(sentence, query, passage) for passage in passages]
        return sorted(found, key=lambda support: -support.score)

    def proves(self, support: Support, sentence: str) -> bool:
        """Tell whether `sentence` may stand as it is: in the words of the quote, or entailed."""
        if says_the_same(sentence, support.quote):
            return True
        if self._entailment is None or support.contradicted:
            return False
        premise = support.passage.full_text
        return self._entailment.probability(premise, sentence) >= _ENTAILED

    def _check(self, sentence: str, query: NDArray[np.float32], passage: Passage) -> Support:
        best = [(unit, maxsim(query, self._vectors[unit])) for unit in passage.units]
        units = _quote(passage.document.text, best)
        source = passage.full_text
        if missing := [*missing_numbers(sentence, source), *missing_names(sentence, source)]:
            return Support(passage, units, 0.0, f"not in the passage: {', '.join(missing)}", True)
        if is_negated(sentence) and not any(is_negated(unit.plain) for unit in units):
            return Support(passage, units, 0.0, "the passage does not deny this", True)
        cosine = float(np.max([scores for _, scores in best], axis=0).mean())
        score = min(_scaled(cosine, *_COSINE), _scaled(novelty(sentence, source), *_NOVELTY))
        return Support(passage, units, score, "the passage says something else")


def says_the_same(sentence: str, quote: str) -> bool:
    """Tell whether whole clauses of `quote` state `sentence` word for word.

    A free paraphrase is not recognised: no similarity sees a swapped subject or a dropped
    condition, and the default LLM, asked yes or no, sees too few of them (eval/LOG.md).
    """
    words = re.findall(r"\w+", sentence.casefold())
    run = _BEGINS + r"\W+".join(map(re.escape, words)) + _ENDS
    if not words or not re.search(run, quote.casefold()) or missing_numbers(sentence, quote):
        return False
    denied = is_negated(quote) and not is_negated(sentence)
    return not denied and conditions(quote) <= conditions(sentence)


def novelty(sentence: str, source: str) -> float:
    """Return the share of the sentence's distinct terms that `source` does not have."""
    said = set(terms(sentence))
    return len(said - set(terms(source))) / len(said) if said else 0.0


def _scaled(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _quote(text: str, best: Sequence[tuple[Unit, NDArray[np.float32]]]) -> tuple[Unit, ...]:
    """Pick the unit that covers the sentence best, and a neighbour where that helps.

    A neighbour with words between is none: they may have been withheld, and would be quoted.
    """
    means = [float(scores.mean()) for _, scores in best]
    top = int(np.argmax(means))
    chosen: tuple[int, ...] = (top,)
    gain = _QUOTE_GAIN
    for other in (top - 1, top + 1):
        if 0 <= other < len(best):
            one, two = best[min(top, other)][0], best[max(top, other)][0]
            if any(c.isalpha() for c in text[one.end : two.start]):
                continue
            both = float(np.maximum(best[top][1], best[other][1]).mean())
            if both - means[top] > gain:
                gain = both - means[top]
                chosen = (min(top, other), max(top, other))
    return tuple(best[i][0] for i in chosen)
