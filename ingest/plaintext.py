"""Text without markup to Segments: headings, lists, dialogue and questions by their shape.

Three layouts are told apart: blank lines between paragraphs, a paragraph a line, hard-wrapped
lines. Knows nothing of Markdown or of what a document is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ingest.outline import assign_levels, insert_contents_titles
from ingest.segments import BULLET, REVEAL, Segment, SourceLines, is_drawing, speaker_role

_QUESTION = re.compile(r"^\s*Q\d{1,3}[.:)]\s+\S")
_INLINE_TURN = re.compile(r"^\s*([A-Z][\w .'-]{0,30}?):\s+\S")
_TAIL_QUESTION = re.compile(r"(?<=[.!?])\s+[-•*]\s+(?=[A-Z][^.!?]*\?\s*$)")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class _Layout:
    spaced: bool  # blank lines separate paragraphs
    width: int  # the line length of hard-wrapped text, else 0


def plain_segments(text: str) -> list[Segment]:
    """Return the segments of `text`, in order, with heading levels inferred."""
    source = SourceLines(text)
    segments = list(_Parser(source, _layout(source.lines)).segments())
    return assign_levels(insert_contents_titles(text, segments))


def _layout(lines: list[str]) -> _Layout:
    filled = [line for line in lines if line.strip()]
    if not filled:
        return _Layout(False, 0)
    spaced = len(lines) - len(filled) >= 0.12 * len(lines)
    width = sorted(len(line.rstrip()) for line in filled)[int(0.9 * (len(filled) - 1))]
    inner = [
        line.rstrip()
        for line, after in pairwise(lines)
        if line.strip() and after.strip() and not BULLET.match(after)
    ]
    broken = sum(len(line) > 0.6 * width and not _SENTENCE_END.search(line) for line in inner)
    wrapped = 30 <= width <= 130 and len(inner) >= 3 and broken >= 0.5 * len(inner)
    return _Layout(spaced, width if wrapped else 0)


class _Parser:
    """One pass over the lines; each `_read_*` consumes what it recognises."""

    def __init__(self, source: SourceLines, layout: _Layout) -> None:
        self.source = source
        self.lines = source.lines
        self.layout = layout
        self.at = 0
        self.after_heading = True

    def segments(self) -> Iterator[Segment]:
        while self.at < len(self.lines):
            if not self.lines[self.at].strip():
                self.at += 1
                continue
            segment = self._read()
            self.after_heading = segment.kind == "heading"
            yield segment

    def _read(self) -> Segment:
        line = self.lines[self.at]
        if self._is_revealed(self.at):
            return self._read_revealed()
        if _QUESTION.match(line) and (not self._line(self.at - 1) or not self.layout.spaced):
            return self._read_question()
        if self._is_speaker(self.at) or self._inline_speaker(self.at):
            return self._read_turn()
        if BULLET.match(line):
            return self._read_list()
        if self._is_heading(self.at):
            self.at += 1
            span = self.source.span(self.at - 1, self.at)
            return Segment("heading", *span, level=1, title=line.strip())
        return self._read_paragraph()

    def _line(self, number: int) -> str:
        return self.lines[number].strip() if 0 <= number < len(self.lines) else ""

    def _next_filled(self, number: int) -> int:
        while number < len(self.lines) and not self.lines[number].strip():
            number += 1
        return number

    # Questions and answers

    def _is_revealed(self, number: int) -> bool:
        """Whether the answer of this line's question hides behind a "Show answer" line."""
        after = self._next_filled(number + 1)
        return after <= number + 2 and self._is_reveal(after) and not self._is_reveal(number)

    def _is_reveal(self, number: int) -> bool:
        return bool(REVEAL.fullmatch(self._line(number))) and " " in self._line(number)

    def _read_revealed(self) -> Segment:
        first = self.at
        tail = _TAIL_QUESTION.search(self.lines[first])
        start = (
            self.source.starts[first] + tail.end()
            if tail
            else self.source.span(first, first + 1)[0]
        )
        self.at = self._next_filled(first + 1) + 1
        end = self.source.starts[self.at - 1]
        while self.at < len(self.lines):
            line = self.lines[self.at]
            stops = not line.strip() and self.layout.spaced
            if stops or (self._is_revealed(self.at) and not _TAIL_QUESTION.search(line)):
                break
            if self._is_heading(self.at):
                break
            tail = _TAIL_QUESTION.search(line) if self._is_revealed(self.at) else None
            if line.strip():
                end = self.source.starts[self.at] + (tail.start() if tail else len(line.rstrip()))
            if tail:  # the next question was glued to the end of this answer
                break
            self.at += 1
        return Segment("qa", start, end)

    def _read_question(self) -> Segment:
        first = self.at
        self.at += 1
        while self.at < len(self.lines):
            if self.lines[self.at].strip() and (
                _QUESTION.match(self.lines[self.at]) or self._is_heading(self.at)
            ):
                break
            self.at += 1
        return Segment("qa", *self.source.span(first, self.at))

    # Dialogue

    def _is_speaker(self, number: int) -> bool:
        """Whether the line is nothing but a speaker's name, above what they say."""
        line = self._line(number).rstrip(":")
        return len(line) > 1 and speaker_role(line) is not None and bool(self._follows(number))

    def _follows(self, number: int) -> str:
        after = self._next_filled(number + 1)
        return self._line(after) if after <= number + 2 else ""

    def _inline_speaker(self, number: int) -> str | None:
        match = _INLINE_TURN.match(self.lines[number])
        return match.group(1) if match and speaker_role(match.group(1)) else None

    def _read_turn(self) -> Segment:
        first = self.at
        inline = self._inline_speaker(first)
        speaker = inline or self._line(first).rstrip(":")
        self.at = first + 1 if inline else self._next_filled(first + 1) + 1
        while self.at < len(self.lines):
            if self.lines[self.at].strip() and (
                self._is_speaker(self.at)
                or self._inline_speaker(self.at)
                or self._is_heading(self.at)
            ):
                break
            self.at += 1
        return Segment("turn", *self.source.span(first, self.at), speaker=speaker)

    # Lists and paragraphs

    def _read_list(self) -> Segment:
        first = self.at
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                after = self._next_filled(self.at)
                if after == len(self.lines) or not BULLET.match(self.lines[after]):
                    break
            elif BULLET.match(line):
                if self._is_revealed(self.at):
                    break
            elif line[0] not in " \t" and not self._wraps(self.at):
                break
            self.at += 1
        return Segment("list", *self.source.span(first, self.at, indent=True))

    def _wraps(self, number: int) -> bool:
        """Whether the line goes on from the one above in hard-wrapped text."""
        above = self.lines[number - 1].rstrip()
        width = self.layout.width
        ends = len(above) < 0.75 * width and _SENTENCE_END.search(above)
        return bool(width and above.strip()) and not ends

    def _read_paragraph(self) -> Segment:
        first = self.at
        self.at += 1
        while self.at < len(self.lines) and self._continues(self.at):
            self.at += 1
        lines = self.lines[first : self.at]
        if is_drawing(lines):
            return Segment("diagram", *self.source.span(first, self.at, indent=True))
        labelled = len(lines) > 1 and not self.layout.width
        return Segment("list" if labelled else "paragraph", *self.source.span(first, self.at))

    def _continues(self, number: int) -> bool:
        if not self.lines[number].strip() or BULLET.match(self.lines[number]):
            return False
        if self.layout.width:
            return self._wraps(number) and not self._is_revealed(number)
        if is_drawing(self.lines[number - 1 : number + 1]):
            return True
        stops = self._is_heading(number) or self._is_revealed(number) or self._is_speaker(number)
        return self.layout.spaced and not stops

    # Headings

    def _is_heading(self, number: int) -> bool:
        line = self._line(number)
        if not _heading_shape(line) or self._is_reveal(number) or self._is_speaker(number):
            return False
        above, below = self._line(number - 1), self._line(number + 1)
        if above and not self.after_heading and not _SENTENCE_END.search(above):
            above_is_item = number > 0 and BULLET.match(self.lines[number - 1])
            if self.layout.spaced or not above_is_item:
                return False
        after = self._next_filled(number + 1)
        if after == len(self.lines) or after > number + 3:
            return False
        if BULLET.match(self.lines[after]):
            return True
        if self.layout.width:
            return len(line) < 0.7 * self.layout.width and (not below or len(below) > len(line))
        if self.layout.spaced:
            alone = not below or (_heading_shape(below) and not self._line(number + 2))
            return alone and self._leads_to_text(number)
        return not line.endswith("?") and len(line) <= 70 and len(below) > 1.2 * len(line)

    def _leads_to_text(self, number: int) -> bool:
        """Whether longer text follows, at most two more headings further down."""
        after = number
        for _ in range(3):
            after = self._next_filled(after + 1)
            if self._group_length(after) > len(self._line(number)) or self._is_speaker(after):
                return True
            if not _heading_shape(self._line(after)) or self._line(after + 1):
                return False
        return False

    def _group_length(self, number: int) -> int:
        total = 0
        while number < len(self.lines) and self.lines[number].strip():
            total += len(self.lines[number])
            number += 1
        return total


def _heading_shape(line: str) -> bool:
    if (
        not 2 <= len(line) <= 100
        or len(re.findall(r"\w[\w'’-]*", line)) > 14
        or line.count(" · ") > 1
    ):
        return False
    if re.search(r"[.,:;!…]$|://|@", line) or BULLET.match(line):
        return False
    first = line.lstrip("\"'“‘(")[:1]
    return (first.isupper() or first.isdigit()) and re.search(r"[A-Za-zÀ-ÿ]{2}", line) is not None
