"""What can go wrong in practice mode; every message says what to do next.

PracticeError (a RagError)
|- BankError        the bank cannot be made: an override file that cannot be used
|- UnknownProbe     no entry of the bank has this id
|- NothingFits      no entry of the bank is what a session needs
|- StoreError       the database of sessions cannot be read or written
`- SessionError     a session is not there, or does not allow this step now
   |- NoSuchSession     no session, or no turn of it, has this name
   |- SessionOver       the session takes no more answers
   |- TurnConflict      the turn is not open: another client was first, or it is being graded
   |- AttemptOpen       what was asked for would give the rubric away
   |- UnreadableAnswer  an answer has not the form that its question needs
   `- NothingDue        no review card is due
"""

from __future__ import annotations

from rag.errors import RagError


class PracticeError(RagError):
    """Base of what can go wrong in practice mode."""


class BankError(PracticeError):
    """The bank cannot be made."""


class UnknownProbe(PracticeError):
    """No entry of the bank has this id."""


class SessionError(PracticeError):
    """A session is not there, or does not allow this step now."""


class NothingFits(PracticeError):
    """No entry of the bank is what a session needs."""


class StoreError(PracticeError):
    """The database of sessions cannot be read or written."""


class NoSuchSession(SessionError):
    """No session, or no turn of it, has this name."""


class SessionOver(SessionError):
    """The session takes no more answers."""


class TurnConflict(SessionError):
    """The turn is not open: another client was first, or it is being graded."""


class AttemptOpen(SessionError):
    """What was asked for would give the rubric away before the attempt is over."""


class UnreadableAnswer(SessionError):
    """An answer has not the form that its question needs."""


class NothingDue(SessionError):
    """No review card is due."""
