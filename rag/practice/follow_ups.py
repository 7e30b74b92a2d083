"""The next question: aimed at the biggest missed point, without a word that gives it away.

Also the hints, which climb. Knows nothing of sessions; a point's text leaves this module only
where `hint` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from index.bm25 import terms
from rag.practice.bank import Facet, Probe, RubricPoint
from rag.practice.estimates import formula_shape
from rag.practice.matching import Match
from rag.practice.rows import VerdictRow
from rag.practice.scoring import WEIGHT
from rag.practice.steps import Step

_CARRIES = 0.6  # share of a point's terms that another probe's point must have to be the same
_TEMPLATES: Mapping[Facet, tuple[str, ...]] = {
    "clarify": ("What would you have to know first, and from whom?", "What is still open?"),
    "estimate": ("Can you put numbers on that?", "How big does it get?"),
    "architecture": (
        "Which part of the picture is still missing?",
        "Walk me along the path once more: what sits in between?",
    ),
    "depth": ("How exactly does that work inside?", "Go one step deeper: why does it hold?"),
    "trade-off": ("What would you give up for that?", "When would you not do it?"),
    "failure": ("How does that break, and what happens then?", "What if it goes wrong at night?"),
    "eval": ("How would you know that it works?", "What would convince a sceptic?"),
    "monitoring": ("How would you notice that it got worse?", "What would wake you up?"),
    "product": ("Who feels the difference, and how?", "Why would anybody care?"),
}
_LAST_RESORT = "And what more?"  # stop words only: it can give nothing away

_PUMP = {
    "clarify": "Think about who uses it, how much, how fast, and what is out of bounds.",
    "estimate": "Write the formula down before the numbers.",
    "order": "Do not count words. What does each answer commit to?",
    "talk": "Say it in your own words; two or three sentences are enough.",
}
_HINT = {
    "clarify": "Scale, latency, the metric that matters and the data at hand are always worth it.",
    "order": "The lower ones name a technique; the higher ones connect, measure and price it.",
    "talk": "Begin with the decision that mattered most.",
}
ABOUT: Mapping[Facet, str] = {
    "clarify": "It is about what to find out first.",
    "estimate": "It is about a number.",
    "architecture": "It is about the parts and how they connect.",
    "depth": "It is about how something works inside.",
    "trade-off": "It is about what is given up for what.",
    "failure": "It is about what breaks.",
    "eval": "It is about how success is judged.",
    "monitoring": "It is about what is watched once it runs.",
    "product": "It is about what the user gets.",
}


def key_terms(point: RubricPoint, known: str) -> set[str]:
    """Return the stemmed words of a point that `known`, what was asked, has not told already."""
    return set(terms(point.text)) - set(terms(known))


def target(
    points: Sequence[RubricPoint],
    standing: Mapping[str, VerdictRow],
    aimed: Collection[str] = (),
) -> RubricPoint | None:
    """Return the point with the largest weight * (1 - P) of those not covered nor aimed at yet."""

    def loss(point: RubricPoint) -> float:
        row = standing.get(point.id)
        return WEIGHT[point.weight] * (1 - (row.verdict.probability if row else 0.0))

    open_ = [
        point
        for point in points
        if point.id not in aimed
        and (point.id not in standing or standing[point.id].final != "covered")
    ]
    return max(open_, key=loss, default=None)


_FOLLOWS = ("probe", "transcript", "quiz")


def follow_up(
    point: RubricPoint, probe: Probe, others: Sequence[Probe], match: Match, floor: float
) -> str:
    """Return a question after `point`: the probe's own, another probe's, or a template.

    Whatever shares one of the point's key terms is passed over.
    """
    secret = key_terms(point, f"{probe.context} {probe.prompt}")
    candidates = _candidates(point, probe, others, match, floor)
    return next((text for text in candidates if not secret & set(terms(text))), _LAST_RESORT)


def _candidates(
    point: RubricPoint, probe: Probe, others: Sequence[Probe], match: Match, floor: float
) -> Iterator[str]:
    if probe.follow_ups:
        likeness = match(point.text, probe.follow_ups)
        ranked = sorted(zip(likeness, probe.follow_ups, strict=True), key=lambda pair: -pair[0])
        yield from (text for score, text in ranked if score >= floor)
    wanted = set(terms(point.text))
    for other in others:
        # A question with a context of its own does not stand alone; a whole design is no follow-up.
        if other.prompt == probe.prompt or other.context or other.kind not in _FOLLOWS:
            continue
        if any(_carries(candidate, wanted) for candidate in other.points):
            yield other.prompt
    yield from _TEMPLATES[point.facet]


def _carries(candidate: RubricPoint, wanted: set[str]) -> bool:
    return len(wanted & set(terms(candidate.text))) >= _CARRIES * len(wanted) > 0


def hint(step: Step, rung: int, point: RubricPoint | None) -> str:
    """Return the hint of `rung` 1 (pump), 2 (hint) or 3 (prompt); the fourth rung is to reveal."""
    if point is None or step.kind not in ("probe", "follow-up"):
        return _plain_hint(step, rung)
    if rung == 1:
        return "There is more to it. What else would matter here?"
    if rung == 2:
        return ABOUT[point.facet]
    secret = key_terms(point, step.prompt)
    words = [word for word in point.text.split() if secret & set(terms(word))]
    initials = ", ".join(f"{_letters(word)[:1]}… ({len(_letters(word))})" for word in words[:3])
    return f"{ABOUT[point.facet]} Words that it needs: {initials or 'those of the question'}."


def _plain_hint(step: Step, rung: int) -> str:
    if step.kind == "estimate" and step.estimate is not None and rung > 1:
        wanted = [step.estimate.steps[number] for number in step.asked]
        if rung == 2:
            return f"It takes {len(wanted)} line(s) of arithmetic; a day has 86,400 seconds."
        return "; ".join(f"{one.name}: {formula_shape(one.expression)}" for one in wanted)
    text = _PUMP if rung == 1 else _HINT
    return text.get(step.kind, _PUMP["talk"])


def _letters(word: str) -> str:
    return "".join(c for c in word if c.isalnum())
