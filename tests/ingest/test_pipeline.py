import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.pipeline import ingest_paths


def words(text):
    return len(text.split())


def run(*paths, **options):
    options = {"count_tokens": words, "max_tokens": 30, "overlap_tokens": 5, **options}
    return ingest_paths(list(paths), **options)


def remembered(result):
    chunks = {document.id: [] for document in result.documents}
    for chunk in result.chunks:
        chunks[chunk.doc_id].append(chunk)
    return {d.uri: (d.sha256, d, chunks[d.id]) for d in result.documents}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.md").write_text("# Alpha\n\nThe first document says one thing.\n")
    (tmp_path / "b.txt").write_text("Second\n\nAnother thing entirely is said over here.\n")
    return tmp_path


def test_ids_are_the_same_on_every_run(folder):
    one, two = run(folder), run(folder)
    assert [d.title for d in one.documents] == ["Alpha", "Second"]
    assert [c.id for c in one.chunks] == [c.id for c in two.chunks]
    assert [d.id for d in one.documents] == [d.id for d in two.documents]


def test_what_changed_is_told_from_what_did_not(folder):
    first = run(folder)
    assert (first.report.added, first.report.documents, first.report.chunks) == (2, 2, 2)
    again = run(folder, previous=remembered(first))
    assert (again.report.unchanged, again.report.added, again.report.changed) == (2, 0, 0)
    assert again.chunks == first.chunks
    (folder / "a.md").write_text("# Alpha\n\nIt says something else now.\n")
    (folder / "b.txt").unlink()
    (folder / "c.md").write_text("New.\n")
    report = run(folder, previous=remembered(first)).report
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 0)


def test_an_unchanged_file_is_not_parsed_again(folder):
    first = run(folder)

    def never(text):
        raise AssertionError(text)

    assert run(folder, previous=remembered(first), count_tokens=never).chunks == first.chunks


def test_bad_files_are_named_and_the_rest_goes_on(folder):
    (folder / "empty.md").write_text("")
    (folder / "binary.txt").write_bytes(b"\0\1\2")
    (folder / "comment.md").write_text("<!-- nothing -->")
    (folder / "photo.jpg").write_bytes(b"x")
    result = run(folder)
    assert len(result.documents) == 2
    assert {path: reason.split(" (")[0] for path, reason in result.report.skipped} == {
        "empty.md": "is empty",
        "binary.txt": "is binary",
        "comment.md": "holds no text beside comments and badges",
        "photo.jpg": "has an unsupported type",
    }


def test_repairs_are_counted_and_lines_stay(tmp_path):
    text = "Title line\n\n❌ **Leak:** a → b — c\n"
    (tmp_path / "a.md").write_text(text.encode().decode("cp1254", "ignore"))
    result = run(tmp_path)
    assert result.documents[0].text == text
    report = result.report
    assert (report.repaired_lines, report.repaired_spots, report.lossy_spots) == (1, 1, 0)


def test_equal_documents_are_indexed_once(folder):
    (folder / "copy.md").write_text("# Alpha\n\n\nThe first document  says one thing.\n")
    report = run(folder).report
    assert report.documents == 2
    assert report.duplicates == [("copy.md", "a.md")]


SHARED = "The very same paragraph stands in both of the documents, word for word, to be found once."


def test_equal_chunks_are_indexed_once_and_come_back_when_the_original_goes(tmp_path):
    (tmp_path / "a.md").write_text(f"# T\n\n{SHARED}\n\n## Own\n\n{'Alpha beta gamma. ' * 9}\n")
    (tmp_path / "b.md").write_text(f"# T\n\n{SHARED}\n\n## Own\n\n{'Delta epsilon. ' * 12}\n")
    first = run(tmp_path, overlap_tokens=0)
    assert first.report.duplicates[0] == ("b.md#0", "a.md#0")
    assert sum(SHARED in c.text for c in first.chunks) == 1
    (tmp_path / "a.md").unlink()
    second = run(tmp_path, overlap_tokens=0, previous=remembered(first))
    assert sum(SHARED in c.text for c in second.chunks) == 1
    assert (second.report.unchanged, second.report.removed) == (1, 1)


def test_nearly_equal_chunks_are_reported_and_kept(tmp_path):
    (tmp_path / "a.md").write_text(SHARED.replace("once", "first") + "\n")
    (tmp_path / "b.md").write_text(SHARED.replace("once", "second") + "\n")
    report = run(tmp_path).report
    assert report.documents == 2
    ((item, of, similarity),) = report.near_duplicates
    assert (item, of) == ("b.md#0", "a.md#0")
    assert similarity == pytest.approx(13 / 15)


def test_the_report_is_json_and_progress_is_told(folder):
    calls = []
    result = run(folder, progress=lambda *call: calls.append(call))
    assert calls == [(0, 2, "a.md"), (1, 2, "b.txt"), (2, 2, "")]
    report = json.loads(json.dumps(result.report.to_dict()))
    assert report["documents"] == 2
    assert report["skipped"] == []


def test_importing_the_pipeline_loads_no_parser():
    heavy = "pypdfium2 docx bs4 lxml markdown_it yaml"
    code = f"import sys, ingest.pipeline; print([m for m in '{heavy}'.split() if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_file_may_ask_not_to_be_ingested(tmp_path):
    (tmp_path / "a.md").write_text(
        "---\ningest: false\n---\n\n# About these files\n\nNot for readers.\n"
    )
    (tmp_path / "b.md").write_text("# B\n\nA fact that is searched.\n\nSources: a book (page 7).\n")
    result = ingest_paths([tmp_path], count_tokens=lambda text: len(text.split()))
    assert [document.uri for document in result.documents] == ["b.md"]
    assert result.report.skipped == [("a.md", "its front matter says `ingest: false`")]
    assert "page 7" not in "".join(chunk.plain for chunk in result.chunks)
    assert "page 7" in result.documents[0].text
