"""What both parsers share: the Segment they emit, line offsets, speakers, diagrams.

A Segment is a Block before its heading path is known. Nothing here knows Markdown from plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.documents import BlockKind

ADMONITION_LEVEL = 8
LABEL_LEVEL = 9

_ASKING = "interviewer i q question host moderator user student customer"
_ANSWERING = (
    "candidate interviewee c a answer guest speaker teacher tutor mentor coach assistant agent "
    "expert you me"
)

REVEAL = re.compile(
    r"(?:(?:show|view|see|reveal|hide|toggle)\s+(?:the\s+)?)?(?:model\s+|sample\s+)?"
    r"(?:answer|solution|details|explanation)s?:?",
    re.IGNORECASE,
)
BULLET = re.compile(r"^(\s*)([-*+•·‣▪◦–]|\d{1,3}[.)])(?:\s+|(?<=[•·‣▪◦])|$)")

_BOX = re.compile(r"[─-╿▀-▟]")
_ARROW = re.compile(r"→|←|↓|↑|⇒|<?-{1,2}>|=>")
_NODES = re.compile(r"\[[^\]]*\]|[→←↓↑↘↗↙↖↔⇒|+=<>\s/\\-]")
_CODE = re.compile(
    r"^\s*(?:def|class|import|from|return|for|while|if|elif|else|with|try|select|insert|create|"
    r"func|function|const|let|var|public|private|kubectl|docker|pip|curl|git|npm)\b"
    r"|[;{]\s*$|^\s*[\w.\[\]'\"]+\s*[-+*/]?=\s|\w+\([^)]*\)\s*[:;]?\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A block without its path.

    A heading has a `level` and a `title`; without a title it only closes the headings of its
    level and below. An `inferred` heading is not written in the text.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""
    speaker: str | None = None
    inferred: bool = False


class SourceLines:
    r"""The lines of a text (split at `\n` only) and where each starts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts: list[int] = []
        position = 0
        for line in self.lines:
            self.starts.append(position)
            position += len(line) + 1

    def __len__(self) -> int:
        return len(self.lines)

    def span(self, first: int, last: int, *, indent: bool = False) -> tuple[int, int]:
        """Return the range of lines `first` to `last` (exclusive) without blank margins.

        `indent` keeps the indentation of the first line, which code and diagrams need.
        """
        while first < last and not self.lines[first].strip():
            first += 1
        while last > first and not self.lines[last - 1].strip():
            last -= 1
        if first == last:
            return self.starts[first - 1 if first else 0], self.starts[first - 1 if first else 0]
        line = self.lines[first]
        lead = 0 if indent else len(line) - len(line.lstrip())
        return self.starts[first] + lead, self.starts[last - 1] + len(self.lines[last - 1].rstrip())


def speaker_role(name: str) -> str | None:
    """Return "asks" or "answers" if `name` is what a dialogue calls a speaker."""
    key = name.strip().lower()
    return "asks" if key in _ASKING.split() else "answers" if key in _ANSWERING.split() else None


def is_drawing(lines: list[str]) -> bool:
    """Tell a drawing outside a fence from prose: boxes, or nothing but nodes and arrows."""
    if sum(len(_BOX.findall(line)) for line in lines) >= 4:
        return True
    return len(lines) > 1 and all(not _NODES.sub("", line) for line in lines)


def is_diagram(lines: list[str], *, language: str = "") -> bool:
    """Tell a fenced drawing (boxes, arrow flows) from code and prose."""
    if language.lower() not in ("", "text", "txt", "ascii", "diagram", "mermaid", "plaintext"):
        return False
    if language.lower() == "mermaid":
        return True
    filled = [line for line in lines if line.strip()]
    if not filled:
        return False
    if sum(len(_BOX.findall(line)) for line in filled) >= 4:
        return True
    drawn = sum(bool(_ARROW.search(line)) or _only_art(line) for line in filled)
    coded = sum(bool(_CODE.search(line)) for line in filled)
    return 2 * drawn >= len(filled) and coded <= drawn


def _only_art(line: str) -> bool:
    return not re.search(r"\w", line) or bool(
        re.search(r"\+-{3,}|-{3,}\+|^\s*\[[^\]]+\]\s*$", line)
    )
