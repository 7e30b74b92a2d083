"""How good is the check of a sentence against its passage? Judges beside labelled claims.

A judge is a function of (claim, source); how it decides is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.answers import SUPPORTED, Judge, auroc
from eval.claims import Claim
from eval.estimates import rate
from eval.retrieval import Advance

EXACT = ("number", "unit", "negation")  # tricks that exact rules must see


def judge_claims(
    judges: Mapping[str, Judge], claims: Sequence[Claim], advance: Advance = lambda: None
) -> dict[str, list[float]]:
    """Return the score that each judge gives each claim."""
    scores: dict[str, list[float]] = {name: [] for name in judges}
    for claim in claims:
        for name, judge in judges.items():
            scores[name].append(judge(claim.claim, claim.source))
        advance()
    return scores


def measure_grounding(
    claims: Sequence[Claim], scores: Mapping[str, Sequence[float]], *, seed: int
) -> dict[str, Any]:
    """Return AUROC, precision and recall at the threshold, and accuracy by trick, per judge."""
    return {name: _judge(claims, values, seed) for name, values in scores.items()}


def _judge(claims: Sequence[Claim], scores: Sequence[float], seed: int) -> dict[str, Any]:
    truth = [claim.supported for claim in claims]
    said = [score >= SUPPORTED for score in scores]
    exact = [i for i, claim in enumerate(claims) if claim.supported or claim.trick in EXACT]
    tricks: dict[str, list[float]] = {}
    for claim, verdict in zip(claims, said, strict=True):
        tricks.setdefault(f"{claim.label}: {claim.trick}", []).append(
            float(verdict == claim.supported)
        )
    pairs = list(zip(truth, said, strict=True))
    return {
        "auroc": asdict(auroc(truth, scores, seed)),
        "auroc of numbers, units, negations": asdict(
            auroc([truth[i] for i in exact], [scores[i] for i in exact], seed)
        ),
        "precision": asdict(rate([float(t) for t, s in pairs if s])),
        "recall": asdict(rate([float(s) for t, s in pairs if t])),
        "accuracy": asdict(rate([float(t == s) for t, s in pairs])),
        "kappa": kappa(truth, said),
        "accuracy by trick": {
            trick: asdict(rate(right)) for trick, right in sorted(tricks.items())
        },
        "scores": {claim.id: score for claim, score in zip(claims, scores, strict=True)},
    }


def kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Return Cohen's kappa of two judges; None where chance alone explains everything."""
    n = len(one)
    if not n:
        return None
    agreed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    yes = sum(one) / n * sum(other) / n
    chance = yes + (1 - sum(one) / n) * (1 - sum(other) / n)
    return None if chance == 1 else (agreed - chance) / (1 - chance)
