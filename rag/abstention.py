"""Is the question answerable from these hits? Decided before a token is generated.

A logistic model over three facts about the best hits. Relevance is not sufficiency: a near miss
inside the field scores high here, so the check of every sentence after generation still stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from index.bm25 import terms
from index.hits import Hit

# Fitted on development questions (answerable and not) by `python -m eval`; see eval/LOG.md.
_INTERCEPT, _LATE, _LOGIT, _COVERAGE = -20.0, 22.0, 0.25, 2.5


def answerability(question: str, hits: Sequence[Hit]) -> float:
    """Return P(the hits answer the question), from the best scores and the terms they cover."""
    if not hits:
        return 0.0
    late = max(hit.explain.get("late", 0.0) for hit in hits)
    logits = [hit.explain["cross_encoder"] for hit in hits if "cross_encoder" in hit.explain]
    logit = max(logits) if logits else 0.0
    z = _INTERCEPT + _LATE * late + _LOGIT * logit + _COVERAGE * term_coverage(question, hits[:3])
    return 1.0 / (1.0 + math.exp(-z))


def term_coverage(question: str, hits: Sequence[Hit]) -> float:
    """Return the share of the question's distinct terms that occur in `hits`."""
    asked = set(terms(question))
    if not asked:
        return 0.0
    found = {term for hit in hits for term in terms(hit.chunk.search_text)}
    return len(asked & found) / len(asked)
