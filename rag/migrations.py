"""Brings a SQLite database to the newest version, in WAL mode; migration n makes it version n.

A migration that has been released is never edited; a change is a new one. Knows no tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rag.errors import RagError


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[str], *, what: str, error: type[RagError]
) -> None:
    """Apply what `connection` lacks of `migrations`, each whole or not at all.

    Raises `error`, which says of what ("the conversations are"), where a newer program has written
    the database.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as locked:
        # Switching does not wait for a lock; then another one switches, or the next does.
        if locked.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
    version = _version(connection)
    if version > len(migrations):
        raise error(
            f"{what} of version {version}, this program knows {len(migrations)}: update the program"
        )
    for number, script in enumerate(migrations, start=1):
        if _version(connection) >= number:  # another process may be migrating at the same time
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) < number:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Split a script; `executescript` would commit the transaction first."""
    found, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return [*found, pending] if pending.strip() else found
