"""The interviewer's state machine: start, answer, grade, follow up, end; stored at every step.

An answer is on disk before it is graded; what a dead process left ungraded is graded at the next
look. Command line and HTTP use this class alone; it knows neither.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

from rag.answers import Answer
from rag.errors import RagError
from rag.practice import reviews
from rag.practice.asking import name_point
from rag.practice.assessing import AnswerGrader, Assessor
from rag.practice.bank import Bank
from rag.practice.calibrate import Exercise, read_order
from rag.practice.choosing import Wanted
from rag.practice.errors import (
    AttemptOpen,
    NoSuchSession,
    SessionError,
    TurnConflict,
    UnreadableAnswer,
)
from rag.practice.feedback import CorpusText, attempt_feedback
from rag.practice.interviewing import Interviewer, find_turn, open_turn
from rag.practice.matching import Match
from rag.practice.opening import Wish, open_with
from rag.practice.records import record
from rag.practice.report import Report, build_report
from rag.practice.reviews import ReviewCard
from rag.practice.rows import EventRow, SessionRow
from rag.practice.steps import Feedback, PracticeMode
from rag.practice.store import PracticeStore
from rag.practice.views import SessionView, TurnView, session_view, shows, state_of, turn_view

# By bge-small: of 14 questions in other words 11 find theirs and 1 another one; of 8 that the
# corpus has no answer to, 2 find one.
LIKE = 0.62
MAX_ANSWER = 20_000  # characters
_RUNGS = 3  # hints before the fourth, which reveals


class Practice:
    """Practice sessions over one bank. Safe for several threads and for several processes.

    `match` returns how like a text is to each of several, `floor` the likeness that counts as the
    same question; `answer` asks the corpus; `corpus` returns a document by id; `model` names the
    LLM for the records; `clock` tells the time in seconds since 1970.
    """

    def __init__(
        self,
        bank: Bank,
        grader: AnswerGrader,
        store: PracticeStore,
        *,
        match: Match,
        floor: float = LIKE,
        answer: Callable[[str], Answer] | None = None,
        corpus: CorpusText = lambda _: None,
        model: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bank = bank
        self._store = store
        self._answer, self._corpus, self._clock = answer, corpus, clock
        assessor = Assessor(grader, bank.red_flags, match, floor)
        self._moves = Interviewer(bank, assessor, store, corpus, model, clock)

    def start(
        self,
        mode: PracticeMode,
        *,
        probe_id: str | None = None,
        topic: str | None = None,
        company: str | None = None,
        difficulty: str | None = None,
        feedback: Feedback = "now",
        clock: str | None = None,
        minutes: float | None = None,
        exercise: Exercise = "both",
        seed: int | None = None,
    ) -> SessionView:
        """Start a session and ask its first question; a mock gives feedback at its end only.

        `clock` is the id of a phase clock, `minutes` scales it, `exercise` is for calibrate. A seed
        repeats what was drawn. Raises UnknownProbe, NothingFits or NothingDue.
        """
        now = self._clock()
        wish = Wish(
            mode, probe_id or "", Wanted(topic or "", company or "", difficulty or ""),
            clock or "", minutes, exercise,
        )  # fmt: skip
        with self._store.transaction() as db:
            practised = {row.probe_id for row in db.attempts()} if seed is None else set()
            drawn = secrets.randbelow(2**31) if seed is None else seed
            opening = open_with(self.bank, wish, drawn, practised, reviews.due_cards(db, now))
            session = SessionRow(
                uuid.uuid4().hex[:16], mode, opening.title,
                "end" if mode == "mock" else feedback, drawn, now, None, self.bank.hash,
                opening.clock, opening.plan, opening.notices,
            )  # fmt: skip
            db.add_session(session)
            self._moves.ask(db, session, opening.plan[0], now)
        return self.view(session.id)

    def view(self, session_id: str) -> SessionView:
        """Return what a client may see; first grades what was left ungraded, unless others do."""
        notices = []
        try:
            self.settle(session_id, wait=False)
        except NoSuchSession:
            raise
        except RagError as error:
            notices.append(f"the last answer is stored, but could not be graded yet: {error}")
        session, turns, verdicts = self._moves.read(session_id)
        if session.bank_hash != self.bank.hash:
            notices.append("the corpus has changed since; this session goes on with its questions")
        return session_view(
            session, turns, verdicts, self._corpus, now=self._clock(), notices=notices
        )

    def sessions(self) -> list[str]:
        """Return the ids of all sessions, the newest first."""
        with self._store.transaction(write=False) as db:
            return db.session_ids()

    def answer(
        self,
        session_id: str,
        client_turn_id: str,
        text: str,
        elapsed_ms: int | None = None,
        *,
        turn: int | None = None,
        grade: bool = True,
    ) -> TurnView:
        """Store an answer to turn `turn` (default: the open one) and grade it.

        The same `client_turn_id` and text again changes nothing. With `grade` False `settle` or
        the next `view` grades. Raises TurnConflict where another answer was first, SessionOver,
        or UnreadableAnswer, which stores nothing.
        """
        if len(text) > MAX_ANSWER:
            raise UnreadableAnswer(f"an answer has at most {MAX_ANSWER:,} characters: shorten it")
        with self._store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            mine = next((t for t in turns if t.client_turn_id == client_turn_id), None)
            if mine is None:
                mine = open_turn(session, turns, turn)
                if mine.step.kind == "order":
                    read_order(mine.step, text)
                now = self._clock()
                db.store_answer(session_id, mine.n, client_turn_id, text, elapsed_ms, now)
                db.add_event(session_id, "answered", {"n": mine.n}, now)
            elif mine.answer != text or turn not in (None, mine.n):
                raise TurnConflict(
                    f"{client_turn_id!r} was used for turn {mine.n} with another text: use a new id"
                )
        if grade:
            self.settle(session_id)
        return self._turn(session_id, mine.n)

    def settle(self, session_id: str, *, wait: bool = True) -> None:
        """Grade the stored answer that has no grade yet, if there is one, and go on.

        Without `wait` it is left to whoever is grading. Raises what the grader raises.
        """
        self._moves.settle(session_id, wait=wait)

    def hint(self, session_id: str, turn: int) -> TurnView:
        """Give the next hint for an open turn: pump, hint, prompt; the fourth reveals."""
        with self._store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            asked = open_turn(session, turns, turn)
            rung = len(asked.hints) + 1
            if rung <= _RUNGS:
                text = self._moves.hint(asked, rung, db.verdicts(session_id))
                db.set_hints(session_id, turn, [*asked.hints, text])
                data = {"n": turn, "rung": rung, "text": text}
                db.add_event(session_id, "hint", data, self._clock())
        return self.reveal(session_id, turn) if rung > _RUNGS else self._turn(session_id, turn)

    def skip(self, session_id: str, turn: int) -> TurnView:
        """Leave an open turn unanswered and go on; a skipped probe is not rated."""
        self._moves.leave(session_id, turn, "skipped")
        return self._turn(session_id, turn)

    def reveal(self, session_id: str, turn: int) -> TurnView:
        """Give an open turn up: the attempt ends and its feedback is shown; counts as not known.

        Raises AttemptOpen where feedback comes at the end only.
        """
        self._moves.leave(session_id, turn, "revealed")
        return self._turn(session_id, turn)

    def go_on(self, session_id: str) -> SessionView:
        """Ask the next question of a session that waits between two attempts."""
        with self._store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            if state_of(session, turns) == "between":
                step = self._moves.next_step(session, turns, db.verdicts(session_id))
                if step is not None:
                    self._moves.ask(db, session, step, self._clock())
        return self.view(session_id)

    def override(self, session_id: str, turn: int, point_id: str, covered: bool) -> SessionView:
        """Log the user's decision on a verdict; scores and review dates follow it.

        Raises AttemptOpen before the feedback is shown, NoSuchSession where there is no verdict.
        """
        now = self._clock()
        with self._store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            asked = find_turn(turns, turn)
            if not shows(session, turns, asked.step.attempt):
                raise AttemptOpen("a verdict can be overridden once its feedback is shown")
            rows = db.verdicts(session_id)
            if not any((row.n, row.verdict.point_id) == (turn, point_id) for row in rows):
                raise NoSuchSession(f"turn {turn} has no verdict on {point_id!r}: see its feedback")
            db.add_override(session_id, turn, point_id, covered, now)
            data = {"n": turn, "point_id": point_id, "covered": covered}
            db.add_event(session_id, "override", data, now)
            record(db, session, turns, asked.step.attempt, now)
        return self.view(session_id)

    def ask(self, session_id: str, question: str) -> Answer:
        """Ask the corpus; "the second point I missed" is understood. Raises AttemptOpen."""
        session, turns, verdicts = self._moves.read(session_id)
        if session.ended is None and state_of(session, turns) != "between":
            raise AttemptOpen("the corpus would give the answer away: finish the attempt first")
        if self._answer is None:
            raise SessionError("no corpus is loaded to ask: start practice with the index")
        attempts = dict.fromkeys(t.step.attempt for t in turns)
        shown = [a for a in attempts if shows(session, turns, a)]
        missed = [
            point.text
            for attempt in shown[:: -1 if session.ended is None else 1]
            for point in attempt_feedback(turns, verdicts, attempt, self._corpus).missed
        ]
        found = self._answer(name_point(question, missed))
        with self._store.transaction() as db:
            data = {"question": question, "answer": found.text, "status": found.status}
            db.add_event(session_id, "asked", data, self._clock())
        return found

    def end(self, session_id: str) -> SessionView:
        """End a session; what was answered is graded first. Ending it twice changes nothing."""
        self.settle(session_id)
        with self._store.transaction() as db:
            session, turns = db.session(session_id), db.turns(session_id)
            if turns[-1].state == "answered":
                raise TurnConflict("an answer came in at the same time: end the session again")
            if session.ended is None:
                now, last = self._clock(), turns[-1]
                db.close_turn(session_id, last.n, was="open", now_is="skipped", now=now)
                self._moves.advance(db, session, None, now)
        return self.view(session_id)

    def events(self, session_id: str, after: int = 0) -> list[EventRow]:
        """Return the stored events after number `after`, for a stream that can be taken up."""
        with self._store.transaction(write=False) as db:
            db.session(session_id)
            return db.events(session_id, after)

    def due(self, now: float | None = None) -> list[ReviewCard]:
        """Return the cards that a review at `now` would ask, the longest overdue first."""
        moment = self._clock() if now is None else now
        with self._store.transaction(write=False) as db:
            return [reviews.shown(db, card) for card in reviews.due_cards(db, moment)]

    def report(self, session_id: str) -> Report:
        """Return the report on a session that is over. Raises AttemptOpen while it is not."""
        self.settle(session_id)
        with self._store.transaction(write=False) as db:
            session = db.session(session_id)
            if session.ended is None:
                raise AttemptOpen("the report comes after the session: end it first")
            return build_report(db, session, self._corpus)

    def _turn(self, session_id: str, n: int) -> TurnView:
        session, turns, verdicts = self._moves.read(session_id)
        return turn_view(session, turns, verdicts, find_turn(turns, n))
