"""A stored answer -> its Outcome and verdicts, by the kind of its step.

The one place that calls the grader. Writes nothing, so that it can be done again after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rag.practice import calibrate, estimates
from rag.practice.bank import Probe, RedFlag, RubricPoint
from rag.practice.clarifying import clarify
from rag.practice.matching import Match
from rag.practice.rows import SessionRow, TurnRow, VerdictRow
from rag.practice.scoring import best
from rag.practice.steps import FlagFound, Outcome, StepCheck, Verdict

if TYPE_CHECKING:
    from rag.practice.grader import FlagHit, Grading


class AnswerGrader(Protocol):
    """What grades an answer against points."""

    def grade(
        self,
        prompt: str,
        points: Sequence[RubricPoint],
        answer: str,
        red_flags: Sequence[RedFlag] = (),
    ) -> Grading:
        """Return a verdict for each point."""
        ...


@dataclass(frozen=True)
class Assessor:
    """Grades turns. `floor` is the likeness from which a question is taken for a known one."""

    grader: AnswerGrader
    red_flags: tuple[RedFlag, ...]
    match: Match
    floor: float

    def assess(
        self, session: SessionRow, turns: Sequence[TurnRow], verdicts: Sequence[VerdictRow]
    ) -> tuple[Outcome, tuple[Verdict, ...]]:
        """Return what became of the answer in the last of `turns`."""
        turn = turns[-1]
        step = turn.step
        if step.kind == "clarify":
            rounds = sum(other.step.kind == "clarify" for other in turns)
            outcome = clarify(step, turn.answer, rounds, self.match, self.floor, session.seed)
            return outcome, ()
        if step.kind == "estimate" and step.estimate is not None:
            if len(step.asked) == 1:
                only = step.estimate.steps[step.asked[0]]
                checks: tuple[StepCheck, ...] = (estimates.check_step(only, turn.answer),)
            else:
                checks = estimates.check_steps(step.estimate, step.asked, turn.answer)
            return Outcome(estimates.score(checks), checks=checks), ()
        if step.kind == "order" and step.probe is not None:
            given = calibrate.read_order(step, turn.answer)
            right = [anchor.level for anchor in step.probe.anchors]
            return Outcome(calibrate.order_score(given, right)), ()
        if step.kind == "talk" or step.probe is None:
            return self._talk(session, turns), ()
        return self._grade(turn, step.probe, verdicts)

    def _grade(
        self, turn: TurnRow, probe: Probe, verdicts: Sequence[VerdictRow]
    ) -> tuple[Outcome, tuple[Verdict, ...]]:
        step = turn.step
        points, prompt = probe.points, step.prompt
        if step.kind == "follow-up":
            standing = best(row for row in verdicts if row.attempt == step.attempt)
            covered = {id_ for id_, row in standing.items() if row.final == "covered"}
            points = tuple(point for point in points if point.id not in covered)
            prompt = f"{probe.prompt} {prompt}"
        grading = self.grader.grade(prompt, points, turn.answer, self._flags("lexical"))
        found = tuple(
            Verdict(v.point_id, v.state, v.probability, v.quote, v.start, v.end)
            for v in grading.verdicts
        )
        outcome = Outcome(
            grading.score,
            gate=grading.gate,
            flags=self._named(grading.red_flags),
            version=grading.version,
        )
        return outcome, found

    def _talk(self, session: SessionRow, turns: Sequence[TurnRow]) -> Outcome:
        """Look for red flags; at the close, also for what the whole interview never said."""
        turn = turns[-1]
        hits = list(self._hits(turn.step.prompt, turn.answer, self._flags("lexical")))
        if session.mode == "mock" and turn.step.place == len(session.plan) - 1:
            said = "\n".join(other.answer for other in turns)
            hits += self._hits(session.title, said, self._flags("absence"))
        return Outcome(flags=self._named(hits))

    def _hits(self, prompt: str, answer: str, flags: Sequence[RedFlag]) -> Sequence[FlagHit]:
        return self.grader.grade(prompt, (), answer, flags).red_flags if flags else ()

    def _flags(self, detector: str) -> tuple[RedFlag, ...]:
        return tuple(flag for flag in self.red_flags if flag.detector == detector)

    def _named(self, hits: Sequence[FlagHit]) -> tuple[FlagFound, ...]:
        by_id = {flag.id: flag for flag in self.red_flags}
        known = ((by_id[hit.flag_id], hit.quote) for hit in hits if hit.flag_id in by_id)
        return tuple(FlagFound(flag.text, flag.why, flag.better, quote) for flag, quote in known)
