"""How good is the grader of practice? Graded answers, attacks, and three baselines beside it.

A method turns a probe and an answer into one Mark a point; the same figures are computed for each
method. Knows nothing of how a method decides. Intervals are bootstraps over probes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, groupby
from typing import Any

import numpy as np
import scipy.stats as st  # type: ignore[import-untyped]

from eval.estimates import statistic
from eval.practice_cases import GradedAnswer, PracticeCase
from eval.retrieval import Advance

ATTACKS = ("stuffed", "wrong", "negated", "injected", "echo", "other probe")
# The list of keywords and the few sentences before an order are shorter than any real answer.
_NOT_CUT = ("stuffed", "injected", "echo", "other probe", "recited")
_BINS = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """What a method says of one point of one answer; `value` orders, and is P(covered) if any."""

    value: float
    covered: bool
    unsure: bool = False
    verbatim: bool | None = None  # None where nothing is quoted


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer with its marks by point id, and the method's score of the whole."""

    case: PracticeCase
    answer: GradedAnswer
    marks: Mapping[str, Mark]
    score: float

    @property
    def pairs(self) -> list[tuple[bool, Mark]]:
        """Each mark with what the labels say."""
        return [(id_ in self.answer.covers, mark) for id_, mark in self.marks.items()]


Method = Callable[[PracticeCase, str], tuple[Mapping[str, Mark], float]]


def with_made_answers(cases: Sequence[PracticeCase]) -> list[tuple[PracticeCase, GradedAnswer]]:
    """Return every answer of the file, and three made for each probe.

    An echo of the question, the strong answer to the next probe, and a recital: every second
    point in the words of its evidence, which a grader that punishes shared words fails.
    """
    found = [(case, answer) for case in cases for answer in case.answers]
    for case, following in zip(cases, [*cases[1:], *cases[:1]], strict=True):
        told = case.points[::2]
        recital = ". ".join(point.evidence.strip().rstrip(".") for point in told) + "."
        echo = f"{case.probe} That is a good question. {case.probe}"
        found.append((case, GradedAnswer("echo", echo, ())))
        found.append((case, GradedAnswer("recited", recital, tuple(p.id for p in told))))
        strong = next((a.text for a in following.answers if a.level == "strong"), "")
        if strong and following is not case:
            found.append((case, GradedAnswer("other probe", strong, ())))
    return found


def cut_answers(cases: Sequence[PracticeCase]) -> list[tuple[PracticeCase, GradedAnswer]]:
    """Return the answers of each probe cut to the words of its shortest honest one.

    What is shorter by its nature (lists, orders) is left out. The labels stay those of the whole
    answer: the quality that a cut answer is held against is what its writer was given.
    """
    found = []
    for case in cases:
        honest = [a for a in case.answers if a.level not in ATTACKS]
        words = min((len(a.text.split()) for a in honest), default=0)
        for answer in case.answers:
            if answer.level not in _NOT_CUT and len(answer.text.split()) >= words:
                text = " ".join(answer.text.split()[:words])
                found.append((case, GradedAnswer(answer.level, text, answer.covers)))
    return found


def mark_answers(
    method: Method,
    answers: Sequence[tuple[PracticeCase, GradedAnswer]],
    advance: Advance = lambda: None,
) -> list[Marked]:
    """Return every answer with its marks."""
    marked = []
    for case, answer in answers:
        marks, score = method(case, answer.text)
        marked.append(Marked(case, answer, marks, score))
        advance()
    return marked


def measure(whole: Sequence[Marked], cut: Sequence[Marked], *, seed: int) -> dict[str, Any]:
    """Return the figures of one method on whole answers and on those of equal length.

    A point counts as covered only in the state `covered`: what is partial or unsure does not.
    """
    labelled = [m for m in whole if m.answer.level not in ("echo", "other probe", "recited")]
    honest = [m for m in labelled if m.answer.level not in ATTACKS]
    attacks = [m for m in labelled if m.answer.level in ATTACKS]

    def figure(items: Sequence[Marked], compute: Callable[[Sequence[Marked]], float]) -> Any:
        return _by_probe(items, compute, seed)

    kinds = {kind: [m for m in whole if m.answer.level == kind] for kind in ATTACKS}
    recited = [m for m in whole if m.answer.level == "recited"]
    return {
        "coverage_macro_f1": figure(labelled, macro_f1),
        "coverage_macro_f1_honest": figure(honest, macro_f1),
        "covered_precision": figure(labelled, _precision),
        "covered_recall": figure(labelled, _recall),
        "recited_recall": figure(recited, _recall),
        "ece": figure(labelled, calibration_error),
        "brier": figure(labelled, _brier),
        "unsure_rate": figure(labelled, lambda ms: _share([m.unsure for _, m in _pairs(ms)])),
        "false_cover_rate": figure(attacks, _false_cover),
        **{
            f"false_cover_rate {kind}": figure(items, _false_cover)
            for kind, items in kinds.items()
            if items
        },
        "spearman_equal_length": figure(cut, _spearman),
        "spearman_equal_length_honest": figure(
            [m for m in cut if m.answer.level not in ATTACKS], _spearman
        ),
        "pairwise_equal_length": figure(cut, _pairwise),
        "quotes_verbatim": figure(labelled, _verbatim),
    }  # fmt: skip


