"""A bank small enough to know by heart, a grader that reads first words, a clock that is set."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from ingest.documents import Document
from rag.answers import Answer
from rag.practice.bank import (
    AnchorAnswer,
    Bank,
    Clarification,
    Estimate,
    EstimateStep,
    Phase,
    PhaseClock,
    Probe,
    RedFlag,
    RubricPoint,
    Span,
)
from rag.practice.grader import FlagHit, Grading, PointVerdict
from rag.practice.sessions import Practice
from rag.practice.store import PracticeStore

TEXT = "# Feeds\n\n## Ranking\n\nQuantised vectors save memory.\nBackfill keeps history honest.\n"
DOCUMENT = Document("d1", "feeds.md", "Feeds", TEXT, "0" * 64)
VERSION = "fake-1"


class FakeClock:
    """Tells the time that it was set to; `tick` moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


class FakeGrader:
    """A point is covered iff its text's first word occurs in the answer; so is a red flag."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    def grade(
        self,
        prompt: str,
        points: Sequence[RubricPoint],
        answer: str,
        red_flags: Sequence[RedFlag] = (),
    ) -> Grading:
        self.answers.append(answer)
        verdicts = tuple(self._verdict(point, answer) for point in points)
        counted = [p.id for p in points if p.weight == "vital"] or [p.id for p in points]
        covered = [v.point_id for v in verdicts if v.state == "covered"]
        score = len(set(counted) & set(covered)) / len(counted) if counted else 0.0
        hits = tuple(
            FlagHit(flag.id, flag.text.split()[0])
            for flag in red_flags
            if (flag.text.split()[0] in answer) == (flag.detector == "lexical")
        )
        return Grading(verdicts, score, "" if answer.strip() else "empty", hits, VERSION)

    def _verdict(self, point: RubricPoint, answer: str) -> PointVerdict:
        word = point.text.split()[0]
        start = answer.find(word)
        if start < 0:
            return PointVerdict(point.id, "missed", 0.1, "", 0, 0)
        return PointVerdict(point.id, "covered", 0.9, word, start, start + len(word))


def match(text: str, others: Sequence[str]) -> list[float]:
    """Return the share of a text's words that each of the others has."""
    words = set(_words(text))
    return [len(words & set(_words(other))) / len(words) if words else 0.0 for other in others]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def span(*path: str, quote: str = "", doc: str = "d1") -> Span:
    start = TEXT.find(quote) if quote else 0
    return Span("feeds.md", doc, start, start + len(quote), path or ("Feeds", "Ranking"))


def point(id_: str, text: str, weight="vital", facet="depth", **more) -> RubricPoint:
    return RubricPoint(id_, text, weight, facet, more.pop("span", span(quote=text)), **more)


MEMORY = point("p-memory", "Quantised vectors save memory.")
HISTORY = point("p-history", "Backfill keeps history honest.", facet="failure")
BONUS = point("p-bonus", "Hedging trims stragglers.", weight="okay", facet="trade-off")


def probe(id_: str, prompt: str, *points: RubricPoint, kind="probe", **more) -> Probe:
    return Probe(id_, kind, prompt, points, more.pop("span", span()), **more)


