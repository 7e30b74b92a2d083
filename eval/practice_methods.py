"""The grader and its baselines as methods of `eval.practice`: word count, TF-IDF, plain cosine.

The thresholds of the baselines were chosen as the grader's were: on the dev probes. Knows nothing
of figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.practice import Mark, Marked, Method, macro_f1, mark_answers, with_made_answers
from eval.practice_cases import PracticeCase
from eval.practice_fit import Sample
from eval.retrieval import Advance
from index.bm25 import terms
from index.embedding import Embedder, TokenEmbedder
from rag.practice.bank import RubricPoint, Span
from rag.practice.features import AnswerVectors, point_features
from rag.practice.grader import Grader
from rag.practice.windows import sentence_spans, split_windows
from rag.reranking import Reranker

_NUMBER = re.compile(r"\d[\d,.]*\d\s?%?|\d%?")
Scorer = Callable[[PracticeCase, str], Sequence[float]]
# Each maximises macro-F1 on eval/cases/practice_dev.jsonl; printed by `--fit`.
THRESHOLDS = {"word_count": 117.0, "tfidf": 0.15, "cosine": 0.66}


def rubric(case: PracticeCase) -> list[RubricPoint]:
    """Return the points as the grader takes them; their numbers are those of their text."""
    nowhere = Span("", "", 0, 0)
    return [
        RubricPoint(
            point.id,
            point.text,
            point.weight,
            "depth",
            nowhere,
            numbers=tuple(_NUMBER.findall(point.text)),
            right=tuple(point.right),
            wrong=tuple(point.wrong),
        )
        for point in case.points
    ]


def grader_method(grader: Grader) -> Method:
    """Return the method of the grader itself."""

    def method(case: PracticeCase, answer: str) -> tuple[Mapping[str, Mark], float]:
        grading = grader.grade(case.probe, rubric(case), answer)
        marks = {
            verdict.point_id: Mark(
                verdict.probability,
                verdict.state == "covered",
                verdict.state == "unsure",
                answer[verdict.start : verdict.end] == verdict.quote if verdict.quote else None,
            )
            for verdict in grading.verdicts
        }
        return marks, grading.score

    return method


def baselines(
    embedder: Embedder, thresholds: Mapping[str, float] = THRESHOLDS
) -> dict[str, Method]:
    """Return the baselines by name. Their score is the mean over the points, unrounded."""

    def as_method(name: str, score: Scorer) -> Method:
        def method(case: PracticeCase, answer: str) -> tuple[Mapping[str, Mark], float]:
            values = score(case, answer)
            marks = {
                point.id: Mark(min(1.0, max(0.0, value)), value >= thresholds[name])
                for point, value in zip(case.points, values, strict=True)
            }
            return marks, float(np.mean(values))

        return method

    def cosine(case: PracticeCase, answer: str) -> Sequence[float]:
        texts = _sentences(answer)
        points = embedder.embed_documents([point.text for point in case.points])
        return [float(v) for v in (points @ embedder.embed_documents(texts).T).max(axis=1)]

    scorers = {"word_count": _word_count, "tfidf": _tfidf, "cosine": cosine}
    return {name: as_method(name, scorer) for name, scorer in scorers.items()}


def _word_count(case: PracticeCase, answer: str) -> Sequence[float]:
    return [float(len(answer.split()))] * len(case.points)


def _tfidf(case: PracticeCase, answer: str) -> Sequence[float]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

    sentences, points = _sentences(answer), [point.text for point in case.points]
    everything = [*points, *(a.text for a in case.answers), *sentences]
    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True).fit(everything)
    similarity = vectorizer.transform(points) @ vectorizer.transform(sentences).T
    return [float(v) for v in similarity.toarray().max(axis=1)]


def _sentences(answer: str) -> list[str]:
    return [answer[start:end] for start, end in sentence_spans(answer)] or [answer]


def best_thresholds(cases: Sequence[PracticeCase], embedder: Embedder) -> dict[str, float]:
    """Return the threshold of each baseline with the best macro-F1 over all labelled answers."""
    answers = [(case, answer) for case in cases for answer in case.answers]
    found = {}
    for name, method in baselines(embedder, dict.fromkeys(THRESHOLDS, 0.0)).items():
        marked = mark_answers(method, answers)
        # The mean over equal values is the word count; the others are read mark by mark.
        raw = [
            {id_: m.score if name == "word_count" else mark.value for id_, mark in m.marks.items()}
            for m in marked
        ]
        scores = {}
        for threshold in sorted({round(v, 2) for values in raw for v in values.values()}):
            scores[threshold] = macro_f1(
                [_covered_from(threshold, m, v) for m, v in zip(marked, raw, strict=True)]
            )
        found[name] = max(scores, key=lambda t: scores[t])
    return found


def _covered_from(threshold: float, marked: Marked, raw: Mapping[str, float]) -> Marked:
    marks = {
        id_: replace(mark, covered=raw[id_] >= threshold) for id_, mark in marked.marks.items()
    }
    return replace(marked, marks=marks)


def fit_samples(
    cases: Sequence[PracticeCase],
    embedder: Embedder,
    token_embedder: TokenEmbedder,
    reranker: Reranker | None,
    advance: Advance = lambda: None,
) -> list[Sample]:
    """Return what the grader is fitted on: the labelled answers and a recital a probe.

    The recital is there because labelled good answers are free paraphrases and attacks are not:
    without it, sharing words with a point would look like a sign of an attack.
    """
    samples = []
    for case, answer in with_made_answers(cases):
        if answer.level not in ("echo", "other probe"):
            points = rubric(case)
            windows, _ = split_windows(answer.text, case.probe)
            values: list[tuple[float, ...] | None] = [None] * len(points)
            if windows:
                vectors = AnswerVectors(case.probe, windows, embedder, token_embedder)
                measured = point_features(
                    case.probe, points, vectors, embedder, token_embedder, reranker
                )
                values = [features.values for features in measured]
            samples += [
                Sample(case.id, answer.level, point.id in answer.covers, value)
                for point, value in zip(points, values, strict=True)
            ]
        advance()
    return samples
