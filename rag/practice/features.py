"""Windows of an answer -> a few numbers a point, from which P(covered) is computed.

Every similarity is to text that the question does not already say, and to parts of the answer
that deny nothing. Where a point has phrasings, the answer is compared with these, too. Nothing here
grows with the length of an answer except the choice of windows. Knows nothing of weights or states.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.bm25 import terms
from index.embedding import Embedder, TokenEmbedder
from index.late_interaction import dequantize, maxsim
from rag.facts import is_negated, missing_numbers
from rag.practice.bank import RubricPoint
from rag.practice.windows import Window
from rag.reranking import Reranker

Matrix = NDArray[np.float32]

# Each feature and the sign that its weight must have. Without the signs a fit learns that sharing
# words with a point is a bad sign, because attacks share more of them than free paraphrases do.
SIGNS = {
    "late": 1,  # late interaction of the best sentence or pair
    "late affirmed": 1,  # of the best sentence that denies nothing
    "cosine affirmed": 1,  # embedding cosine of the best clause that denies nothing
    "terms": 1,  # share of the point's terms in the best window, by idf
    "cross-encoder": 1,  # logit of the best windows
    "numbers missing": -1,
    "denied": -1,  # the best window denies, the point does not
}
# The further ones of a point with phrasings (rag.practice.phrasings).
PHRASED_SIGNS = {
    "late right": 1,  # late interaction of the best sentence that denies nothing with any right one
    "cosine right": 1,  # cosine of the best clause that denies nothing with any right one
    "contrast": 1,  # of a sentence: how much closer by late interaction to a right than a wrong one
    "cosine wrong": -1,  # cosine of the sentence that is closest to any wrong one
}
ALL_SIGNS = {**SIGNS, **PHRASED_SIGNS}
_CROSS_ENCODED = 2  # windows a point


@dataclass(frozen=True, slots=True)
class PointFeatures:
    """The values of SIGNS for one point, then those of PHRASED_SIGNS if it has phrasings.

    `window` is what to quote.
    """

    values: tuple[float, ...]
    window: Window


class AnswerVectors:
    """The vectors of the windows of one answer and of its question.

    `whole` are the sentences and pairs, `clauses` the others of `windows`.
    """

    def __init__(
        self,
        prompt: str,
        windows: Sequence[Window],
        embedder: Embedder,
        token_embedder: TokenEmbedder,
    ) -> None:
        self.windows = tuple(windows)
        self.whole = [window for window in windows if window.kind != "clause"]
        self.clauses = [window for window in windows if window.kind == "clause"]
        said = [window.text for window in self.whole]
        vectors = [dequantize(v) for v in token_embedder.embed_documents([prompt, *said])]
        self._prompt, self._tokens = vectors[0], vectors[1:]
        # A sentence of one clause is both: embedded once.
        texts = list(dict.fromkeys(w.text for w in windows if w.kind != "pair"))
        rows = dict(zip(texts, embedder.embed_documents([prompt, *texts])[1:], strict=True))
        self.prompt_cosines = embedder.embed_documents([prompt]) @ np.stack([*rows.values()]).T
        self._rows = rows

    def late(self, query: Matrix) -> Matrix:
        """Return the late-interaction score of each window that is no clause.

        A query token weighs what the question leaves of it: 1 minus its cosine with the question.
        """
        weights = np.maximum(1 - maxsim(query, self._prompt), 0) + 1e-6
        weights /= weights.sum()
        return np.array([maxsim(query, v) @ weights for v in self._tokens], dtype=np.float32)

    def cosines(self, vector: Matrix, windows: Sequence[Window]) -> Matrix:
        """Return the cosine of each of `windows`, no pair among them."""
        return np.array([self._rows[window.text] @ vector for window in windows], dtype=np.float32)


def point_features(
    prompt: str,
    points: Sequence[RubricPoint],
    vectors: AnswerVectors,
    embedder: Embedder,
    token_embedder: TokenEmbedder,
    reranker: Reranker | None,
) -> list[PointFeatures]:
    """Return the features of each point. Without a reranker its feature is 0 throughout."""
    asked = set(terms(prompt))
    phrased = [text for point in points for text in (*point.right, *point.wrong)]
    rows = embedder.embed_documents(phrased) if phrased else ()
    embedded = {
        text: (token_embedder.embed_query(text), row)
        for text, row in zip(phrased, rows, strict=True)
    }
    own_terms = [set(terms(point.text)) - asked for point in points]
    dense = embedder.embed_documents([point.text for point in points])
    return [
        _features(
            point, token_embedder.embed_query(point.text), vector, vectors,
            _weights(own, own_terms), reranker, embedded,
        )
        for point, vector, own in zip(points, dense, own_terms, strict=True)
    ]  # fmt: skip


def _features(
    point: RubricPoint,
    query: Matrix,
    vector: Matrix,
    vectors: AnswerVectors,
    idf: dict[str, float],
    reranker: Reranker | None,
    embedded: Mapping[str, tuple[Matrix, Matrix]],
) -> PointFeatures:
    whole, small = vectors.whole, vectors.clauses
    late = vectors.late(query)
    order = np.argsort(-late, kind="stable")
    best = whole[int(order[0])]
    negative = _is_negative(point.text)
    sentences = [i for i, window in enumerate(whole) if window.kind == "sentence"]
    affirmed = [i for i in sentences if negative or not whole[i].denies]
    cosines = vectors.cosines(vector, small)
    plain = [i for i, window in enumerate(small) if negative or not window.denies]
    logit = 0.0
    if reranker is not None:
        logit = float(
            reranker.score(point.text, [whole[i].text for i in order[:_CROSS_ENCODED]]).max()
        )
    answer = " ".join(whole[i].text for i in sentences)
    # Where everything is denied, the worst window stands in for what was affirmed: no evidence.
    quoted = max(affirmed or sentences, key=lambda i: late[i])
    return PointFeatures(
        (
            float(late[order[0]]),
            float(late[quoted] if affirmed else late[sentences].min()),
            float(cosines[plain].max() if plain else cosines.min()),
            _recall(idf, best.text),
            logit,
            float(bool(missing_numbers("; ".join(point.numbers), answer))),
            float(best.denies and not negative),
            *_phrased(point, vectors, sentences, affirmed, plain, embedded),
        ),
        whole[quoted],
    )


def _phrased(
    point: RubricPoint,
    vectors: AnswerVectors,
    sentences: Sequence[int],
    affirmed: Sequence[int],
    plain: Sequence[int],
    embedded: Mapping[str, tuple[Matrix, Matrix]],
) -> tuple[float, ...]:
    """Return the values of PHRASED_SIGNS; `plain` are the clauses that deny nothing."""
    if not point.right or not point.wrong:
        return ()
    right, wrong = (
        np.max([vectors.late(embedded[text][0]) for text in texts], axis=0)
        for texts in (point.right, point.wrong)
    )
    contrast = right - wrong
    near_right, near_wrong = (
        np.max([vectors.cosines(embedded[text][1], windows) for text in texts], axis=0)
        for texts, windows in (
            (point.right, vectors.clauses),
            (point.wrong, [vectors.whole[i] for i in sentences]),
        )
    )
    return (
        float(right[affirmed].max() if affirmed else right[sentences].min()),
        float(near_right[plain].max() if plain else near_right.min()),
        # Who denies what is right says what is wrong.
        float(contrast[affirmed].max() if affirmed else -contrast[sentences].max()),
        float(near_wrong.max()),
    )


def _is_negative(text: str) -> bool:
    """Tell whether a denial may be what a point asks for: "X, not Y" still asks for X."""
    return is_negated(re.split(r"[,;:](?=\s)", text)[0])


def _weights(own: set[str], rubric: Sequence[set[str]]) -> dict[str, float]:
    """Return the idf of a point's terms among the points of the rubric."""
    return {
        term: math.log(1 + len(rubric) / sum(term in other for other in rubric)) for term in own
    }


def _recall(idf: dict[str, float], text: str) -> float:
    said = set(terms(text))
    total = sum(idf.values())
    return sum(weight for term, weight in idf.items() if term in said) / total if total else 0.0
