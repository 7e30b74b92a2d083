"""Dialogues: a question of the interviewer and the candidate's answer become a probe.

Where the candidate asks and the interviewer answers, it is a clarification. Knows who speaks by
the speaker's name, in Markdown and in plain text; judges nobody's answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ingest.segments import speaker_role
from ingest.structure import parse_blocks
from rag.practice.bank import Clarification, Weight
from rag.practice.pages import HEADING
from rag.practice.points import Piece, plain, sentence_points
from rag.practice.source import Draft, Source
from rag.practice.tabled import Entry

_TURN = re.compile(r"\*\*([A-Z][\w .'-]{0,30}?)\s*(?::\*\*|\*\*\s*:)\s*(?=\S)")
_NAME = re.compile(r"\A([A-Z][\w .'-]{0,30}?):?\s+")
_QUOTES = {'"': '"', "“": "”"}
_COURTESY = re.compile(
    r"^(?:(?:That's time|Time(?: is up)?|Good(?: work| question)?|Thanks|OK|Great|Perfect|Got it)"
    r"[.!,]\s*)+",
    re.I,
)
_REQUEST = re.compile(
    r"(?:^|[.!?]\s+)(?:walk me|tell me|deep dive|go deeper|explain|describe)\b", re.I
)
_OPENING = re.compile(r"\bdesign\b", re.I)
_ORDINAL = re.compile(
    r"^(?:(?:first|second|third|one|two|three|and|one more|clarifying|quick clarifications|scale)"
    r"(?::|,|\s—|—)\s*|and\s)+",
    re.I,
)
_TALK = re.compile(
    r"^(?:thanks|great|got it|good point|let me|i(?:'|’)ll (?:use|outline|cover|design|clarify)"
    r"|to start|the same)\b",
    re.I,
)
# Announces what follows and says nothing itself.
_ANNOUNCES = re.compile(
    r"^(?:two|three|four|five|several|a few)\b"
    r"|\b(?:has|have|are|takes) (?:two|three|four|five|several) [\w-]+\.?$"
    r"|^more in\b|^see\b|\bby group$|^(?:techniques|options)\b"
    r"|^(?:that|this|it|there)(?:['’]s| is| are)\b|^i['’]m |^we need to correct"
    r"|\b(?:is a big deal|is critical|are hard)$",
    re.I,
)
_HEDGED = re.compile(r"\b(?:maybe|perhaps|might|optional(?:ly)?|for example|e\.g\.|could)\b", re.I)
_SHORTEST_ANSWER = 8  # words


@dataclass(frozen=True, slots=True)
class _Turn:
    role: Literal["asks", "answers"]
    start: int
    end: int
    section: int  # the number of the heading that it stands below


def parse_dialogue(source: Source) -> Iterator[Entry]:
    """Yield the transcript probes and the clarifications of the dialogues in a document."""
    turns = list(_marked_turns(source) if source.is_markdown else _plain_turns(source))
    openings: list[tuple[tuple[str, ...], str]] = []
    for at, turn in enumerate(turns):
        said = _said(source, turn)
        if turn.role == "asks" and not _asks(said) and _OPENING.search(said):
            openings.append((source.span(turn.start, turn.end).heading_path, said))
        elif turn.role == "asks" and _asks(said):
            yield from _transcript(source, turn, _answer(turns[at + 1 :]), openings)
        elif turn.role == "answers" and at + 1 < len(turns):
            yield from _clarification(source, turn, turns[at + 1])


def _marked_turns(source: Source) -> Iterator[_Turn]:
    """Yield the turns of Markdown: a paragraph each, or a whole quote where it is in quotes."""
    section, lines = 0, source.lines
    for number, (start, line) in enumerate(lines):
        section += line.startswith("#") and bool(HEADING.match(line))
        match = _TURN.match(line)
        role = speaker_role(match[1]) if match else None
        if match is None or role is None:
            continue
        quote = _QUOTES.get(line[match.end() :].lstrip("*_ ")[:1])
        last = number
        while not _is_over(lines[last][1], quote) and last + 1 < len(lines):
            after = lines[last + 1][1]
            if HEADING.match(after) or _TURN.match(after) or not (quote or after.strip()):
                break
            last += 1
        end = lines[last][0] + len(lines[last][1].rstrip())
        yield _Turn("asks" if role == "asks" else "answers", start + match.end(), end, section)


def _is_over(line: str, quote: str | None) -> bool:
    return quote is not None and line.rstrip("*_ ").endswith(quote)


def _plain_turns(source: Source) -> Iterator[_Turn]:
    for block in parse_blocks(source.text):
        if block.kind == "turn" and block.speaker and (role := speaker_role(block.speaker)):
            named = _NAME.match(source.text[block.start : block.end])
            start = block.start + (named.end() if named else 0)
            yield _Turn("asks" if role == "asks" else "answers", start, block.end, 0)


def _said(source: Source, turn: _Turn) -> str:
    return plain(source.text[turn.start : turn.end])


def _asks(said: str) -> bool:
    return said.endswith("?") or bool(_REQUEST.search(said))


def _answer(turns: Sequence[_Turn]) -> list[_Turn]:
    """Return the turns of the answer; what comes after a heading is no part of it any more."""
    answer: list[_Turn] = []
    for turn in turns:
        if turn.role != "answers" or (answer and turn.section != answer[0].section):
            break
        answer.append(turn)
    return answer


def _transcript(
    source: Source,
    asked: _Turn,
    answer: list[_Turn],
    openings: Sequence[tuple[tuple[str, ...], str]],
) -> Iterator[Entry]:
    text = "\n\n".join(_paragraphs(source, turn) for turn in answer)
    if len(text.split()) < _SHORTEST_ANSWER:
        return
    pieces = [p for turn in answer for p in sentence_points(source.text, turn.start, turn.end)]
    drafts = [Draft(p, _weight(p)) for p in pieces if not _is_talk(p)]
    path = source.span(asked.start, asked.end).heading_path
    yield source.probe(
        "transcript",
        _COURTESY.sub("", _said(source, asked)),
        drafts,
        (asked.start, answer[-1].end),
        cap=True,
        context=_context(source, path, openings),
        model_answer=text,
    )


def _paragraphs(source: Source, turn: _Turn) -> str:
    parts = re.split(r"\n[ \t*]*\n", source.text[turn.start : turn.end])
    return "\n\n".join(filter(None, map(plain, parts)))


def _weight(piece: Piece) -> Weight:
    """Return `okay` for what the candidate only hints at, or asks."""
    return "okay" if _HEDGED.search(piece.text) or piece.text.endswith("?") else "vital"


def _is_talk(piece: Piece) -> bool:
    words = len(re.findall(r"\w+", piece.text))
    announces = words < 9 and _ANNOUNCES.search(piece.text)
    return words < 2 or bool(announces) or (words < 12 and bool(_TALK.match(piece.text)))


def _context(
    source: Source, path: tuple[str, ...], openings: Sequence[tuple[tuple[str, ...], str]]
) -> str:
    """Return the opening prompt of the interview: the one above, in the same part of a document."""
    part = path[:2]
    for where, said in reversed(openings):
        if where[:2] == part or len({where[:2] for where, _ in openings}) == 1:
            return said
    return path[1] if len(path) > 1 and openings else source.document.title


def _clarification(source: Source, asked: _Turn, answered: _Turn) -> Iterator[Entry]:
    """Yield what the candidate asked, from the first question on, and the interviewer's reply."""
    said, reply = _said(source, asked), _said(source, answered)
    if answered.role != "asks" or not said.endswith("?") or _asks(reply):
        return
    sentences = re.split(r"(?<=[.!?])\s+", said)
    first = next(n for n, sentence in enumerate(sentences) if sentence.endswith("?"))
    question = _ORDINAL.sub("", " ".join(sentences[first:]))
    question = question[:1].upper() + question[1:]
    span = source.span(asked.start, answered.end)
    yield Clarification(question, (_COURTESY.sub("", reply) or reply,), (), span)
