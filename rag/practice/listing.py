"""The list of practice sessions, straight from the store: nothing is graded for it.

Knows nothing of rubrics.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.practice.steps import PracticeMode
from rag.practice.store import PracticeStore
from rag.practice.views import SessionState, state_of


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session in a list; `answered` counts its turns that have an answer."""

    id: str
    mode: PracticeMode
    title: str
    state: SessionState
    created: float
    ended: float | None
    answered: int


def list_sessions(store: PracticeStore, limit: int) -> list[SessionLine]:
    """Return at most `limit` sessions, the newest first. Raises StoreError."""
    lines = []
    with store.transaction(write=False) as db:
        for session_id in db.session_ids()[:limit]:
            row, turns = db.session(session_id), db.turns(session_id)
            answered = sum(turn.answered_at is not None for turn in turns)
            state = state_of(row, turns)
            lines.append(
                SessionLine(row.id, row.mode, row.title, state, row.created, row.ended, answered)
            )
    return lines
