"""Where a session is shown: what the loop tells a screen, and the screen that prints JSON lines.

Knows nothing of how text is laid out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from rag.answers import Answer
from rag.practice.feedback import AttemptFeedback
from rag.practice.report import Report
from rag.practice.rows import EventRow
from rag.practice.views import SessionView, TurnView

Labels = Mapping[tuple[int, str], str]  # (attempt, point id) -> what the user calls the point


class Screen(Protocol):
    """Where a session is shown."""

    def begin(self, view: SessionView) -> None:
        """Show what the session is."""
        ...

    def events(self, rows: Sequence[EventRow]) -> None:
        """Show what has been stored since the last time."""
        ...

    def question(self, view: SessionView, turn: TurnView) -> None:
        """Show the open question."""
        ...

    def taken(self, turn: TurnView) -> None:
        """Show what became of an answer, and what the interviewer says to it."""
        ...

    def hint(self, text: str) -> None:
        """Show a hint."""
        ...

    def feedback(self, attempt: AttemptFeedback, labels: Labels) -> None:
        """Show the feedback on an attempt that is over."""
        ...

    def over(self, report: Report) -> None:
        """Show the end of a session."""
        ...

    def answer(self, answer: Answer) -> None:
        """Show what the corpus says."""
        ...

    def note(self, text: str) -> None:
        """Tell the user something that is no part of the interview."""
        ...

    def busy(self, what: str) -> AbstractContextManager[object]:
        """Show that something takes a while."""
        ...


class JsonScreen:
    """One JSON object a line, as the HTTP stream sends them; `seq` is null where not stored."""

    def begin(self, view: SessionView) -> None:
        """Print the session without its turns, which come as events."""
        names = ("id", "mode", "title", "state", "feedback", "seed", "created", "total_s")
        data = {name: getattr(view, name) for name in names}
        self._print("session", {**data, "notices": view.notices})

    def events(self, rows: Sequence[EventRow]) -> None:
        """Print the stored events."""
        for row in rows:
            self._print(row.name, row.data, row.seq)

    def question(self, view: SessionView, turn: TurnView) -> None:
        """Print nothing: the question is an event; so are grades, hints and feedback."""

    def taken(self, turn: TurnView) -> None:
        """Print nothing."""

    def hint(self, text: str) -> None:
        """Print nothing."""

    def feedback(self, attempt: AttemptFeedback, labels: Labels) -> None:
        """Print nothing."""

    def over(self, report: Report) -> None:
        """Print the report."""
        self._print("report", report.to_dict())

    def answer(self, answer: Answer) -> None:
        """Print an answer of the corpus with its citations."""
        self._print("answer", answer.to_dict())

    def note(self, text: str) -> None:
        """Print what went wrong or was passed over."""
        self._print("note", {"text": text})

    def busy(self, what: str) -> AbstractContextManager[object]:
        """Show nothing."""
        return nullcontext()

    def _print(self, event: str, data: Mapping[str, Any], seq: int | None = None) -> None:
        line = {"seq": seq, "event": event, "data": data}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
