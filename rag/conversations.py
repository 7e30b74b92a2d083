"""Conversations on disk: their turns in SQLite (WAL), so that a restart loses none.

Every method opens the database anew and writes with one statement, so that threads and processes
may share a conversation. Knows nothing of how questions are condensed or answered.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.answers import Answer
from rag.errors import ConversationError
from rag.migrations import migrate

FILE_NAME = "chat.sqlite3"
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
_BUSY_S = 10.0
# A migration that has been released is never edited; a change is a new one.
_MIGRATIONS = (
    """CREATE TABLE turns (
        conversation TEXT NOT NULL, number INTEGER NOT NULL, asked_at REAL NOT NULL,
        question TEXT NOT NULL, condensed TEXT, answer TEXT,
        PRIMARY KEY (conversation, number)
    )""",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation; `answer` is its JSON form, None where it was cut off.

    `number` counts from 1; `condensed` is what was asked in place of a question that did not stand
    alone; `asked_at` is Unix time.
    """

    number: int
    asked_at: float
    question: str
    condensed: str | None = None
    answer: dict[str, Any] | None = None


class ConversationStore:
    """The conversations in the database at `path`. Safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, conversation: str, question: str, condensed: str | None = None) -> int:
        """Append a question, which may begin a conversation; returns its number."""
        with self._database() as database:
            (number,) = database.execute(
                "INSERT INTO turns SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, NULL"
                " FROM turns WHERE conversation = ?1 RETURNING number",
                (check_id(conversation), time.time(), question, condensed),
            ).fetchone()
            return int(number)

    def finish(self, conversation: str, number: int, answer: Answer) -> None:
        """Write the answer to a question; nothing happens if it has been deleted meanwhile."""
        with self._database() as database:
            database.execute(
                "UPDATE turns SET answer = ? WHERE conversation = ? AND number = ?",
                (json.dumps(answer.to_dict()), conversation, number),
            )

    def turns(self, conversation: str, *, last: int | None = None) -> list[Turn]:
        """Return the turns of a conversation in order, or the `last` ones; none if unknown."""
        with self._database() as database:
            rows = database.execute(
                "SELECT number, asked_at, question, condensed, answer FROM turns"
                " WHERE conversation = ? ORDER BY number DESC LIMIT ?",
                (conversation, -1 if last is None else last),
            ).fetchall()
        return [
            Turn(number, asked_at, question, condensed, json.loads(answer) if answer else None)
            for number, asked_at, question, condensed, answer in reversed(rows)
        ]

    def delete(self, conversation: str) -> bool:
        """Delete a conversation; tells whether there was one."""
        with self._database() as database:
            deleted = database.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
            return deleted.rowcount > 0

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to an up-to-date database; SQLite's errors become ours."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                migrate(
                    database, _MIGRATIONS, what="the conversations are", error=ConversationError
                )
                yield database
            finally:
                database.close()
        except (OSError, sqlite3.Error) as error:
            raise ConversationError(
                f"the conversations in {self.path} cannot be used: {error}; check the data folder, "
                "or move the file away to begin anew"
            ) from error


def check_id(conversation: str) -> str:
    """Return the id. Raises ConversationError if it is not one."""
    if not re.fullmatch(ID_PATTERN, conversation):
        raise ConversationError(
            f"{conversation[:80]!r} is no conversation id: use 1 to 64 letters, digits, - and _"
        )
    return conversation
