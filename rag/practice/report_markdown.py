"""A Report as Markdown.

Writes what the report holds and computes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from rag.practice.feedback import CorpusQuote, PointFeedback
from rag.practice.report import AttemptLine, Report

COACHING = "These notes are coaching for the next round; they are no verdict on you."
_STATES = {"partial": "half said", "missed": "missed", "unsure": "unsure, you decide"}


def to_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    return "\n\n".join(_parts(report)) + "\n"


def percent(share: float | None) -> str:
    """Return a share as a percentage, a dash for None."""
    return "–" if share is None else f"{share:.0%}"


def minutes(seconds: float) -> str:
    """Return seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def day(moment: float) -> str:
    """Return a moment as a date and a time of day in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def place(source: CorpusQuote) -> str:
    """Return where a quote stands: document, headings, lines."""
    headings = " > ".join(source.heading_path)
    lines = f"lines {source.line_start}–{source.line_end}" if source.line_start else ""
    return ", ".join(part for part in (source.doc, headings, lines) if part)


def attempt_facts(line: AttemptLine) -> list[str]:
    """Return what there is to say of an attempt, in words."""
    facts = []
    if line.first_score is None:
        facts.append("not graded")
    else:
        facts.append(f"first answer {percent(line.first_score)}")
        facts.append(f"after follow-ups {percent(line.final_score)}")
    if line.change is not None:
        facts.append(f"{line.change:+.0%} since the last attempt".replace("%", " points"))
    if line.hints:
        facts.append(f"{line.hints} hint(s)")
    if line.gate:
        facts.append(f"not graded further: {line.gate}")
    if line.level is not None:
        reach = dict.fromkeys((line.level.low, line.level.high))
        facts.append(f"level {'–'.join(reach)}, low confidence ({line.level.basis})")
    return facts


def point_facts(point: PointFeedback) -> str:
    """Return a missed point with its state."""
    return f"{point.text} ({_STATES.get(point.state, point.state)}, {point.weight})"


def _parts(report: Report) -> Iterator[str]:
    yield f"# Practice report: {_line(report.title)}"
    yield (
        f"{report.mode.capitalize()}, {day(report.started)},"
        f" {minutes(report.ended - report.started)} minutes."
        f" Recall of the points that count: **{percent(report.recall)}**. {COACHING}"
    )
    yield from (f"> {_line(notice)}" for notice in report.notices)
    yield "## Say this next time"
    yield _list(f"{_line(s.text)} — {_line(place(s.source))}" for s in report.say_next)
    yield "## Missed"
    yield _list(
        f"{_line(point_facts(p))}\n  > {_line(p.source.quote)}\n  > — {_line(place(p.source))}"
        for p in report.missed
    )
    yield "## Red flags"
    yield _list(
        f"**{_line(f.text)}** {_line(f.why)} Say instead: {_line(f.better)}"
        + (f' (you said: "{_line(f.quote)}")' if f.quote else "")
        for f in report.flags
    )
    yield "## Attempts"
    yield _list(
        f"{_line(a.prompt)} — {_line('; '.join(attempt_facts(a)))}"
        + "".join(
            f"\n  - {_line(c.name)}: {c.state}; {_line(c.expression)} = {c.expected}"
            + (f"; {c.note}" if c.note else "")
            for c in a.checks
        )
        for a in report.attempts
    )
    yield "## Recall by facet"
    yield _table(
        ["Facet", "Points", "Recall"],
        [[f.facet, str(f.points), percent(f.recall)] for f in report.facets],
    )
    yield "## Time"
    yield _table(
        ["Phase", "Target", "Spent", "Over"],
        [
            [p.name, minutes(p.target_s), minutes(p.spent_s), minutes(p.over_s) if p.over_s else ""]
            for p in report.phases
        ],
    )
    yield "## Next reviews"
    yield _list(f"{day(c.due)}: {_line(c.prompt)} ({c.about})" for c in report.reviews)
    yield "## Progress"
    yield _table(
        ["Session", "Mean score of first answers"],
        [[day(p.when), percent(p.score)] for p in report.progress],
    )
    yield "## Contested verdicts"
    yield _list(
        f"Turn {c.n}: {_line(c.point)} — grader: {c.grader}; you: {c.user}"
        for c in report.contested
    )
    yield "## Transcript"
    for turn in report.transcript:
        yield f"**Interviewer ({_line(turn.phase)}):** {_line(turn.prompt)}"
        yield from (f"_Hint: {_line(text)}_" for text in turn.hints)
        yield f"**You:** {_line(turn.answer)}" if turn.answer else f"_({turn.state})_"
        if turn.reply:
            yield f"**Interviewer:** {_line(turn.reply)}"
    yield "## Versions"
    yield _list(f"{name}: {', '.join(values) or '–'}" for name, values in report.versions.items())


def _line(text: str) -> str:
    """Return `text` on one line and without a meaning in Markdown: answers are data."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _list(items: Iterator[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "Nothing."


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "Nothing."
    lines = [head, ["---"] * len(head), *([_line(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
