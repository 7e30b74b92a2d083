"""Cuts text into rubric points of at most 25 words, and says what a point is about.

Every cut is a range of the document, so that a point's span holds its words. Rules on words and
punctuation only; knows nothing of probes or of which document the text is from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ingest.documents import Block
from ingest.markdown import plain_inline
from ingest.pieces import block_pieces
from rag.facts import numbers
from rag.practice.bank import Facet

POINT_WORDS = 25
_SHORTEST = 4  # words: what is shorter than this belongs to its neighbour

_STEM = 6  # "We need: (1) ...": what is shorter above an enumeration is no point
_COMMAS = 3  # a cell with so many, and no other mark, is a list

_OKAY = re.compile(r"\bAlso:\s*")
_ENUMERATED = re.compile(r"(?<!\w)\((?:\d|[a-e])\)\s+")
# Where to cut what is too long, the best places first.
_CUTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=[.!?])\s+|\s*—\s*|\s+(?:–|->|→)\s+|(?<!&[lg]t);\s+|:\s+",
        r",\s+(?=(?:and|but|so|or|because|which|while|with|then|not|since)\b)",
        r",\s+",
        r"\s+(?=(?:and|but|so|or|because|which|while|with|then|that|by|for|in|to)\b)",
        r"\s+",
    )
)
_LEAD = re.compile(
    r"(?:[\s,;:.—–-]|(?<!\*)\*(?!\*)|\((?:\d|[a-e])\)\s|(?:and|but|so|or|then|finally)\b,?\s"
    r"|a few(?: things)?\.\s)+",
    re.I,
)
_MARGIN = " \t\n,;:—–"

_FACETS: tuple[tuple[Facet, str], ...] = (
    ("failure", r"fail|fallback|fall back|outage|degrad|circuit|roll ?back|crash|corrupt"
     r"|retr(?:y|ies)|timeout|disaster|\b(?:goes?|is|are) down\b|\bstale\b|\blate\b|\bbugs?\b"),
    ("monitoring", r"monitor|alert|dashboard|drift|observab|runbook|on-call|\baudit|logging"
     r"|lineage"),
    ("eval", r"evaluat|offline(?! stor)|a/b|ndcg|auc\b|recall|precision|metric|hold ?(?:out|back)"
     r"|experiment|interleav|ground truth|benchmark|\btests?\b|counterfactual|calibrat"),
    ("estimate", r"\bqps\b|estimate|capacity|per second|\d\s?(?:gb|tb|pb|ms)\b|arithmetic|budget"),
    ("trade-off", r"trade|against|instead of|rather than|versus|\bvs\b|cost|price|cheap|expensive"
     r"|at the expense"),
    ("clarify", r"clarif|requirement|\bask|\bscope|assumption|(?<!multi-)objective"),
    ("product", r"product|business|revenue|retention|fair|policy|privacy|trust|user experience"
     r"|complian|consent|diversity"),
    ("architecture", r"pipeline|service|store|index|shard|cache|queue|stage|tower|replica|layer"
     r"|stream|batch|gpu|retriev|ranker|candidate|source|database|kafka|region|funnel|feature"),
)  # fmt: skip
_FACET_WORDS = tuple((facet, re.compile(words, re.I)) for facet, words in _FACETS)

_NUMBER = re.compile(
    r"(?<![\w.@/-])(?P<value>[$~≈<>≤≥]?\d+(?:,\d{3})*(?:\.\d+)?(?:\s?[–-]\s?\d+(?:,\d{3})*(?:\.\d+)?)?"
    r"(?:\s?(?:million|billion|trillion|thousand)|[kKMBT])?)(?![\w])(?:[\s-]?(?:%|×|[a-zA-Z]+))?"
)
_YEARS = range(1900, 2101)
_LARGE = 100  # a smaller bare number is a count in passing


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a document and its words without markup."""

    start: int
    end: int
    text: str


def piece(text: str, start: int, end: int) -> Piece:
    """Return the piece of `text` in the range, without margins, markup and its full stop."""
    raw = text[start:end]
    if lead := _LEAD.match(raw):
        start += lead.end()
    while end > start and text[end - 1] in _MARGIN:
        end -= 1
    words = plain(text[start:end])
    full = words.endswith(("...", "etc."))
    return Piece(start, max(start, end), words if full else words.removesuffix("."))


