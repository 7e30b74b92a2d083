"""An answer and a rubric -> a verdict a point, with the words that it rests on, and a score.

Text rules throw out what proves nothing, a small logistic model decides, and what it is unsure of
goes to the LLM, if there is one. The answer is data: no sentence of it is obeyed. Knows nothing
of sessions or of where rubrics come from.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.embedding import Embedder, TokenEmbedder
from rag.errors import LLMError
from rag.facts import missing_numbers
from rag.llm import LLM
from rag.practice.bank import RedFlag, RubricPoint
from rag.practice.coverage_model import CoverageModels, load_coverage_models
from rag.practice.features import SIGNS, AnswerVectors, PointFeatures, point_features
from rag.practice.scoring import recall
from rag.practice.second_opinion import quote_for
from rag.practice.steps import PointState
from rag.practice.windows import Reason, split_windows
from rag.reranking import Reranker

_VERSION = "1"  # of the rules; the weights and models add their own part
# A red flag costs trust when it is wrong: only a near restatement of it counts as one (on the dev
# probes 6 hits, all right, of 140 labelled; at .80 and .60 40 hits, 15 of them wrong), and only an
# answer with nothing near it counts as silent.
_FLAG_LATE, _FLAG_COSINE = 0.85, 0.70
_ABSENT_LATE, _ABSENT_COSINE = 0.55, 0.55
_GATES: dict[Reason, str] = {"order": "off-topic", "keyword list": "keyword list", "echo": "echo"}


@dataclass(frozen=True, slots=True)
class PointVerdict:
    """What became of a point. `quote` is `answer[start:end]`; "" where nothing covers it."""

    point_id: str
    state: PointState
    probability: float
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FlagHit:
    """A red flag and the words that raised it; "" where it is what the answer does not say."""

    flag_id: str
    quote: str


@dataclass(frozen=True, slots=True)
class Grading:
    """`score` is the recall of vital points; `gate` says why nothing was graded, or is ""."""

    verdicts: tuple[PointVerdict, ...]
    score: float
    gate: str
    red_flags: tuple[FlagHit, ...]
    version: str


class Grader:
    """Grades with the models that it is given; without `llm` what is unsure stays unsure."""

    def __init__(
        self,
        embedder: Embedder,
        token_embedder: TokenEmbedder,
        reranker: Reranker | None = None,
        llm: LLM | None = None,
        *,
        models: CoverageModels | None = None,
    ) -> None:
        self.models = models or load_coverage_models()
        self._embedder, self._token_embedder, self._llm = embedder, token_embedder, llm
        # A weight of 0 is not worth the time of a cross-encoder.
        at = list(SIGNS).index("cross-encoder")
        weighs = self.models.plain.weights[at] or self.models.phrased.weights[at]
        self._reranker = reranker if weighs else None
        parts = (embedder.fingerprint, token_embedder.fingerprint, self.models)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
        self.version = f"{_VERSION}-{digest}" + (f"+{llm.name}" if llm else "")

    def grade(
        self,
        prompt: str,
        points: Sequence[RubricPoint],
        answer: str,
        red_flags: Sequence[RedFlag] = (),
    ) -> Grading:
        """Return a verdict for each of `points`, in their order."""
        windows, dropped = split_windows(answer, prompt)
        if not windows:
            gate = _GATES[max(dropped, key=dropped.count)] if dropped else "empty"
            return self._nothing(points, gate)
        vectors = AnswerVectors(prompt, windows, self._embedder, self._token_embedder)
        measured = self.measure(prompt, points, vectors)
        verdicts = tuple(
            self._verdict(prompt, point, features, answer)
            for point, features in zip(points, measured, strict=True)
        )
        states = {verdict.point_id: verdict.state for verdict in verdicts}
        if set(states.values()) == {"missed"} and self._is_off_topic(points, vectors):
            return self._nothing(points, "off-topic")
        return Grading(
            verdicts,
            recall(points, states) or 0.0,
            "",
            self._flags(red_flags, vectors),
            self.version,
        )

    def measure(
        self, prompt: str, points: Sequence[RubricPoint], vectors: AnswerVectors
    ) -> list[PointFeatures]:
        """Return the features of each point, as the weights are fitted on."""
        return point_features(
            prompt, points, vectors, self._embedder, self._token_embedder, self._reranker
        )

    def _is_off_topic(self, points: Sequence[RubricPoint], vectors: AnswerVectors) -> bool:
        near = [vectors.prompt_cosines.max()]
        near += [
            vectors.cosines(vector, vectors.clauses).max()
            for vector in self._embedder.embed_documents([point.text for point in points])
        ]
        return bool(max(near) < self.models.on_topic_from)

    def _verdict(
        self, prompt: str, point: RubricPoint, features: PointFeatures, answer: str
    ) -> PointVerdict:
        model = self.models.of(features.values)
        probability = model.probability(features.values)
        window = features.window
        state = model.state(probability)
        if state == "unsure" and self._llm is not None:
            try:
                span = quote_for(self._llm, prompt, point.text, answer)
            except LLMError:  # the user decides, as without an LLM
                span = None
            if span is not None:
                window = dataclasses.replace(window, start=span[0], end=span[1])
                state = "covered"
        if state == "covered" and missing_numbers("; ".join(point.numbers), answer):
            state = "partial"  # said, but not with the numbers that it must have
        if state == "missed":
            return PointVerdict(point.id, state, probability, "", 0, 0)
        quote = answer[window.start : window.end]
        return PointVerdict(point.id, state, probability, quote, window.start, window.end)

    def _flags(self, flags: Sequence[RedFlag], vectors: AnswerVectors) -> tuple[FlagHit, ...]:
        """Return the flags that the answer raises; those of the clock are not seen here."""
        sentences = [window for window in vectors.whole if window.kind == "sentence"]
        hits = []
        for flag in flags:
            late = vectors.late(self._token_embedder.embed_query(flag.text))[: len(sentences)]
            cosines = vectors.cosines(self._embedder.embed_documents([flag.text])[0], sentences)
            near = np.minimum(late - _FLAG_LATE, cosines - _FLAG_COSINE)
            best = sentences[int(near.argmax())]
            if flag.detector == "lexical" and near.max() >= 0:
                hits.append(FlagHit(flag.id, best.text))
            silent = late.max() < _ABSENT_LATE and cosines.max() < _ABSENT_COSINE
            if flag.detector == "absence" and silent:
                hits.append(FlagHit(flag.id, ""))
        return tuple(hits)

    def _nothing(self, points: Sequence[RubricPoint], gate: str) -> Grading:
        verdicts = tuple(PointVerdict(point.id, "missed", 0.0, "", 0, 0) for point in points)
        return Grading(verdicts, 0.0, gate, (), self.version)