def macro_f1(marked: Sequence[Marked]) -> float:
    """Return the mean of the F1 of covered and of not covered points."""
    pairs = _pairs(marked)
    scores = []
    for positive in (True, False):
        hit = sum(truth == mark.covered == positive for truth, mark in pairs)
        wrong = sum(truth != mark.covered for truth, mark in pairs)
        scores.append(2 * hit / (2 * hit + wrong) if hit else 0.0)
    return sum(scores) / 2


def calibration_error(marked: Sequence[Marked]) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    pairs = _pairs(marked)
    bins: dict[int, list[float]] = {}
    for truth, mark in pairs:
        bins.setdefault(min(int(mark.value * _BINS), _BINS - 1), []).append(mark.value - truth)
    return sum(abs(sum(gaps)) for gaps in bins.values()) / len(pairs) if pairs else math.nan


def quality(case: PracticeCase, answer: GradedAnswer) -> float:
    """Return the labelled quality: the share of vital points, of all where none is vital."""
    counted = [p.id for p in case.points if p.weight == "vital"] or [p.id for p in case.points]
    return sum(id_ in answer.covers for id_ in counted) / len(counted)


def _by_probe(
    items: Sequence[Marked], compute: Callable[[Sequence[Marked]], float], seed: int
) -> dict[str, Any]:
    groups = [list(group) for _, group in groupby(items, key=lambda m: m.case.id)]
    merged: dict[str, list[Marked]] = {}
    for group in groups:
        merged.setdefault(group[0].case.id, []).extend(group)
    probes = list(merged.values())
    estimate = asdict(
        statistic(probes, lambda drawn: compute([m for group in drawn for m in group]), seed)
    )
    # JSON has no NaN, and a figure that cannot be computed is no figure.
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in estimate.items()}


def _pairs(marked: Sequence[Marked]) -> list[tuple[bool, Mark]]:
    return [pair for m in marked for pair in m.pairs]


def _share(outcomes: Sequence[bool]) -> float:
    return sum(outcomes) / len(outcomes) if outcomes else math.nan


def _precision(marked: Sequence[Marked]) -> float:
    return _share([truth for truth, mark in _pairs(marked) if mark.covered])


def _recall(marked: Sequence[Marked]) -> float:
    return _share([mark.covered for truth, mark in _pairs(marked) if truth])


def _false_cover(marked: Sequence[Marked]) -> float:
    return _share([mark.covered for truth, mark in _pairs(marked) if not truth])


def _verbatim(marked: Sequence[Marked]) -> float:
    return _share([mark.verbatim for _, mark in _pairs(marked) if mark.verbatim is not None])


def _brier(marked: Sequence[Marked]) -> float:
    pairs = _pairs(marked)
    return sum((mark.value - truth) ** 2 for truth, mark in pairs) / len(pairs)


def _spearman(marked: Sequence[Marked]) -> float:
    """Return the rank correlation of score and quality; 0 where a method has one score for all."""
    scores = [m.score for m in marked]
    if len(set(scores)) < 2:
        return 0.0
    return float(st.spearmanr(scores, [quality(m.case, m.answer) for m in marked]).statistic)


def _pairwise(marked: Sequence[Marked]) -> float:
    """Return the share of pairs within a probe that are ordered as labelled; a tie is half."""
    outcomes = []
    for _, group in groupby(marked, key=lambda m: m.case.id):
        for one, two in combinations(group, 2):
            better = quality(one.case, one.answer) - quality(two.case, two.answer)
            if better:
                outcomes.append((1 + np.sign(better * (one.score - two.score))) / 2)
    return float(np.mean(outcomes)) if outcomes else math.nan
