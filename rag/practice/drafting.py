"""Lines from a terminal or a pipe -> an answer, a command, or the end of the input.

An answer is several lines; an empty line or a single dot ends it, so does the end of the input.
Knows nothing of sessions.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {
    "/hint": "a hint; each goes further, the fourth gives the answer away",
    "/skip": "leave this question out; it is not rated",
    "/reveal": "give up: show what was wanted; counts as not known",
    "/edit": "write the answer in $VISUAL or $EDITOR",
    "/ask QUESTION": 'ask the corpus, after an attempt: "explain the second point I missed"',
    "/covered N": "correct a verdict: point N was said (/missed N: it was not)",
    "/next": "the next question, after the feedback on one",
    "/end": "end the session and see its report",
    "/help": "show this",
}
HELP = "\n".join(
    [
        *(f"{command:<14} {text}" for command, text in COMMANDS.items()),
        "An empty line or a single dot ends an answer. Ctrl-C drops the line; twice, it leaves,"
        " and `rag practice resume` goes on.",
    ]
)
_NAMES = frozenset(command.split()[0] for command in COMMANDS) | {"/missed"}
_COMMAND = re.compile(r"(/[a-z]+)(?:\s+(.*))?", re.DOTALL)
_LONG = 50  # characters; who breaks lines by hand fills them first
_ENDS = re.compile(r"[.!?:;][\"'”’)]*\s*$")
_ITEM = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")
ReadLine = Callable[[str], str | None]  # prompt -> line; None at the end of the input


@dataclass(frozen=True, slots=True)
class Said:
    """A command with its argument, or an answer, where `command` is ""."""

    command: str
    text: str


class Drafting:
    """Collects the lines of one answer; a command in between leaves them as they are.

    `note` tells the user something. With `interrupts` the first Ctrl-C only drops a line.
    """

    def __init__(
        self, read: ReadLine, note: Callable[[str], None], *, interrupts: bool = False
    ) -> None:
        self._read, self._note, self._interrupts = read, note, interrupts
        self._lines: list[str] = []

    def clear(self) -> None:
        """Forget the lines: their question is gone."""
        self._lines = []

    def next(self, prompt: str, *, empty: bool = False) -> Said | None:
        """Return what is said next; None at the end of the input.

        `empty` makes an empty line something that is said, an empty answer. Raises
        KeyboardInterrupt at the second Ctrl-C in a row.
        """
        interrupted = not self._interrupts
        while True:
            try:
                line = self._read("| " if self._lines else prompt)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self._note("\nthe line is dropped; Ctrl-C again leaves")
                continue
            interrupted = not self._interrupts
            said = self._take(line, empty=empty)
            if said is not None or line is None:
                return said

    def _take(self, line: str | None, *, empty: bool) -> Said | None:
        if line is None or line.strip() in ("", "."):
            if self._lines or (empty and line is not None):
                return self._answer("\n".join(self._lines))
            return None
        command = _COMMAND.fullmatch(line.strip())
        if command is None or (command[1] not in _NAMES and self._lines):
            self._lines.append(line.rstrip())
            return None
        if command[1] == "/edit":
            return self._edited()
        return Said(command[1], (command[2] or "").strip())

    def _edited(self) -> Said | None:
        try:
            text = edit("\n".join(self._lines))
        except (OSError, ValueError) as error:
            self._note(f"the editor does not start ({error}): set EDITOR to one that does")
            return None
        return self._answer(text) if text.strip() else None

    def _answer(self, text: str) -> Said:
        self.clear()
        return Said("", unwrapped(text).strip().encode("utf-8", "replace").decode("utf-8"))


def unwrapped(text: str) -> str:
    """Join the lines that were broken by hand: the grader takes a line for a sentence.

    A long line that ends without punctuation goes on in the next one, unless that is a list item.
    """
    joined = ""
    for line in text.split("\n"):
        before = joined.rpartition("\n")[2]
        goes_on = len(before) >= _LONG and line.strip() and not _ENDS.search(before)
        if goes_on and not _ITEM.match(line):
            joined += " " + line.strip()
        else:
            joined += "\n" + line
    return joined.removeprefix("\n")


def edit(text: str) -> str:
    """Return `text` as the user's editor leaves it; raises OSError or ValueError without one."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not command:
        raise ValueError("neither VISUAL nor EDITOR is set")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.md"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([*command, str(path)], check=False)
        if done.returncode:
            raise OSError(f"{command[0]} ended with {done.returncode}")
        return path.read_text(encoding="utf-8", errors="replace")


def read_terminal(prompt: str) -> str | None:
    """Read a line at a terminal, with the arrow keys."""
    with suppress(ImportError):  # with it, input() edits lines and remembers them
        import readline  # noqa: F401
    try:
        return input(prompt)
    except EOFError:
        return None


def read_pipe(_: str) -> str | None:
    """Read a line of standard input that is no terminal."""
    line = sys.stdin.readline()
    return line.removesuffix("\n") if line else None
