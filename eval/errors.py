"""What can go wrong in this package; every message says what to do next.

EvalError
|- CaseFileError     a case file cannot be read, or a line of it is wrong
|- ResultFileError   a result file cannot be compared
|- CorpusError       the corpus breaks its conventions, or there is none
|- BenchError        a measured command failed
|- JudgeError        the process that judges answers failed
`- GateError         a figure fell below its floor or its baseline
"""

from __future__ import annotations


class EvalError(Exception):
    """Base of every error that a user of `python -m eval` may meet."""


class CaseFileError(EvalError):
    """A case file cannot be read, or a line of it is wrong."""


class ResultFileError(EvalError):
    """A result file cannot be read or compared."""


class BenchError(EvalError):
    """A command whose time was to be taken failed."""


class CorpusError(EvalError):
    """The corpus breaks its conventions, or there is none."""


class JudgeError(EvalError):
    """The process that judges answers failed."""


class GateError(EvalError):
    """A figure fell below its floor or its baseline, or there is nothing to compare with."""
