"""Is the question answerable from these hits? Decided before a token is generated.

A logistic model over three facts about the best hits. Relevance is not sufficiency: a near miss
inside the field scores high here, so the check of every sentence after generation still stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from index.hits import Hit
from rag.facts import missing_names

# Logistic regression on 104 questions over the four seed documents, 53 of them unanswerable:
# AUROC .83 in ten-fold cross-validation (eval/LOG.md).
_INTERCEPT, _COSINE, _LOGIT, _MISSING = -6.17, 10.82, 0.11, -1.79
_LOGIT_UNKNOWN = -2.0  # the mean, for when the cross-encoder is down


def answerability(question: str, hits: Sequence[Hit]) -> float:
    """Return P(the hits answer the question).

    Known are the best cosine, the best logit of the cross-encoder, and how many names of the
    question none of the best five hits has.
    """
    if not hits:
        return 0.0
    cosine = max(hit.explain.get("dense", 0.0) for hit in hits)
    logits = [hit.explain["cross_encoder"] for hit in hits if "cross_encoder" in hit.explain]
    logit = max(logits, default=_LOGIT_UNKNOWN)
    missing = missing_names(question, "\n".join(hit.chunk.search_text for hit in hits[:5]))
    z = _INTERCEPT + _COSINE * cosine + _LOGIT * logit + _MISSING * len(missing)
    return 1.0 / (1.0 + math.exp(-z))
