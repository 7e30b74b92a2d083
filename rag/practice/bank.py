"""What practice asks and grades by: probes, rubric points, ladders, clocks, red flags, estimates.

Every entry carries the span of the document that it was parsed from, so that every verdict can
cite. Knows nothing of how documents are parsed or answers graded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Weight = Literal["vital", "okay"]
Facet = Literal[
    "clarify",
    "estimate",
    "architecture",
    "depth",
    "trade-off",
    "failure",
    "eval",
    "monitoring",
    "product",
]
ProbeKind = Literal["probe", "transcript", "quiz", "ladder", "drill", "entry", "curveball"]
Detector = Literal["lexical", "absence", "clock"]


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands: a half-open range of code points of the text of document `doc`."""

    doc: str
    doc_id: str
    start: int
    end: int
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RubricPoint:
    """One thing that an answer must say (`vital`) or may say (`okay`), in at most 25 words.

    `numbers` are those that an answer must get right; none where the corpus contradicts itself.
    `level` is the ladder level that the point separates from the one below it. `right` and `wrong`
    are sentences of candidates, see `rag.practice.phrasings`; both or neither.
    """

    id: str
    text: str
    weight: Weight
    facet: Facet
    span: Span
    level: str = ""
    numbers: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnchorAnswer:
    """An answer of a known level, and the note on what it lacks or why it scored."""

    level: str
    text: str
    note: str
    span: Span


@dataclass(frozen=True, slots=True)
class GridRow:
    """One dimension of a rubric grid, from the weakest bar to the strongest."""

    dimension: str
    bars: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Probe:
    """A question of the interviewer, with the points that its answer is graded by.

    `seconds` is the time that an answer should take. `model_answer` is shown after an attempt.
    """

    id: str
    kind: ProbeKind
    prompt: str
    points: tuple[RubricPoint, ...]
    span: Span
    context: str = ""
    topics: tuple[str, ...] = ()
    companies: tuple[str, ...] = ()
    difficulty: str = ""
    seconds: int = 180
    follow_ups: tuple[str, ...] = ()
    anchors: tuple[AnchorAnswer, ...] = ()
    grid: tuple[GridRow, ...] = ()
    model_answer: str = ""


@dataclass(frozen=True, slots=True)
class RedFlag:
    """Something that costs a candidate points, why, and what to say instead."""

    id: str
    text: str
    why: str
    better: str
    detector: Detector
    span: Span


@dataclass(frozen=True, slots=True)
class Clarification:
    """A question that a candidate may ask, its likely answers, and what each changes."""

    question: str
    answers: tuple[str, ...]
    changes: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of an interview; `start` and `end` in seconds from its beginning."""

    name: str
    start: int
    end: int
    do: str
    avoid: str


@dataclass(frozen=True, slots=True)
class PhaseClock:
    """How one document divides the interview. Clocks disagree; each is kept."""

    id: str
    phases: tuple[Phase, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class CompanyLens:
    """What one company weighs, why, and how to signal it."""

    company: str
    weighs: str
    why: str
    signal: str
    span: Span


@dataclass(frozen=True, slots=True)
class EstimateStep:
    """One step of arithmetic: `name: expression = value unit`."""

    name: str
    expression: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """An exercise in arithmetic; `given` is its statement, the last step its result."""

    id: str
    title: str
    given: str
    steps: tuple[EstimateStep, ...]
    result: str
    span: Span


@dataclass(frozen=True)
class Bank:
    """Everything that practice found in a corpus, in the order of the documents."""

    probes: tuple[Probe, ...] = ()
    red_flags: tuple[RedFlag, ...] = ()
    clarifications: tuple[Clarification, ...] = ()
    clocks: tuple[PhaseClock, ...] = ()
    lenses: tuple[CompanyLens, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    problems: tuple[str, ...] = field(default=(), compare=False)  # what parsing could not read

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change with any entry."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def by_id(self) -> dict[str, Probe]:
        """The probes by id."""
        return {probe.id: probe for probe in self.probes}
