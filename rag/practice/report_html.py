"""A Report as one HTML page that opens from disk, with a plot of progress; nothing is fetched.

All text is escaped: answers and corpus are data. Computes nothing but the plot's coordinates.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rag.practice.report import ProgressPoint, Report
from rag.practice.report_markdown import (
    COACHING,
    attempt_facts,
    day,
    minutes,
    percent,
    place,
    point_facts,
)

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #8886; padding: .3rem .8rem; text-align: left }
blockquote { border-left: 3px solid #8888; margin: .3rem 0 .8rem; padding-left: .8rem }
.place { font-size: .875em } pre { font: inherit; white-space: pre-wrap; margin: .3rem 0 1rem }
svg { max-width: 100%; height: auto } @media print { body { margin: 0; max-width: none } }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy of the page: nothing but its own style."""
_WIDTH, _HEIGHT, _MARGIN = 640, 220, 36


def to_html(report: Report) -> str:
    """Return the report as a page."""
    title = f"Practice report: {escape(report.title)}"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">'
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{title}</h1>{''.join(_sections(report))}</main></body></html>\n"
    )


def _sections(report: Report) -> Iterator[str]:
    yield (
        f"<p>{escape(report.mode.capitalize())}, {day(report.started)},"
        f" {minutes(report.ended - report.started)} minutes. Recall of the points that count:"
        f" <strong>{percent(report.recall)}</strong>. {COACHING}</p>"
    )
    yield from (f"<p><em>{escape(notice)}</em></p>" for notice in report.notices)
    yield "<h2>Say this next time</h2>"
    yield _list(
        (
            f"{escape(s.text)} <span class='place'>{escape(place(s.source))}</span>"
            for s in report.say_next
        ),
        "ol",
    )
    yield "<h2>Missed</h2>"
    yield _list(
        f"{escape(point_facts(p))}<blockquote>{escape(p.source.quote)}<br>"
        f"<span class='place'>{escape(place(p.source))}</span></blockquote>"
        for p in report.missed
    )
    yield "<h2>Red flags</h2>"
    yield _list(
        f"<strong>{escape(f.text)}</strong> {escape(f.why)} Say instead: {escape(f.better)}"
        + (f"<blockquote>{escape(f.quote)}</blockquote>" if f.quote else "")
        for f in report.flags
    )
    yield "<h2>Attempts</h2>"
    yield _list(
        f"{escape(a.prompt)}<br>{escape('; '.join(attempt_facts(a)))}"
        + _table(
            ["Step", "Verdict", "Right"],
            [
                [c.name, f"{c.state} {c.note}".strip(), f"{c.expression} = {c.expected}"]
                for c in a.checks
            ],
        )
        for a in report.attempts
    )
    yield "<h2>Recall by facet</h2>" + _table(
        ["Facet", "Points", "Recall"],
        [[f.facet, str(f.points), percent(f.recall)] for f in report.facets],
    )
    yield "<h2>Time</h2>" + _table(
        ["Phase", "Target", "Spent", "Over", "Avoid"],
        [
            [p.name, minutes(p.target_s), minutes(p.spent_s),
             minutes(p.over_s) if p.over_s else "", p.avoid if p.over_s else ""]
            for p in report.phases
        ],
    )  # fmt: skip
    yield "<h2>Next reviews</h2>"
    yield _list(f"{day(c.due)}: {escape(c.prompt)} ({escape(c.about)})" for c in report.reviews)
    yield f"<h2>Progress</h2>{_plot(report.progress, report.session_id)}"
    yield "<h2>Contested verdicts</h2>"
    yield _list(
        f"Turn {c.n}: {escape(c.point)}; grader: {escape(c.grader)}; you: {escape(c.user)}"
        for c in report.contested
    )
    yield from _transcript(report)
    yield "<h2>Versions</h2>"
    yield _list(
        f"{escape(name)}: {escape(', '.join(values)) or '–'}"
        for name, values in report.versions.items()
    )


def _transcript(report: Report) -> Iterator[str]:
    yield "<h2>Transcript</h2>"
    for turn in report.transcript:
        yield f"<h3>Interviewer, {escape(turn.phase)}</h3><pre>{escape(turn.prompt)}</pre>"
        yield from (f"<p><em>Hint: {escape(text)}</em></p>" for text in turn.hints)
        yield f"<h3>You</h3><pre>{escape(turn.answer) or f'({turn.state})'}</pre>"
        if turn.reply:
            yield f"<h3>Interviewer</h3><pre>{escape(turn.reply)}</pre>"


def _list(items: Iterable[str], tag: str = "ul") -> str:
    body = "".join(f"<li>{item}</li>" for item in items)
    return f"<{tag}>{body}</{tag}>" if body else "<p>Nothing.</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def _plot(points: Sequence[ProgressPoint], current: str) -> str:
    """Draw the sessions' scores at equal distances, 0 to 100%; the current one is filled."""
    if not points:
        return "<p>Nothing graded yet.</p>"
    step = (_WIDTH - 2 * _MARGIN) / max(len(points) - 1, 1)
    tall = _HEIGHT - 2 * _MARGIN
    at = [
        (round(_MARGIN + i * step, 1), round(_MARGIN + (1 - p.score) * tall, 1))
        for i, p in enumerate(points)
    ]
    grid = "".join(
        f"<line x1='{_MARGIN}' x2='{_WIDTH - _MARGIN}' y1='{y}' y2='{y}' stroke='#8886'/>"
        f"<text x='2' y='{y + 4}' font-size='12' fill='currentColor'>{label}</text>"
        for y, label in ((_MARGIN, "100%"), (_MARGIN + tall / 2, "50%"), (_MARGIN + tall, "0%"))
    )
    line = " ".join(f"{x},{y}" for x, y in at)
    dots = "".join(
        f"<circle cx='{x}' cy='{y}' r='5' stroke='currentColor' stroke-width='2'"
        f" fill='{'currentColor' if p.session_id == current else 'none'}'>"
        f"<title>{day(p.when)}: {percent(p.score)}</title></circle>"
        for (x, y), p in zip(at, points, strict=True)
    )
    last = f"{len(points)} session(s), the last {percent(points[-1].score)}"
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='Score by session: {last}'>"
        f"{grid}<polyline points='{line}' fill='none' stroke='currentColor' stroke-width='2'/>"
        f"{dots}</svg><p>Mean score of the first answers, by session: {last}.</p>"
    )
