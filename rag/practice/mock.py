"""The mock interview: a plan of steps about one problem, on the corpus's phase clock.

A shorter interview is the same plan on a scaled clock. Knows nothing of grading or storage.
"""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Literal

from index.bm25 import terms
from rag.practice.bank import (
    Bank,
    Clarification,
    Estimate,
    Phase,
    PhaseClock,
    Probe,
    RubricPoint,
    Span,
)
from rag.practice.choosing import Wanted, nearness
from rag.practice.errors import NothingFits
from rag.practice.reviews import probe_key
from rag.practice.steps import Step

Role = Literal[
    "clarify", "estimate", "architecture", "deep dive", "curveball", "failure modes", "close"
]

_SHORT_S = 30 * 60  # below it there are two deep dives, else three
_WORDS: dict[Role, str] = {
    "clarify": r"clarif|scop|question",
    "estimate": r"capacit|estimat|requirement|scale",
    "architecture": r"architect|design|diagram|high.level",
    "deep dive": r"deep|dive",
    "curveball": r"curveball|trade|failure|gotcha|evaluat|infrastructure",
    "failure modes": r"failure|gotcha|trade|monitor",
    "close": r"close|closing|follow|wrap|summar",
}
_SAYS_WHAT = 2  # terms; "what would you do differently?" asks nothing outside its own interview
_DESIGN = re.compile(r"walk me through|would you (?:build|design|train)|components", re.IGNORECASE)
_GENERIC = frozenset(terms("please design a system real-time platform at scale, ask what you need"))
_SAME_PROBLEM = 0.6  # share of a design question's words that the interview's problem has
_FALLBACK = PhaseClock(
    "built-in",
    tuple(
        Phase(name, 60 * start, 60 * end, "", "")
        for name, start, end in (
            ("Clarify", 0, 5), ("Estimate", 5, 10), ("Architecture", 10, 17),
            ("Deep dive", 17, 33), ("Failure modes", 33, 41), ("Close", 41, 45),
        )
    ),
    Span("", "", 0, 0),
)  # fmt: skip


def choose_clock(bank: Bank, clock_id: str, minutes: float | None) -> PhaseClock:
    """Return a clock of the bank scaled to `minutes`; the first of 40 to 50 minutes by default."""
    clocks = [clock for clock in bank.clocks if clock.phases]
    if clock_id:
        chosen = next((clock for clock in clocks if clock.id == clock_id), None)
        if chosen is None:
            known = ", ".join(clock.id for clock in clocks) or "none"
            raise NothingFits(f"there is no phase clock {clock_id!r}; the corpus has: {known}")
    else:
        usual = [clock for clock in clocks if 40 * 60 <= total(clock) <= 50 * 60]
        chosen = (usual or clocks or [_FALLBACK])[0]
    return scale(chosen, minutes) if minutes is not None else chosen


def total(clock: PhaseClock) -> int:
    """Return the length of an interview in seconds."""
    return max(phase.end for phase in clock.phases)


def scale(clock: PhaseClock, minutes: float) -> PhaseClock:
    """Return a clock with the same proportions that lasts `minutes`."""
    if minutes < 1:
        raise NothingFits("a mock interview takes at least one minute: give --minutes 10, say")
    factor = minutes * 60 / total(clock)
    phases = tuple(
        dataclasses.replace(p, start=round(p.start * factor), end=round(p.end * factor))
        for p in clock.phases
    )
    return dataclasses.replace(clock, phases=phases)


def phases_of(clock: PhaseClock) -> dict[Role, Phase]:
    """Return the phase of each part of the interview; a part without one shares the one before."""
    found: dict[Role, Phase] = {}
    at = 0
    for role, words in _WORDS.items():
        for position in range(at, len(clock.phases)):
            if re.search(words, clock.phases[position].name, re.IGNORECASE):
                at = position
                break
        found[role] = clock.phases[at]
    return found


