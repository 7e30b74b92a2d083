"""Calibration: place an answer of your own on a ladder; order the ladder's answers unseen.

The order is graded exactly, without a model: the share of pairs that stand the right way round.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from typing import Literal

from rag.practice.bank import Probe
from rag.practice.errors import NothingFits, UnreadableAnswer
from rag.practice.reviews import probe_key
from rag.practice.steps import Step

Exercise = Literal["both", "place", "order"]
_NAMES = "ABCDEFGH"


def plan(ladder: Probe, seed: int, exercise: Exercise = "both") -> tuple[Step, ...]:
    """Return the steps over one ladder; they share an attempt, so the first reveals nothing."""
    if len(ladder.anchors) < 2:
        raise NothingFits(f"{ladder.id} has no levelled answers: choose a ladder to calibrate")
    place = Step(
        "probe", ladder.prompt, 1, 0, phase="Place your answer", seconds=ladder.seconds,
        probe=ladder, card=probe_key(ladder),
    )  # fmt: skip
    levels = [anchor.level for anchor in ladder.anchors]
    shuffled = list(levels)
    while shuffled == levels:
        random.Random(seed).shuffle(shuffled)
        seed += 1
    names = ", ".join(_NAMES[: len(levels)])
    order = Step(
        "order",
        f"{ladder.prompt}\n\nOrder the answers {names} from the weakest to the strongest,"
        " for example: " + " ".join(reversed(_NAMES[: len(levels)])),
        1,
        0 if exercise == "order" else 1,
        phase="Order the answers",
        seconds=240,
        probe=ladder,
        order=tuple(shuffled),
    )
    return {"both": (place, order), "place": (place,), "order": (order,)}[exercise]


def options(step: Step) -> tuple[str, ...]:
    """Return the answers of an order step as they are shown: A is the first."""
    if step.probe is None:
        return ()
    texts = {anchor.level: anchor.text for anchor in step.probe.anchors}
    return tuple(texts[level] for level in step.order)


def read_order(step: Step, answer: str) -> list[str]:
    """Return the levels in the order given; raises UnreadableAnswer unless each is named once."""
    names = _NAMES[: len(step.order)]
    given = re.findall(rf"\b[{names}]\b", answer.upper()) or list(answer.strip().upper())
    if sorted(given) != sorted(names):
        raise UnreadableAnswer(
            f"name each of {', '.join(names)} once, the weakest first: {' '.join(reversed(names))}"
        )
    return [step.order[names.index(name)] for name in given]


def order_score(given: Sequence[str], right: Sequence[str]) -> float:
    """Return the share of pairs in the right order: 1 for all, 0 for the reverse."""
    position = {level: place for place, level in enumerate(right)}
    pairs = list(itertools.combinations(given, 2))
    return sum(position[a] < position[b] for a, b in pairs) / len(pairs)
