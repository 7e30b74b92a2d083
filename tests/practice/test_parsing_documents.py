"""The bank of the study corpus, and of the four documents that it was written from."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from ingest.pipeline import ingest_paths
from rag.practice.parsing import held, lint, parse_bank

REPOSITORY = Path(__file__).parents[2]
CORPUS = REPOSITORY / "corpus"
SEEDS = REPOSITORY / "../shared/seeds"


def documents_below(folder):
    found = ingest_paths([folder], count_tokens=lambda text: len(text.split()))
    return found.documents


@pytest.fixture(scope="module")
def corpus():
    return documents_below(CORPUS)


@pytest.fixture(scope="module")
def seeds():
    if not SEEDS.is_dir():
        pytest.skip("the seed documents are not here")
    return documents_below(SEEDS)


def assert_holds(bank, documents):
    """Every entry's span is a range of its document that holds its words."""
    texts = {document.id: document.text for document in documents}
    for probe in bank.probes:
        assert 0 <= probe.span.start < probe.span.end <= len(texts[probe.span.doc_id])
        for point in probe.points:
            assert held(point.text, point.span, texts) >= 0.6, point
        for anchor in probe.anchors:
            assert held(anchor.text, anchor.span, texts) == 1.0, anchor
        for row in probe.grid:
            # Where cells are glued together, two words look like one.
            assert held(" ".join(row.bars), row.span, texts) > 0.9, row
    for flag in bank.red_flags:
        assert held(f"{flag.text} {flag.why} {flag.better}", flag.span, texts) == 1.0, flag
    for asked in bank.clarifications:
        said = " ".join((asked.question, *asked.answers, *asked.changes))
        assert held(said, asked.span, texts) == 1.0, asked
    for clock in bank.clocks:
        assert held(" ".join(phase.name for phase in clock.phases), clock.span, texts) == 1.0
    for lens in bank.lenses:
        assert held(f"{lens.company} {lens.weighs}", lens.span, texts) == 1.0, lens
    for estimate in bank.estimates:
        assert held(f"{estimate.title} {estimate.given}", estimate.span, texts) == 1.0, estimate


def test_the_corpus_parses_without_a_complaint(corpus):
    overrides = CORPUS / "practice-overrides.toml"
    bank = parse_bank(corpus, overrides)
    assert lint(bank, corpus) == []
    assert_holds(parse_bank(corpus), corpus)
    kinds = Counter(probe.kind for probe in bank.probes)
    assert set(kinds) == {"probe", "transcript", "quiz", "ladder", "drill", "entry", "curveball"}
    assert (kinds["quiz"], kinds["ladder"], kinds["drill"], kinds["entry"]) == (15, 5, 1, 92)
    assert len(bank.red_flags) == 15
    assert len(bank.lenses) == 5
    assert all((bank.clarifications, bank.clocks, bank.estimates))
    assert len({probe.id for probe in bank.probes}) == len(bank.probes)


def test_parsing_is_fast_and_gives_the_same_bank_again(corpus):
    began = time.perf_counter()
    first = parse_bank(corpus)
    assert time.perf_counter() - began < 3  # 0.4 s on an idle machine
    assert parse_bank(corpus).hash == first.hash


def test_the_seeds_give_what_was_counted_in_them(seeds):
    bank = parse_bank(seeds)
    assert lint(bank, seeds) == []
    assert_holds(bank, seeds)
    mocks, problems, questions, lesson = (document.id for document in seeds)

    def count(document):
        return dict(Counter(p.kind for p in bank.probes if p.span.doc_id == document))

    assert count(mocks) == {"probe": 10, "transcript": 30, "curveball": 6}
    assert count(problems) == {"quiz": 15}
    assert count(questions) == {"entry": 80}
    # Beside its five ladders and the drill the lesson has five probes with answers as dialogue.
    assert count(lesson) == {"ladder": 5, "drill": 1, "transcript": 5}
    ladders = [probe for probe in bank.probes if probe.kind == "ladder"]
    assert [anchor.level for probe in ladders for anchor in probe.anchors] == [
        "L4", "L5", "L6", "L7",
    ] * 5  # fmt: skip
    (grid,) = (probe.grid for probe in bank.probes if probe.grid)
    assert [len(row.bars) for row in grid] == [4, 4, 4, 4]
    assert Counter(flag.span.doc_id for flag in bank.red_flags) == {mocks: 10, lesson: 5}
    assert Counter(clock.span.doc_id for clock in bank.clocks) == {mocks: 1, problems: 2}
    assert len(bank.lenses) == 5


def test_the_swallowed_question_is_a_quiz_item_of_its_own(seeds):
    quiz = [probe for probe in parse_bank(seeds).probes if probe.kind == "quiz"]
    (cuped,) = (probe for probe in quiz if "CUPED" in probe.prompt)
    assert "SUTVA" not in cuped.model_answer
    assert any("SUTVA" in probe.prompt for probe in quiz)
