"""The report: what it says, that it escapes, that it opens from disk."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser

import pytest

from rag.practice.errors import AttemptOpen
from rag.practice.report_html import to_html
from rag.practice.report_markdown import to_markdown
from tests.practice.fakes import BANK, FakeClock, make_practice

ATTACK = "<script>alert(1)</script> <img src=x onerror=y> ](http://e.vil) Quantised | `x`"


@pytest.fixture
def finished(tmp_path):
    clock = FakeClock()
    practice = make_practice(tmp_path, clock)
    first = practice.start("drill", probe_id="feed", seed=1)
    practice.answer(first.id, "a", "blockchain", turn=1)
    practice.end(first.id)
    clock.tick(86_400)
    second = practice.start("drill", probe_id="feed", seed=1)
    clock.tick(200)
    practice.answer(second.id, "a", ATTACK, turn=1)
    practice.skip(second.id, 2)
    return practice, first.id, second.id


def test_it_comes_after_the_session(tmp_path):
    practice = make_practice(tmp_path)
    session = practice.start("drill", probe_id="feed")
    with pytest.raises(AttemptOpen, match="end it first"):
        practice.report(session.id)


def test_it_says_what_happened(finished):
    practice, first, second = finished
    report = practice.report(second)
    assert report.recall == 0.5  # Quantised, not Backfill; Hedging is a bonus
    assert [(f.facet, f.recall) for f in report.facets] == [("depth", 1.0), ("failure", 0.0)]
    (line,) = report.attempts
    assert (line.first_score, line.previous_score, line.change) == (0.5, 0.0, 0.5)
    assert [p.point_id for p in report.missed] == ["p-history", "p-bonus"]  # the vital one first
    source = report.missed[0].source
    assert source.quote == "Backfill keeps history honest."
    assert (source.doc, source.heading_path, source.line_start) == (
        "feeds.md", ("Feeds", "Ranking"), 6,
    )  # fmt: skip
    assert [s.text for s in report.say_next] == [p.text for p in report.missed]
    assert [p.score for p in report.progress] == [0.0, 0.5]
    (phase,) = report.phases
    assert (phase.target_s, phase.spent_s, phase.over_s) == (180 + 90, 200, 0)
    assert len(report.reviews) == 2  # the probe, and the point missed twice
    assert report.versions == {
        "bank": (BANK.hash,), "grader": ("fake-1",), "model": ("fake-llm",),
    }  # fmt: skip
    assert [f.better for f in practice.report(first).flags] == ["name the need"]


def test_a_verdict_that_was_contested_is_listed_and_counts(finished):
    practice, _, second = finished
    practice.override(second, 1, "p-history", True)
    report = practice.report(second)
    assert report.recall == 1.0
    (contested,) = report.contested
    assert (contested.grader, contested.user) == ("missed", "covered")
    assert contested.point == "Backfill keeps history honest."
    practice.override(second, 1, "p-history", False)
    assert practice.report(second).recall == 0.5


def test_the_json_form_is_json(finished):
    practice, _, second = finished
    data = json.loads(json.dumps(practice.report(second).to_dict()))
    assert data["missed"][0]["source"]["doc"] == "feeds.md"


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href") or k.startswith("on")]


def test_the_page_fetches_nothing_and_runs_nothing(finished):
    practice, _, second = finished
    text = to_html(practice.report(second))
    page = Page(text)
    assert page.fetched == []
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert page.tags.count("svg") == 1 and page.tags.count("circle") == 2
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text


def test_markdown_keeps_answers_data(finished):
    practice, _, second = finished
    text = to_markdown(practice.report(second))
    assert "\\<script\\>" in text and "<script>" not in text
    assert "\\]\\(http" in text or "\\](http" in text
    assert "feeds.md, Feeds \\> Ranking, lines 6–6" in text


@pytest.mark.parametrize("write", [to_html, to_markdown])
def test_it_coaches_and_does_not_judge(finished, write):
    practice, _, second = finished
    text = write(practice.report(second)).lower()
    assert "coaching" in text
    assert not any(word in text for word in ("hire", "reject", "strong yes"))


@pytest.mark.parametrize("mode", ["drill", "mock", "calibrate", "estimate"])
def test_every_mode_reports_even_when_nothing_was_answered(tmp_path, mode):
    practice = make_practice(tmp_path)
    session = practice.start(mode, seed=1)
    practice.end(session.id)
    report = practice.report(session.id)
    assert report.recall in (None, 0.0)
    assert to_html(report) and to_markdown(report)


def test_a_document_that_has_changed_is_quoted_from_the_point(tmp_path):
    changed = dataclasses.replace(
        BANK,
        probes=tuple(
            dataclasses.replace(
                probe,
                points=tuple(
                    dataclasses.replace(p, span=dataclasses.replace(p.span, doc_id="gone"))
                    for p in probe.points
                ),
            )
            for probe in BANK.probes
        ),
    )
    practice = make_practice(tmp_path, bank=changed)
    session = practice.start("drill", probe_id="feed")
    practice.end(session.id)
    source = practice.report(session.id).missed[0].source
    assert source.quote == "Quantised vectors save memory." and source.line_start == 0
