"""Feedback on an attempt that is over: covered in the user's words, missed in the corpus's words.

Whoever calls this has made sure that the attempt is over. Every missed point comes with a short
quote of the corpus and where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.documents import Document
from rag.answers import line_span
from rag.practice.bank import Probe, RubricPoint, Span
from rag.practice.estimates import check_steps
from rag.practice.rows import TurnRow, VerdictRow
from rag.practice.scoring import LevelRange, best, level_range, recall
from rag.practice.steps import FlagFound, PointState, StepCheck

CorpusText = Callable[[str], Document | None]  # a document by id
_QUOTE = 240  # characters


@dataclass(frozen=True, slots=True)
class CorpusQuote:
    """Words of the corpus and where they stand; lines are 0 where the document has changed."""

    quote: str
    doc: str
    doc_id: str
    heading_path: tuple[str, ...]
    start: int
    end: int
    line_start: int
    line_end: int


@dataclass(frozen=True, slots=True)
class PointFeedback:
    """One point after the attempt; `n` is the turn whose verdict counts, to override it."""

    point_id: str
    text: str
    weight: str
    facet: str
    level: str
    n: int
    state: PointState
    probability: float
    own_words: str
    overridden: bool | None
    source: CorpusQuote


@dataclass(frozen=True, slots=True)
class AnchorFeedback:
    """A ladder's answer with its level and the note on it."""

    level: str
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class AttemptFeedback:
    """An attempt that is over. Scores are recalls of vital points; None where nothing is graded.

    `order` are the levels of the options A, B, C, D of an ordering exercise.
    """

    attempt: int
    n: int
    probe_id: str
    prompt: str
    phase: str
    first_score: float | None
    final_score: float | None
    gate: str
    hints: int
    covered: tuple[PointFeedback, ...]
    missed: tuple[PointFeedback, ...]
    flags: tuple[FlagFound, ...]
    checks: tuple[StepCheck, ...]
    level: LevelRange | None
    order: tuple[str, ...]
    anchors: tuple[AnchorFeedback, ...]
    model_answer: str


def attempt_feedback(
    turns: Sequence[TurnRow],
    verdicts: Sequence[VerdictRow],
    attempt: int,
    corpus: CorpusText,
) -> AttemptFeedback:
    """Return the feedback on attempt number `attempt` of a session."""
    mine = [turn for turn in turns if turn.step.attempt == attempt]
    root = mine[0]
    rows = [row for row in verdicts if row.attempt == attempt]
    graded = root.step.probe if root.step.kind == "probe" else None
    points = _points(graded, rows, root, corpus) if graded else []
    states = {point.point_id: point.state for point in points}
    outcomes = [turn.outcome for turn in mine if turn.outcome is not None]
    first, final = scores(mine, rows)
    ladder = root.step.probe.anchors if root.step.probe else ()
    estimate = root.step.estimate
    checks = tuple(check for outcome in outcomes for check in outcome.checks)
    if estimate is not None and not checks:
        checks = check_steps(estimate, root.step.asked, "")  # given up: the right values
    return AttemptFeedback(
        attempt=attempt,
        n=root.n,
        probe_id=graded.id if graded else estimate.id if estimate else "",
        prompt=root.step.prompt,
        phase=root.step.phase,
        first_score=first,
        final_score=final,
        gate=root.outcome.gate if root.outcome else "",
        hints=sum(len(turn.hints) for turn in mine),
        covered=tuple(point for point in points if point.state == "covered"),
        missed=tuple(point for point in points if point.state != "covered"),
        flags=tuple(flag for outcome in outcomes for flag in outcome.flags),
        checks=checks,
        level=level_range(graded.points, ladder, states) if graded and root.outcome else None,
        order=next((turn.step.order for turn in mine if turn.step.order), ()),
        anchors=tuple(AnchorFeedback(a.level, a.text, a.note) for a in ladder),
        model_answer=root.step.probe.model_answer if root.step.probe else "",
    )


def scores(
    turns: Sequence[TurnRow], rows: Sequence[VerdictRow]
) -> tuple[float | None, float | None]:
    """Return the score of an attempt's first answer, and the one after its follow-ups.

    `turns` and `rows` are those of the attempt. A probe that was given up scores 0, one that was
    skipped has no score.
    """
    root = turns[0]
    if root.state == "skipped":
        return None, None
    if root.step.kind != "probe" or root.step.probe is None:
        score = root.outcome.score if root.outcome else None
        return score, score
    points = root.step.probe.points
    first = {row.verdict.point_id: row.final for row in rows if row.n == root.n}
    merged = {point_id: row.final for point_id, row in best(rows).items()}
    return recall(points, first), recall(points, merged)


def corpus_quote(span: Span, otherwise: str, corpus: CorpusText) -> CorpusQuote:
    """Return the words at `span`, cut short at a word; `otherwise` where they are gone."""
    document = corpus(span.doc_id)
    lines, words = (0, 0), otherwise
    if document is not None and 0 <= span.start < span.end <= len(document.text):
        lines = line_span(document.text, span.start, span.end)
        words = document.text[span.start : span.end]
    if len(words) > _QUOTE:
        words = words[:_QUOTE].rsplit(" ", 1)[0] + " …"
    return CorpusQuote(
        words, span.doc, span.doc_id, span.heading_path, span.start, span.end, *lines
    )


def _points(
    probe: Probe, rows: Sequence[VerdictRow], root: TurnRow, corpus: CorpusText
) -> list[PointFeedback]:
    standing = best(rows)
    return [_point(point, standing.get(point.id), root, corpus) for point in probe.points]


def _point(
    point: RubricPoint, row: VerdictRow | None, root: TurnRow, corpus: CorpusText
) -> PointFeedback:
    return PointFeedback(
        point_id=point.id,
        text=point.text,
        weight=point.weight,
        facet=point.facet,
        level=point.level,
        n=row.n if row else root.n,
        state=row.final if row else "missed",
        probability=row.verdict.probability if row else 0.0,
        own_words=row.verdict.quote if row else "",
        overridden=row.overridden if row else None,
        source=corpus_quote(point.span, point.text, corpus),
    )
