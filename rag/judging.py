"""Does a sentence answer a question? The LLM's opinion.

Any LLM can be asked yes or no. Of an LLM that shows its last layer's state a linear probe reads
more: whether a question can be answered is to a good part linear in it (Slobodkin et al., "The
Curious Case of Hallucinatory (Un)answerability", 2023). What it was fitted on it knows best, so
that the yes or no still counts. Probes are fitted by `eval.abstention`, one for each LLM, and lie
in `rag/probes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.abstention import YES_OR_NO, OpinionWeights, logit
from rag.errors import LLMError
from rag.llm import LLM
from rag.prompts import state_prompt, sufficiency_messages


class Judge(Protocol):
    """Has opinions; errors are `rag.errors.LLMError`."""

    @property
    def weights(self) -> Sequence[OpinionWeights]:
        """How much one, two and more of its opinions count."""
        ...

    def opinion(self, question: str, heading: str, text: str) -> float | None:
        """Return the log-odds that `text`, under `heading`, answers; None if it cannot tell."""
        ...


class HasState(LLM, Protocol):
    """An LLM that shows what it made of a text."""

    def last_state(self, text: str) -> NDArray[np.float32]:
        """Return the last layer's state at the end of `text`, (width,)."""
        ...


class YesNoJudge:
    """Asks the LLM."""

    weights = YES_OR_NO

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    def opinion(self, question: str, heading: str, text: str) -> float | None:
        """Return the log-odds of a yes."""
        yes = self._llm.yes_probability(sufficiency_messages(question, heading, text))
        return None if yes is None else logit(yes)


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear model of states, (width + 1,) with the intercept last; how much a yes adds to it.

    `opinions` say how much both together count.
    """

    states: NDArray[np.float32]
    yes: float
    opinions: tuple[OpinionWeights, ...]

    def odds(self, state: NDArray[np.float32], yes: float) -> float:
        """Return the log-odds of a state (width,) and those of a yes."""
        return read_state(self.states, state) + self.yes * yes

    def save(self, path: Path) -> None:
        """Write it as an .npz file."""
        np.savez(path, states=self.states, yes=self.yes, opinions=np.array(self.opinions))

    @staticmethod
    def load(path: Path) -> Probe:
        """Read what `save` wrote."""
        with np.load(path) as found:
            opinions = tuple(OpinionWeights(*row) for row in found["opinions"].tolist())
            return Probe(found["states"], float(found["yes"]), opinions)


class ProbeJudge:
    """Reads the LLM's state, and asks it."""

    def __init__(self, llm: HasState, probe: Probe) -> None:
        self._llm, self._probe, self._asked = llm, probe, YesNoJudge(llm)

    @property
    def weights(self) -> Sequence[OpinionWeights]:
        """How much one, two and more of its opinions count."""
        return self._probe.opinions

    def opinion(self, question: str, heading: str, text: str) -> float | None:
        """Return the log-odds of probe and yes together."""
        state = self._llm.last_state(state_prompt(question, heading, text))
        if len(state) + 1 != len(self._probe.states):
            raise LLMError("the probe was fitted for another LLM; set RAG_PROBE=false")
        yes = self._asked.opinion(question, heading, text)
        if yes is None:
            return None
        odds = self._probe.odds(state, yes)
        if not math.isfinite(odds):
            raise LLMError("the LLM's state is not a number")
        return odds


def read_state(weights: NDArray[np.float32], state: NDArray[np.float32]) -> float:
    """Return the log-odds that a linear model (width + 1,) has for a state (width,)."""
    return float(state @ weights[:-1] + weights[-1])