PROBE = probe(
    "feed", "How would you rank a feed?", MEMORY, HISTORY, BONUS,
    topics=("ranking",), companies=("Meta",), difficulty="hard",
    model_answer="Compress, then replay old logs.",
)  # fmt: skip
ENTRY = probe(
    "design-feed", "Design a social feed",
    point("e-fanout", "Fanout happens at write time.", facet="architecture"),
    point("e-outage", "Replicas absorb an outage.", facet="failure"),
    kind="entry", topics=("ranking",), model_answer="Push, and pull for celebrities.",
)  # fmt: skip
DIVES = tuple(
    probe(f"dive-{n}", f"Deep question number {n}?", point(f"dive-{n}-p", text), kind="transcript")
    for n, text in enumerate(("Calibration needs holdout.", "Sharding follows users."), start=1)
)
CURVEBALL = probe(
    "curve", "Traffic triples overnight. What now?",
    point("c-shed", "Shedding protects checkout.", facet="failure"), kind="curveball",
)  # fmt: skip
LADDER = probe(
    "ladder", "How do you generate candidates?",
    point("l5", "Several sources feed retrieval.", level="L5"),
    point("l6", "Measured recall per source.", level="L6"),
    point("l7", "Reframed as portfolio allocation.", level="L7"),
    kind="ladder",
    anchors=tuple(
        AnchorAnswer(level, text, note, span())
        for level, text, note in (
            ("L4", "One tower pair.", "Lacks breadth."), ("L5", "Many generators.", "Lacks proof."),
            ("L6", "Recall by generator.", "Lacks price."), ("L7", "A budgeted mix.", "Complete."),
        )
    ),
)  # fmt: skip
ESTIMATE = Estimate(
    "load", "Peak load of a feed", "500 million daily users; 10 opens each; a peak factor of 3.",
    (
        EstimateStep("Requests per day", "500,000,000 × 10", 5e9, ""),
        EstimateStep("Average load", "5,000,000,000 / 86,400", 57_870, "QPS"),
        EstimateStep("Peak load", "58,000 × 3", 174_000, "QPS"),
    ),
    "about 180,000 QPS", span(),
)  # fmt: skip
CLOCK = PhaseClock(
    "clock",
    (
        Phase("Clarify", 0, 300, "ask", "designing at once"),
        Phase("Estimate", 300, 600, "compute", ""),
        Phase("Architecture", 600, 1200, "draw", ""),
        Phase("Deep dive", 1200, 2100, "depth", ""),
        Phase("Trade-offs and failure modes", 2100, 2520, "break it", ""),
        Phase("Close", 2520, 2700, "sum up", ""),
    ),
    span(),
)
FLAGS = (
    RedFlag("buzz", "blockchain everywhere", "buzzword", "name the need", "lexical", span()),
    RedFlag("silent", "monitoring never named", "blind", "name an alert", "absence", span()),
)
BANK = Bank(
    probes=(PROBE, ENTRY, *DIVES, CURVEBALL, LADDER),
    red_flags=FLAGS,
    clarifications=(
        Clarification("What is the latency budget?", ("under 200 ms",), ("light ranker",), span()),
        Clarification("What is the scale?", ("500 million users",), ("shards",), span()),
    ),
    clocks=(CLOCK,),
    estimates=(ESTIMATE,),
)


def secrets_of(bank: Bank) -> list[str]:
    """Everything of a bank that no client may see before its attempt is over."""
    found = []
    for probe_ in bank.probes:
        found += [point_.text for point_ in probe_.points]
        found += [note for anchor in probe_.anchors for note in (anchor.text, anchor.note)]
        found += [probe_.model_answer] if probe_.model_answer else []
    found += [step.expression for estimate in bank.estimates for step in estimate.steps]
    return found + [change for c in bank.clarifications for change in c.changes]


def answer_corpus(question: str) -> Answer:
    return Answer(question, "answered", message=f"about {question}")


def make_practice(
    path: Path, clock: FakeClock | None = None, *, bank: Bank = BANK, **parts
) -> Practice:
    """A Practice over the fakes, with a database in the folder `path`."""
    parts = {"grader": FakeGrader(), "match": match, "answer": answer_corpus} | parts
    return Practice(
        bank,
        parts.pop("grader"),
        parts.pop("store", None) or PracticeStore(path / "practice.sqlite3"),
        corpus={"d1": DOCUMENT}.get,
        clock=clock or FakeClock(),
        model="fake-llm",
        **parts,
    )


def without_follow_ups(bank: Bank, *ids: str) -> Bank:
    """A bank of some probes only."""
    return dataclasses.replace(bank, probes=tuple(p for p in bank.probes if p.id in ids))
