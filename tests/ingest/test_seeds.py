"""The four documents that ingestion was built for; they are not part of the repository."""

import re
from pathlib import Path

import pytest

from ingest.pipeline import ingest_paths

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"

pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents are not here")


def count(text):
    """About as many as WordPiece makes."""
    return len(re.findall(r"\w{1,6}|[^\w\s]", text))


@pytest.fixture(scope="module")
def seeds():
    return ingest_paths([SEEDS], count_tokens=count, max_tokens=200, overlap_tokens=40)


def chunk_with(result, text):
    return next(chunk for chunk in result.chunks if text in chunk.text)


def test_everything_is_ingested_and_repaired(seeds):
    report = seeds.report
    assert (report.documents, report.skipped, report.duplicates) == (4, [], [])
    assert (report.repaired_lines, report.repaired_spots, report.lossy_spots) == (426, 49, 0)
    assert report.seconds < 10


def test_lines_are_those_of_the_files_and_spans_hold(seeds):
    documents = {document.id: document for document in seeds.documents}
    for document in documents.values():
        source = (SEEDS / document.uri).read_text(encoding="utf-8")
        assert document.text.count("\n") == source.count("\n")
    for chunk in seeds.chunks:
        assert documents[chunk.doc_id].text[chunk.start : chunk.end] == chunk.text
        assert "\ufffd" not in chunk.text


def test_the_lost_marks_are_back(seeds):
    bank = next(d for d in seeds.documents if d.title.startswith("System Design Interview"))
    assert bank.text.count("❌") == 20
    assert "]  ←→ [" in bank.text.replace("] ←→", "]  ←→")


def test_boxes_are_shown_and_not_searched(seeds):
    assert any("┌" in chunk.text for chunk in seeds.chunks)
    assert not any(re.search("[┌┐└┘│]", chunk.plain) for chunk in seeds.chunks)


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        ("Weaviate, Milvus", ["Design a Vector Search System - Google, Meta"], None),
        ("Deletes: graph indices", ["Design vector search infrastructure"], None),
        ("Noisy neighbors", ["Design ChatGPT serving at scale"], None),
        ("(1) PAL / position-aware", ["ML system design quiz"], "qa"),
        ("explodes to 125ms", ["Phase 4", "Latency anatomy"], None),
        ("Three coupled mechanisms", ["Phase 3", "Calibration ladder", "cold start", "L6"], None),
        ("Position bias is a big deal", ["Walkthrough 1", "Deep Dive"], "dialogue"),
    ],
)
def test_passages_know_their_headings(seeds, text, path, kind):
    chunk = chunk_with(seeds, text)
    joined = " > ".join(chunk.heading_path)
    assert all(part in joined for part in path), joined
    assert kind in (None, chunk.kind)


def test_questions_stay_with_their_answers(seeds):
    answer = chunk_with(seeds, "(1) PAL / position-aware")
    assert answer.plain.startswith("How do you debias position effects in a learned ranker?")
    turn = chunk_with(seeds, "Position bias is a big deal")
    assert "How do you avoid position bias when training?" in turn.plain
