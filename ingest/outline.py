"""Heading levels for text that does not mark them, and titles from a table of contents.

Works on Segments; knows shapes such as "Phase 3 ...", never what a document is about.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from ingest.segments import BULLET, Segment

_NUMBERED = re.compile(r"^([A-Za-z]+)\s*(?:\d+|[A-Z])(?=[\s.:)—–-]|$)")
_PART = re.compile(r"^[A-Za-z]+\s*(?:\d+|[A-Z])\s*[.:]?\s*[—–:-]\s")
_COMMON = "a an and at by for from how in into is of on or the to with your"
_MAX_LEVEL = 6
_MAX_SECTIONS = 200


def assign_levels(segments: list[Segment]) -> list[Segment]:
    """Return `segments` with the level of each heading set.

    The first heading is the title. Headings of one family (a shared text, "Step 1", "Step 2")
    share a level; a heading directly below another is nested in it; "Word N - ..." opens a part.
    """
    families = Counter(_family(s.title) for s in segments if s.kind == "heading")
    known: dict[str, int] = {}
    current, holds_parts, after_heading = 0, False, False
    out: list[Segment] = []
    for number, segment in enumerate(segments):
        if segment.kind != "heading":
            after_heading = False
            out.append(segment)
            continue
        family = _family(segment.title)
        series = bool(_NUMBERED.match(segment.title)) and families[family] > 1
        opens_part = segment.inferred or (series and bool(_PART.match(segment.title)))
        if segment.inferred:
            level = 2
        elif current == 0:
            level = 1
        elif family in known:
            level = known[family]
        elif after_heading:
            level = current + 1
        elif opens_part or (len(segments) > number + 1 and segments[number + 1].kind == "qa"):
            level = 2
        elif series or current == 1 or (current == 2 and holds_parts):
            level = current + 1
        else:
            level = current
        current = min(level, _MAX_LEVEL)
        if not segment.inferred and out and current > 1:
            known.setdefault(family, current)
        holds_parts = opens_part if current <= 2 else holds_parts
        after_heading = True
        out.append(replace(segment, level=current))
    return out


def insert_contents_titles(text: str, segments: list[Segment]) -> list[Segment]:
    """Give untitled sections the titles that a table of contents lists for them.

    Some exports keep the contents list but drop the titles. A section that may have lost one
    begins with paragraphs right after a list and goes on to a heading. Titles and such sections
    are aligned in order by the words they share; where most titles find none of theirs, or
    a title's place stays open, nothing is inserted.
    """
    at, titles = _contents(text, segments)
    openings = _untitled(segments, at + 1) if titles else []
    if not titles or not len(titles) <= len(openings) <= _MAX_SECTIONS:
        return segments
    bounds = [segments[n].start for n in openings] + [len(text)]
    sections = [_words(text[a:b]) for a, b in pairwise(bounds)]
    scores = [[_overlap(_words(title), words, sections) for words in sections] for title in titles]
    chosen = _align(scores)
    found = [scores[row][column] > 0 for row, column in enumerate(chosen)]
    if sum(found) < 0.6 * len(titles):
        return segments
    out = list(segments)
    for row in reversed(range(len(titles))):
        before = chosen[row - 1] if row else -1
        after = chosen[row + 1] if row + 1 < len(titles) else len(openings)
        if found[row] or after - before == 2:
            start = segments[openings[chosen[row]]].start
            title = Segment("heading", start, start, level=2, title=titles[row], inferred=True)
            out.insert(openings[chosen[row]], title)
    return out


def _contents(text: str, segments: list[Segment]) -> tuple[int, list[str]]:
    """Return the position and the items of an early list that reads like a table of contents."""
    headings = {segment.title.lower() for segment in segments if segment.kind == "heading"}
    for number, segment in enumerate(segments):
        if segment.start > 0.15 * len(text):
            break
        lines = text[segment.start : segment.end].split("\n")
        items = [BULLET.sub("", line).strip() for line in lines if line.strip()]
        short = all(len(item) <= 90 and not item.endswith((".", ":", ";")) for item in items)
        if segment.kind == "list" and len(items) >= 4 and short:
            present = sum(item.lower() in headings for item in items)
            return number, items if present < 0.5 * len(items) else []
    return 0, []


def _untitled(segments: list[Segment], begin: int) -> list[int]:
    """Return where paragraphs follow a list and lead to a heading."""
    openings = []
    for number in range(begin, len(segments)):
        if segments[number].kind != "paragraph" or segments[number - 1].kind != "list":
            continue
        later = number
        while later < len(segments) and segments[later].kind == "paragraph":
            later += 1
        if later < len(segments) and segments[later].kind == "heading":
            openings.append(number)
    return openings


def _words(text: str) -> set[str]:
    """Return crude stems: the first five letters of each longer word."""
    return {
        word[:5] for word in re.findall(r"[^\W_]{2,}", text.lower()) if word not in _COMMON.split()
    }


def _overlap(title: set[str], section: set[str], sections: list[set[str]]) -> float:
    """Return the weight of shared words; a word of few sections weighs more."""
    shared = title & section
    return sum(math.log(len(sections) / sum(word in s for s in sections)) for word in shared)


def _align(scores: list[list[float]]) -> list[int]:
    """Return an increasing column for each row so that the sum of scores is greatest."""
    rows, columns = len(scores), len(scores[0])
    best = [[0.0] * (columns + 1)]
    for row in range(rows):
        line = [float("-inf")] * (columns + 1)
        for column in range(row, columns):
            take = best[row][column] + scores[row][column]
            line[column + 1] = max(line[column], take)
        best.append(line)
    chosen = [0] * rows
    column = columns
    for row in reversed(range(rows)):
        while best[row + 1][column - 1] == best[row + 1][column]:
            column -= 1
        column -= 1
        chosen[row] = column
    return chosen


def _family(title: str) -> str:
    numbered = _NUMBERED.match(title)
    if numbered:
        return numbered.group(1).lower() + "#"
    if title.count(" · ") == 1:
        return "·"
    return re.split(r"\s+[—–]\s+", title)[0].lower()