def plain(raw: str) -> str:
    """Return `raw` on one line, without markup, and without a quote that is not closed."""
    words = " ".join(plain_inline(raw).replace("&lt;", "<").replace("&gt;", ">").split())
    words = words.strip("* ")
    if words.count('"') == 2 and words[0] == words[-1] == '"':
        return words[1:-1]
    if words.count('"') % 2:
        words = words.removeprefix('"') if words.startswith('"') else words.removesuffix('"')
    return words.strip("* ")


def cell_points(text: str, start: int, end: int) -> tuple[list[Piece], list[Piece]]:
    """Cut a table cell at its semicolons; return what must be said and what follows `Also:`.

    A cell that is one list with commas is cut at these.
    """
    also = _OKAY.search(text, start, end)
    vital = _listed(text, start, also.start() if also else end)
    if len(vital) == 1 and not also and text.count(",", start, end) >= _COMMAS:
        parts = _apart(text, start, end, ",")
        vital = [found for low, high in parts for found in shorten(text, low, high)]
    return vital, _listed(text, also.end(), end) if also else []


def sentence_points(text: str, start: int, end: int) -> list[Piece]:
    """Cut prose at its sentences and enumerations, and what is too long further."""
    found: list[Piece] = []
    for low, high in _sentences(text, start, end):
        marks = [low, *(m.start() for m in _ENUMERATED.finditer(text, low, high)), high]
        stem = len(marks) > 2 and len(text[marks[0] : marks[1]].split()) < _STEM
        for a, b in list(pairwise(marks))[stem:]:
            found.extend(shorten(text, a, b))
    return found


def shorten(text: str, start: int, end: int) -> Iterator[Piece]:
    """Yield the range as one piece, or as several of at most 25 words, cut where it reads best."""
    whole = piece(text, start, end)
    if len(whole.text.split()) <= POINT_WORDS:
        if re.search(r"\w", whole.text):
            yield whole
        return
    for cut in _CUTS:
        middle = _nearest(text, whole, cut)
        if middle:
            yield from shorten(text, whole.start, middle[0])
            yield from shorten(text, middle[1], whole.end)
            return
    yield whole


def facet_of(words: str) -> Facet:
    """Return what a point is about, by its words; depth where nothing more special fits."""
    for facet, pattern in _FACET_WORDS:
        if pattern.search(words):
            return facet
    return "depth"


def numbers_in(words: str) -> tuple[str, ...]:
    """Return the numbers that carry a fact: with a unit or a scale, or at least 100; no years."""
    found = []
    for match in _NUMBER.finditer(words):
        value, whole = match["value"], match.group()
        if any(number.unit for number in numbers(whole)):
            found.append(whole)
        elif any(n.value >= _LARGE and n.value not in _YEARS for n in numbers(value)):
            found.append(value)
    return tuple(dict.fromkeys(text.strip() for text in found))


def _listed(text: str, start: int, end: int) -> list[Piece]:
    parts = _apart(text, start, end)
    return [found for low, high in parts for found in sentence_points(text, low, high)]


def _apart(text: str, start: int, end: int, mark: str = ";") -> Iterator[tuple[int, int]]:
    """Yield the ranges between the marks that stand in no brackets."""
    depth, low = 0, start
    for at in range(start, end):
        depth += (text[at] in "([") - (text[at] in ")]")
        if text[at] == mark and depth <= 0 and text[at - 3 : at + 1] not in ("&lt;", "&gt;"):
            yield low, at
            low = at + 1
    yield low, end


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences in the range; a very short one joins the next."""
    block = Block("paragraph", start, end, ())
    low = None
    for found in block_pieces(text, block, lambda words: len(words.split()), 10_000):
        low = found.start if low is None else low
        if len(plain(text[low : found.end]).split()) >= _SHORTEST:
            yield low, found.end
            low = None
    if low is not None:
        yield low, end


def _nearest(text: str, whole: Piece, cut: re.Pattern[str]) -> tuple[int, int] | None:
    """Return the cut nearest to the middle that leaves no stump and is in no brackets."""
    best, distance = None, whole.end - whole.start
    centre = (whole.start + whole.end) // 2
    for match in cut.finditer(text, whole.start, whole.end):
        before = text[whole.start : match.start()]
        short = len(before.split()) < _SHORTEST
        short |= len(text[match.end() : whole.end].split()) < _SHORTEST
        nested = sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")
        if short or nested or before.count("`") % 2:
            continue
        if abs(match.start() - centre) < distance:
            best, distance = match.span(), abs(match.start() - centre)
    return best