def plan(bank: Bank, wanted: Wanted, clock: PhaseClock, seed: int) -> tuple[str, tuple[Step, ...]]:
    """Return the title and the steps of an interview about one problem of the bank."""
    draw = random.Random(seed)
    theme = _theme(bank, wanted, draw)
    title = _title(theme)
    main = theme if theme.kind in ("entry", "drill") else _design_probe(bank, theme, title)
    build = _Plan(phases_of(clock))
    build.add(
        "clarify",
        "clarify",
        f"{title}\n\nBefore you design: what do you want to know? Ask, and say when to go on.",
        clarifications=_clarifications(bank, theme),
    )
    estimate = _estimate(bank, theme, draw)
    if estimate is not None:
        build.add_estimate(estimate)
    failing = tuple(p for p in main.points if p.facet in ("failure", "monitoring"))
    building = tuple(p for p in main.points if p not in failing)
    build.add(
        "architecture",
        "probe" if building else "talk",
        f"{title}\n\nDraw the architecture in words: the parts, and how a request flows.",
        probe=_part(main, "architecture", building),
        follow_ups=1,
    )
    dives, others = _deep_dives(bank, theme, main, draw, 2 if total(clock) < _SHORT_S else 3)
    for position, probe in enumerate(dives):
        build.add_probe("deep dive", probe, theme, follow_ups=2, optional=position > 0)
    curveballs = [probe for probe in bank.probes if probe.kind == "curveball"]
    if curveballs:
        build.add_probe("curveball", draw.choice(curveballs), theme)
    same = (p for p in others if nearness(theme, p.span)[0] and p.context == theme.context)
    other = next((p for p in same if any(q.facet == "failure" for q in p.points)), None)
    if failing or other is None:
        build.add(
            "failure modes",
            "probe" if failing else "talk",
            "What fails first in your design, how do you notice, and what happens then?",
            probe=_part(main, "failure", failing),
            follow_ups=1,
        )
    else:
        build.add_probe("failure modes", other, theme, follow_ups=1)
    build.add("close", "talk", "Sum up your design, and say what you would do with more time.")
    return title, tuple(build.steps)


def asked_as(probe: Probe) -> str:
    """Return a probe's prompt with the context that it needs."""
    return f"{probe.context}\n\n{probe.prompt}" if probe.context else probe.prompt


