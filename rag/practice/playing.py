"""The loop of a practice session on the command line: show, read, pass on, until it is over.

Knows neither how lines are read nor how things are shown, and decides nothing of the interview.
"""

from __future__ import annotations

import time
import uuid

from rag.practice.drafting import HELP, Drafting, Said
from rag.practice.errors import SessionError
from rag.practice.feedback import PointFeedback
from rag.practice.screens import Screen
from rag.practice.sessions import Practice
from rag.practice.views import SessionView, TurnView

NEXT = "Enter goes on; /ask QUESTION asks the corpus; /covered N or /missed N corrects a verdict"
LAST = NEXT.replace("goes on", "leaves")


class TerminalPractice:
    """One session at a terminal, or over a pipe, where an empty line says nothing."""

    def __init__(
        self,
        practice: Practice,
        view: SessionView,
        screen: Screen,
        drafting: Drafting,
        *,
        at_terminal: bool,
    ) -> None:
        self._practice, self._screen, self._drafting = practice, screen, drafting
        self._at_terminal = at_terminal
        self._view = view
        self._told = 0  # the last event shown
        self._asked = 0  # the last question shown
        # Feedback that was shown: of a session that is taken up between two questions, all but
        # the last.
        before = view.attempts if view.state == "asking" else view.attempts[:-1]
        self._attempts = {a.attempt for a in before if view.state != "over"}
        self._points: dict[str, PointFeedback] = {}  # by what the user calls them
        self._reported = False
        self._since = time.monotonic()

    @property
    def session_id(self) -> str:
        """The session that is played."""
        return self._view.id

    @property
    def is_over(self) -> bool:
        """Whether the session was over when it was last looked at."""
        return self._view.state == "over"

    def run(self) -> None:
        """Go on until the session is over and nothing more is asked, or the input ends."""
        self._screen.begin(self._view)
        while True:
            if self._view.state == "grading":
                self._grade()
            self._show()
            waits = self._view.state != "asking"
            said = self._drafting.next(self._prompt(), empty=waits and self._at_terminal)
            if said is None or (self.is_over and said == Said("", "")):
                return
            try:
                self._take(said)
            except SessionError as error:
                self._screen.note(str(error))
                self._view = self._practice.view(self.session_id)

    def _grade(self) -> None:
        with self._screen.busy("grading ..."):
            self._practice.settle(self.session_id)
        self._view = self._practice.view(self.session_id)

    def _show(self) -> None:
        """Show what is new: events, feedback, the question, the report."""
        view = self._view
        rows = self._practice.events(view.id, self._told)
        self._screen.events(rows)
        self._told = rows[-1].seq if rows else self._told
        self._show_feedback()
        if view.open_turn is not None and view.open_turn != self._asked:
            self._asked, self._since = view.open_turn, time.monotonic()
            self._screen.question(view, _turn(view, view.open_turn))
        if view.state == "over" and not self._reported:
            self._reported = True
            self._screen.over(self._practice.report(view.id))
        if view.state != "asking" and self._at_terminal:
            self._screen.note(LAST if view.state == "over" else NEXT)

    def _show_feedback(self) -> None:
        new = [a for a in self._view.attempts if a.attempt not in self._attempts]
        if not new:  # the names stay, whatever is corrected in between
            return
        named = labelled(self._view)
        self._points = {label: point for label, _, point in named}
        labels = {(attempt, point.point_id): label for label, attempt, point in named}
        for attempt in new:
            self._attempts.add(attempt.attempt)
            self._screen.feedback(attempt, labels)

    def _prompt(self) -> str:
        view = self._view
        if view.total_s is None or view.state != "asking":
            return "> "
        left = max(0, int(view.total_s - view.elapsed_s - (time.monotonic() - self._since)))
        return f"[{left // 60}:{left % 60:02d} left] > "

    def _take(self, said: Said) -> None:
        id_, turn = self.session_id, self._view.open_turn
        match said.command:
            case "":
                self._answer(said.text)
            case "/hint" if turn is not None:
                self._hint(turn)
            case "/skip" if turn is not None:
                self._drafting.clear()
                self._practice.skip(id_, turn)
            case "/reveal" if turn is not None:
                self._practice.reveal(id_, turn)
                self._drafting.clear()
            case "/next" if self._view.state == "between":
                self._practice.go_on(id_)
            case "/end" if self._view.state != "over":
                self._drafting.clear()
                self._practice.end(id_)
            case "/ask" if said.text:
                with self._screen.busy("searching ..."):
                    answer = self._practice.ask(id_, said.text)
                self._screen.answer(answer)
            case "/covered" | "/missed":
                self._override(said.text, covered=said.command == "/covered")
            case "/help":
                self._screen.note(HELP)
            case _:
                self._screen.note(f"{said.command} does nothing here: /help lists the commands")
        self._view = self._practice.view(id_)

    def _answer(self, text: str) -> None:
        if self._view.state == "between":
            self._view = self._practice.go_on(self.session_id)
            self._show()
        turn = self._view.open_turn
        if not text:
            return
        if turn is None:
            self._screen.note("the session is over: this was not used")
            return
        elapsed = round(1000 * (time.monotonic() - self._since))
        with self._screen.busy("grading ..."):
            taken = self._practice.answer(
                self.session_id, uuid.uuid4().hex, text, elapsed, turn=turn
            )
        self._screen.taken(taken)

    def _hint(self, turn: int) -> None:
        given = self._practice.hint(self.session_id, turn)
        if given.state == "open":
            self._screen.hint(given.hints[-1])
        else:  # the fourth reveals
            self._drafting.clear()

    def _override(self, label: str, *, covered: bool) -> None:
        point = self._points.get(label.lower())
        if point is None:
            known = ", ".join(self._points) or "none yet"
            self._screen.note(f"no point is called {label!r}; there are: {known}")
            return
        self._practice.override(self.session_id, point.n, point.point_id, covered)
        self._screen.note(f"noted as {'said' if covered else 'not said'}: {point.text}")


def labelled(view: SessionView) -> list[tuple[str, int, PointFeedback]]:
    """Return (label, attempt, point): missed points count 1, 2, ..., covered ones c1, c2, ...

    The missed count as `/ask` counts them: over the whole session at its end, else within the
    last attempt.
    """
    attempts = view.attempts if view.state == "over" else view.attempts[-1:]
    missed = [(attempt.attempt, point) for attempt in attempts for point in attempt.missed]
    covered = [(attempt.attempt, point) for attempt in attempts for point in attempt.covered]
    return [(f"{n}", *one) for n, one in enumerate(missed, start=1)] + [
        (f"c{n}", *one) for n, one in enumerate(covered, start=1)
    ]


def _turn(view: SessionView, n: int) -> TurnView:
    return next(turn for turn in view.turns if turn.n == n)
