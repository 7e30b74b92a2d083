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
# classes weighing the same: AUROC .75 in ten-fold cross-validation with questions of passages, .69
# without (eval/LOG.md). The cross-encoder's logit added nothing.
_WITH_QUESTIONS = {"intercept": -12.87, "dense": 5.91, "asked_late": 14.84, "missing": -3.07}
_WITHOUT = {"intercept": -1.48, "dense": 7.3, "missing": -3.62}

# Fitted on 108 of the same questions, weighing both classes the same: AUROC .83 in ten-fold
# cross-validation, against .76 of the hits and .81 of the opinion alone.
_OPINION = (-0.38, 0.97, 1.51)
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


def with_opinion(prior: float, opinion: float | None) -> float:
    """Return `prior`, the answerability of the hits, corrected by the LLM's P(they answer)."""
    if opinion is None:
        return prior
    return _logistic(_OPINION[0] + _OPINION[1] * _logit(prior) + _OPINION[2] * _logit(opinion))


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def _logit(p: float) -> float:
    p = min(max(p, _NEVER), 1 - _NEVER)
    return math.log(p / (1 - p))
