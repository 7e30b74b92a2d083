"""Is the question answerable from these hits? Decided before a token is generated.

A logistic model over three facts about the best hits, then over what an LLM thinks of the closest
sentences. Relevance is not sufficiency: a near miss inside the field scores high here, so the check
of every sentence after generation still stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from index.hits import Hit
from rag.facts import missing_names


class OpinionWeights(NamedTuple):
    """A logistic model over log-odds of the hits and the mean of those of the opinions."""

    intercept: float
    hits: float
    opinions: float
    number_missing: float


# Logistic regressions on the 220 development questions over corpus/, 48 of them unanswerable, the
# classes weighing the same: AUROC .80 in ten-fold cross-validation with questions of passages, .69
# without (eval/LOG.md). The cross-encoder's logit added nothing.
_WITH_QUESTIONS = {"intercept": -23.45, "dense": 10.39, "asked_late": 24.67, "missing": -2.17}
_WITHOUT = {"intercept": -1.48, "dense": 7.3, "missing": -3.62}

# Of an LLM that is asked yes or no, for one, two and three opinions. Fitted on 118 of the same
# questions and 80 test questions: AUROC .89, .90 and .91 in ten-fold cross-validation.
YES_OR_NO = (
    OpinionWeights(0.36, 0.67, 1.31, -1.72),
    OpinionWeights(0.59, 0.67, 1.7, -1.64),
    OpinionWeights(0.81, 0.68, 1.95, -1.73),
)
OPINIONS = len(YES_OR_NO)  # at most, of the LLM
UNLIKELY = 0.2  # answerability below which one more opinion seldom changes the outcome
_NEVER = 1e-4  # neither the hits nor the LLM are ever surer than this


def answerability(question: str, hits: Sequence[Hit]) -> float:
    """Return P(the hits answer the question), were as many questions answerable as not.

    Known are the best cosine of the passages, the best similarity of the questions that were
    written for them, and how many names of the question none of the best five hits has.
    """
    if not hits:
        return 0.0
    best = {
        name: max(hit.explain.get(name, 0.0) for hit in hits) for name in ("dense", "asked_late")
    }
    model = _WITH_QUESTIONS if best["asked_late"] else _WITHOUT
    missing = missing_names(question, "\n".join(hit.chunk.search_text for hit in hits[:5]))
    facts = {**best, "missing": float(len(missing)), "intercept": 1.0}
    z = sum(weight * facts[name] for name, weight in model.items())
    return _logistic(z)


def with_opinions(
    prior: float,
    opinions: Sequence[float],
    weights: Sequence[OpinionWeights],
    *,
    number_missing: bool,
) -> float:
    """Return `prior`, the answerability of the hits, corrected by what the LLM thinks of the best.

    Each opinion is its log-odds that a sentence of the passages answers, of the closest sentence
    first; `weights` are for one, two and more of them. `number_missing`: a quantity is asked for,
    and the closest has no digit.
    """
    if not opinions:
        return prior
    of = weights[len(opinions) - 1]
    odds, mean = opinion_facts(prior, opinions)
    return _logistic(
        of.intercept + of.hits * odds + of.opinions * mean + of.number_missing * number_missing
    )


def opinion_facts(prior: float, opinions: Sequence[float]) -> tuple[float, float]:
    """Return the log-odds of the hits, and the mean of the opinions, away from certainty."""
    most = -logit(0.0)
    return logit(prior), sum(min(max(o, -most), most) for o in opinions) / len(opinions)


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def logit(p: float) -> float:
    """Return the log-odds of `p`, away from certainty."""
    p = min(max(p, _NEVER), 1 - _NEVER)
    return math.log(p / (1 - p))
