"""Is the question answerable from these hits? Decided before a token is generated.

A logistic model over three facts about the best hits. Relevance is not sufficiency: a near miss
inside the field scores high here, so the check of every sentence after generation still stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from index.hits import Hit
from rag.facts import missing_names

# Logistic regressions on the 220 development questions over corpus/, 48 of them unanswerable, the
# classes weighing the same: AUROC .80 in ten-fold cross-validation with questions of passages, .69
# without (eval/LOG.md). The cross-encoder's logit added nothing.
_WITH_QUESTIONS = {"intercept": -23.45, "dense": 10.39, "asked_late": 24.67, "missing": -2.17}
_WITHOUT = {"intercept": -1.48, "dense": 7.3, "missing": -3.62}

# Fitted on 118 of the same questions and 80 test questions (not those that are reported), for one,
# two and three opinions: intercept, weights of the hits' log-odds, of the mean log-odds of the
# opinions and of a number that is asked for but not there. AUROC .89, .90 and .91 in ten-fold
# cross-validation; asked until it is clear .91 with 1.9 opinions.
_OPINIONS = ((0.36, 0.67, 1.31, -1.72), (0.59, 0.67, 1.7, -1.64), (0.81, 0.68, 1.95, -1.73))
OPINIONS = len(_OPINIONS)
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


def with_opinions(prior: float, opinions: Sequence[float], *, number_missing: bool) -> float:
    """Return `prior`, the answerability of the hits, corrected by what the LLM thinks of the best.

    Each opinion is its P(a sentence of the passages answers), of the closest sentence first; at
    most OPINIONS of them. `number_missing`: a quantity is asked for, and the closest has no digit.
    """
    if not opinions:
        return prior
    intercept, of_prior, of_opinions, of_missing = _OPINIONS[len(opinions) - 1]
    mean = sum(map(_logit, opinions)) / len(opinions)
    z = intercept + of_prior * _logit(prior) + of_opinions * mean + of_missing * number_missing
    return _logistic(z)


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def _logit(p: float) -> float:
    p = min(max(p, _NEVER), 1 - _NEVER)
    return math.log(p / (1 - p))
