import json

from ingest.pipeline import ingest_paths
from ingest.questions import FILE_NAME, attach_questions, load_questions

TEXT = "# Bias\n\nTop slots are clicked more. Weights of 1/P correct it.\n\n- First item here.\n"


def ingest(folder, previous=None):
    return ingest_paths([folder], count_tokens=lambda text: len(text.split()), previous=previous)


def write(folder, *rows, text=TEXT):
    (folder / "bias.md").write_text(text)
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / FILE_NAME).write_text("\n".join(lines))
    return ingest(folder)


def row(quote, *questions, doc="bias.md"):
    return {"doc": doc, "quote": quote, "questions": questions}


def asked(result):
    return {u.plain: u.questions for c in result.chunks for u in c.units if u.questions}


def test_a_unit_gets_the_questions_of_the_quote_that_it_begins_with(tmp_path):
    result = write(tmp_path, row("top SLOTS are", "Why?", "How?"), row("First item", "Which?"))
    assert asked(result) == {
        "Top slots are clicked more.": ("Why?", "How?"), "First item here.": ("Which?",)
    }  # fmt: skip
    assert result.report.questions == 3
    assert not result.report.skipped


def test_what_cannot_be_used_is_named_and_the_rest_is_kept(tmp_path):
    result = write(
        tmp_path, "{", row("", "Why?"), row("Top slots", " "), row("Top slots", "Why?"), "",
        row("No such words", "Lost?"), row("x", "Gone?", doc="gone.md"),
    )  # fmt: skip
    assert asked(result) == {"Top slots are clicked more.": ("Why?",)}
    reasons = [f"{path} {reason}" for path, reason in result.report.skipped]
    assert all(f"{FILE_NAME}:{number} " in reasons[number - 1] for number in (1, 2, 3))
    assert "gone.md" in reasons[3]
    assert "'No such words'" in reasons[4]
    assert len(reasons) == 5
    assert result.report.questions == 1


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    found, skipped = load_questions(tmp_path / FILE_NAME)
    assert not found
    assert "cannot be read" in skipped[0][1]


def test_changed_questions_replace_those_of_an_unchanged_document(tmp_path):
    first = write(tmp_path, row("Top slots", "Why?"))
    (document,) = first.documents
    previous = {document.uri: (document.sha256, document, first.chunks)}
    (tmp_path / FILE_NAME).write_text(json.dumps(row("Weights of", "How?")))
    second = ingest(tmp_path, previous)
    assert second.report.unchanged == 1
    assert asked(second) == {"Weights of 1/P correct it.": ("How?",)}
    (tmp_path / FILE_NAME).unlink()
    assert not asked(ingest(tmp_path, previous))


def test_ids_do_not_depend_on_questions(tmp_path):
    with_questions = write(tmp_path, row("Top slots", "Why?")).chunks
    (tmp_path / FILE_NAME).unlink()
    assert [c.id for c in ingest(tmp_path).chunks] == [c.id for c in with_questions]


def test_one_quote_that_begins_another_serves_both(tmp_path):
    chunks = write(tmp_path).chunks
    found, lost = attach_questions(chunks, [("Top", ("a",)), ("Top slots", ("b",))])
    assert not lost
    assert [u.questions for c in found for u in c.units if u.questions] == [("a", "b")]
