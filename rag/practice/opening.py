"""The beginning of a session: what was asked for -> a title, a plan of steps, a clock, notices.

A plan depends on the bank, the wish, the seed and the records alone. Knows nothing of answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rag.practice import calibrate, mock
from rag.practice.bank import Bank, Estimate, PhaseClock, Probe
from rag.practice.choosing import (
    Wanted,
    choose_estimate,
    choose_ladder,
    choose_probe,
    probe_by_id,
)
from rag.practice.errors import NothingDue, UnknownProbe
from rag.practice.follow_ups import ABOUT
from rag.practice.reviews import probe_key
from rag.practice.rows import Card
from rag.practice.steps import PracticeMode, Step

FOLLOW_UPS = 2
REVIEW_CARDS = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """How a session is asked for. `minutes` scales the clock of a mock."""

    mode: PracticeMode
    probe_id: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    clock: str = ""
    minutes: float | None = None
    exercise: calibrate.Exercise = "both"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new session is made of."""

    title: str
    plan: tuple[Step, ...]
    clock: PhaseClock | None = None
    notices: tuple[str, ...] = ()


def open_with(
    bank: Bank, wish: Wish, seed: int, practised: Collection[str], due: Sequence[Card]
) -> Opening:
    """Return the opening of a session; raises UnknownProbe, NothingFits or NothingDue."""
    if wish.mode == "mock":
        return _mock(bank, wish, seed)
    if wish.mode == "review":
        return _review(bank, due)
    if wish.mode == "estimate":
        return _estimate(_find_estimate(bank, wish, seed))
    if wish.mode == "calibrate":
        chosen = probe_by_id(bank, wish.probe_id) if wish.probe_id else None
        ladder = chosen or choose_ladder(bank, wish.wanted, seed)
        return Opening(ladder.prompt, calibrate.plan(ladder, seed, wish.exercise))
    if wish.probe_id:
        probe = probe_by_id(bank, wish.probe_id)
    else:
        probe = choose_probe(bank, wish.wanted, seed, practised)
    return Opening(probe.prompt, (_probe_step(probe, 0, FOLLOW_UPS),))


def _probe_step(probe: Probe, place: int, follow_ups: int) -> Step:
    return Step(
        "probe", mock.asked_as(probe), place + 1, place, phase="Answer", seconds=probe.seconds,
        probe=probe, follow_ups=follow_ups, card=probe_key(probe),
    )  # fmt: skip


def _mock(bank: Bank, wish: Wish, seed: int) -> Opening:
    clock = mock.choose_clock(bank, wish.clock, wish.minutes)
    title, plan = mock.plan(bank, wish.wanted, clock, seed)
    notices = () if clock.span.doc else ("the corpus has no phase clock: a built-in one is used",)
    return Opening(title, plan, clock, notices)


def _review(bank: Bank, due: Sequence[Card]) -> Opening:
    if not due:
        raise NothingDue("no review is due: do a drill, or come back when the next one is")
    steps = []
    for place, card in enumerate(due[:REVIEW_CARDS]):
        probe = card.probe if card.point_id else bank.by_id.get(card.probe.id, card.probe)
        step = _probe_step(probe, place, 0)
        prompt = step.prompt
        if card.point_id:  # one point is wanted: say at least what kind of point
            prompt += f"\n\nOne thing about it. {ABOUT[probe.points[0].facet]}"
        steps.append(dataclasses.replace(step, prompt=prompt, phase="Review", card=card.key))
    return Opening(f"Review of {len(steps)} card{'s' * (len(steps) > 1)}", tuple(steps))


def _find_estimate(bank: Bank, wish: Wish, seed: int) -> Estimate:
    if not wish.probe_id:
        return choose_estimate(bank, wish.wanted, seed)
    found = next((e for e in bank.estimates if e.id == wish.probe_id and e.steps), None)
    if found is None:
        raise UnknownProbe(
            f"there is no estimation exercise {wish.probe_id!r}: leave the id out to draw one"
        )
    return found


def _estimate(estimate: Estimate) -> Opening:
    """One question a step of the exercise; each is an attempt, so each is checked at once."""
    title = estimate.title[:1].upper() + estimate.title[1:]
    steps = tuple(
        Step(
            "estimate", f"{title}. {estimate.given}\n\n{step.name}? (number and unit)",
            place + 1, place, phase="Estimate", seconds=60, estimate=estimate, asked=(place,),
        )
        for place, step in enumerate(estimate.steps)
    )  # fmt: skip
    return Opening(estimate.title, steps)
