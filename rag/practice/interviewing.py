"""How a session moves: ask, grade what was stored, close the attempt, go on, end.

Every move is one transaction, and grading happens outside of it, so that a process may die
between any two. Knows nothing of how a client calls it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict

from rag.practice.assessing import Assessor
from rag.practice.bank import Bank
from rag.practice.errors import AttemptOpen, NoSuchSession, SessionOver, TurnConflict
from rag.practice.feedback import CorpusText, attempt_feedback
from rag.practice.flow import next_step
from rag.practice.follow_ups import follow_up, hint, target
from rag.practice.records import record
from rag.practice.rows import SessionRow, TurnRow, VerdictRow
from rag.practice.scoring import best
from rag.practice.steps import Outcome, Step, TurnState, Verdict
from rag.practice.store import PracticeStore, Transaction
from rag.practice.views import turn_view

_ASKED = ("n", "attempt", "kind", "phase", "prompt", "seconds", "options")
State = tuple[SessionRow, tuple[TurnRow, ...], tuple[VerdictRow, ...]]


class Interviewer:
    """Moves stored sessions on. Safe for several threads and for several processes."""

    def __init__(
        self,
        bank: Bank,
        assessor: Assessor,
        store: PracticeStore,
        corpus: CorpusText,
        model: str,
        clock: Callable[[], float],
    ) -> None:
        self.bank, self.store, self.clock = bank, store, clock
        self._assessor, self._corpus, self._model = assessor, corpus, model
        self._grading = threading.Lock()  # one at a time: grading takes all cores

    def read(self, session_id: str) -> State:
        """Return a session with its turns and verdicts; raises NoSuchSession."""
        with self.store.transaction(write=False) as db:
            return db.session(session_id), db.turns(session_id), db.verdicts(session_id)

    def ask(self, db: Transaction, session: SessionRow, step: Step, now: float) -> None:
        """Open a turn that asks `step`."""
        db.add_turn(session.id, step, now)
        turns = db.turns(session.id)
        shown = asdict(turn_view(session, turns, (), turns[-1]))
        db.add_event(session.id, "question", {key: shown[key] for key in _ASKED}, now)

    def settle(self, session_id: str, *, wait: bool) -> None:
        """Grade the stored answer that has no grade yet, if there is one, and go on.

        Without `wait` it is left to whoever is grading. Raises what the grader raises.
        """
        while self.read(session_id)[1][-1].state == "answered":
            if not self._grading.acquire(blocking=wait):
                return
            try:
                session, turns, verdicts = self.read(session_id)
                if turns[-1].state == "answered":
                    self._grade(session, turns, verdicts)
            finally:
                self._grading.release()

    def _grade(
        self, session: SessionRow, turns: Sequence[TurnRow], verdicts: Sequence[VerdictRow]
    ) -> None:
        """Grade the last turn, then store the grade and what follows in one transaction."""
        outcome, found = self._assessor.assess(session, turns, verdicts)
        turn, now = turns[-1], self.clock()
        rows = [self._verdict_row(turn, verdict, outcome) for verdict in found]
        graded = (*turns[:-1], dataclasses.replace(turn, state="graded", outcome=outcome))
        step = self.next_step(session, graded, [*verdicts, *rows])
        with self.store.transaction() as db:
            if not db.close_turn(session.id, turn.n, was="answered", now_is="graded", now=now):
                return  # another process has graded it in the meantime
            db.set_outcome(session.id, turn.n, outcome)
            db.add_verdicts(session.id, rows, now)
            shown = asdict(turn_view(session, graded, rows, graded[-1]))
            data = {key: shown[key] for key in ("n", "reply", "score", "own_words")}
            db.add_event(session.id, "graded", data, now)
            self.advance(db, session, step, now)

    def _verdict_row(self, turn: TurnRow, verdict: Verdict, outcome: Outcome) -> VerdictRow:
        return VerdictRow(
            turn.n, turn.step.attempt, verdict, verdict.state, None, self.bank.hash,
            outcome.version, self._model,
        )  # fmt: skip

    def next_step(
        self, session: SessionRow, turns: Sequence[TurnRow], verdicts: Sequence[VerdictRow]
    ) -> Step | None:
        """Return what to ask after the last of `turns`; None at the end."""
        match, floor = self._assessor.match, self._assessor.floor
        return next_step(
            session, turns, verdicts, self.clock(),
            lambda point, probe: follow_up(point, probe, self.bank.probes, match, floor),
        )  # fmt: skip

    def advance(self, db: Transaction, session: SessionRow, step: Step | None, now: float) -> None:
        """Close the attempt where `step` begins another, then ask it; None ends the session."""
        turns = db.turns(session.id)
        attempt = turns[-1].step.attempt
        closes = step is None or step.attempt != attempt
        if closes:
            record(db, session, turns, attempt, now)
        if step is None:
            db.end_session(session.id, now)
            session = db.session(session.id)
        if closes and session.feedback == "now":
            told = attempt_feedback(turns, db.verdicts(session.id), attempt, self._corpus)
            db.add_event(session.id, "feedback", asdict(told), now)
        if step is None:
            db.add_event(session.id, "done", {"session_id": session.id}, now)
        elif not (closes and session.mode == "review" and session.feedback == "now"):
            self.ask(db, session, step, now)  # a review waits here: the user may ask the corpus

    def leave(self, session_id: str, turn: int, state: TurnState) -> None:
        """Close an open turn without an answer and go on; raises AttemptOpen, TurnConflict."""
        with self.store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            open_turn(session, turns, turn)
            if state == "revealed" and session.feedback == "end":
                raise AttemptOpen(
                    "this session gives its feedback at the end: answer, or skip the turn"
                )
            now = self.clock()
            db.close_turn(session_id, turn, was="open", now_is=state, now=now)
            db.add_event(session_id, state, {"n": turn}, now)
            self.advance(db, session, self.next_step(session, db.turns(session_id), ()), now)

    def hint(self, turn: TurnRow, rung: int, verdicts: Sequence[VerdictRow]) -> str:
        """Return the hint of a rung; it aims where the next follow-up would."""
        probe = turn.step.probe
        if probe is None or turn.step.kind not in ("probe", "follow-up"):
            return hint(turn.step, rung, None)
        aim = next((point for point in probe.points if point.id == turn.step.aim), None)
        standing = best(row for row in verdicts if row.attempt == turn.step.attempt)
        return hint(turn.step, rung, aim or target(probe.points, standing))


def find_turn(turns: Sequence[TurnRow], n: int) -> TurnRow:
    """Return turn number `n`; raises NoSuchSession."""
    found = next((turn for turn in turns if turn.n == n), None)
    if found is None:
        raise NoSuchSession(f"the session has no turn {n}; the last one is {turns[-1].n}")
    return found


def open_turn(session: SessionRow, turns: Sequence[TurnRow], n: int | None) -> TurnRow:
    """Return the turn that waits for an answer; raises SessionOver or TurnConflict."""
    if session.ended is not None:
        raise SessionOver("the session is over: see its report, or start another one")
    turn = turns[-1] if n is None else find_turn(turns, n)
    if turn.state == "open":
        return turn
    if turn.state == "answered":
        raise TurnConflict(f"turn {turn.n} is answered and being graded: look again in a moment")
    if n is None:
        raise TurnConflict("no question is open: go on to the next one first")
    raise TurnConflict(f"turn {turn.n} is {turn.state} already: look at the session again")