class _Plan:
    """Numbers the steps and gives each its phase and its share of it."""

    def __init__(self, phases: dict[Role, Phase]) -> None:
        self._phases = phases
        self.steps: list[Step] = []

    def add(self, role: Role, kind: str, prompt: str, **parts: object) -> None:
        phase = self._phases[role]
        place = len(self.steps)
        self.steps.append(
            Step(
                kind, prompt, place + 1, place, phase=phase.name,  # type: ignore[arg-type]
                seconds=phase.end - phase.start, **parts,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def add_probe(self, role: Role, probe: Probe, theme: Probe, **parts: object) -> None:
        known = probe.context in (theme.context, theme.prompt)
        prompt = probe.prompt if known else asked_as(probe)
        self.add(role, "probe", prompt, probe=probe, card=probe_key(probe), **parts)

    def add_estimate(self, estimate: Estimate) -> None:
        names = "; ".join(step.name for step in estimate.steps)
        title = estimate.title[:1].upper() + estimate.title[1:]
        prompt = f"{title}. {estimate.given}\n\nEstimate aloud, with units: {names}."
        asked = tuple(range(len(estimate.steps)))
        self.add("estimate", "estimate", prompt, estimate=estimate, asked=asked)


def _theme(bank: Bank, wanted: Wanted, draw: random.Random) -> Probe:
    """Draw the problem: best an interview with clarifying questions, then any design question."""
    clarified = {c.span.doc_id for c in bank.clarifications}
    fitting = [p for p in bank.probes if p.points and wanted.fits(p) and p.kind != "curveball"]
    with_answers = [
        p for p in fitting if p.span.doc_id in clarified and p.kind in ("entry", "transcript")
    ]
    design = [p for p in fitting if p.kind in ("entry", "drill")]
    if not fitting:
        raise NothingFits(f"no problem for a mock interview fits {wanted}: widen it")
    # One of each interview, or those with many questions would be drawn most often.
    problems = {(p.span.doc_id, _title(p)): p for p in with_answers or design or fitting}
    return draw.choice(list(problems.values()))


def _title(theme: Probe) -> str:
    if theme.kind in ("entry", "drill"):
        return theme.prompt
    return theme.context or (theme.span.heading_path or (theme.prompt,))[0]


def _design_probe(bank: Bank, theme: Probe, title: str) -> Probe:
    """Return the probe whose points a whole design is graded by.

    The interview's own question for the design, a design question about the same thing, or
    what of the interview is most about architecture.
    """
    mine = [
        p
        for p in bank.probes
        if p.points and p.span.doc_id == theme.span.doc_id and p.context == theme.context
    ]

    def built(probe: Probe) -> int:
        return sum(point.facet == "architecture" for point in probe.points)

    if own := [p for p in mine if _DESIGN.search(p.prompt)]:
        return max(own, key=built)  # rather than "design the features"
    about = set(terms(title)) - _GENERIC
    entries = [p for p in bank.probes if p.kind == "entry" and p.points]
    likeness = [_overlap(set(terms(p.prompt)) - _GENERIC, about) for p in entries]
    best = max(range(len(entries)), key=likeness.__getitem__, default=None)
    if best is not None and likeness[best] >= _SAME_PROBLEM:
        return entries[best]
    return max(mine, key=built)


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one) if len(one & other) > 1 else 0.0


def _part(main: Probe, name: str, points: tuple[RubricPoint, ...]) -> Probe | None:
    """Return the probe with some of its points; an id of its own keeps it apart in the records."""
    if not points:
        return None
    return dataclasses.replace(main, id=f"{main.id}/{name}", points=points, follow_ups=())


def _clarifications(bank: Bank, theme: Probe) -> tuple[Clarification, ...]:
    """Return the answers for this problem only: another system's scale would mislead."""
    near = [(nearness(theme, c.span), c) for c in bank.clarifications]
    reach = max((n for n, _ in near if n[0]), default=None)
    return tuple(c for n, c in near if n == reach) if reach else ()


def _estimate(bank: Bank, theme: Probe, draw: random.Random) -> Estimate | None:
    """Draw one of the exercises nearest to the problem: by document, then by shared topics."""
    estimates = [e for e in bank.estimates if e.steps]
    if not estimates:
        return None
    topics: dict[str, set[str]] = {}
    for probe in bank.probes:
        topics.setdefault(probe.span.doc_id, set()).update(probe.topics)
    about = dataclasses.replace(theme, topics=tuple(topics[theme.span.doc_id]))
    near = [nearness(about, e.span, topics.get(e.span.doc_id, ())) for e in estimates]
    return draw.choice([e for n, e in zip(near, estimates, strict=True) if n == max(near)])


def _deep_dives(
    bank: Bank, theme: Probe, main: Probe, draw: random.Random, count: int
) -> tuple[list[Probe], list[Probe]]:
    """Return the probes to go deep with, and those left over; the nearest to the problem first."""
    known = {point.id for point in main.points}
    candidates = [
        p
        for p in bank.probes
        if p.points
        and p.kind in ("probe", "transcript", "quiz")
        and len(set(terms(p.prompt))) >= _SAYS_WHAT
        and p.id != main.id
        and not known & {point.id for point in p.points}
    ]
    draw.shuffle(candidates)
    candidates.sort(
        key=lambda p: (p.context == theme.context != "", nearness(theme, p.span, p.topics)),
        reverse=True,
    )
    return candidates[:count], candidates[count : count + 10]
