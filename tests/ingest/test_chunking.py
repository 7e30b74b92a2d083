"""Tokens are counted as words here, so that sizes can be checked by eye."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import chunk_document
from ingest.cleaning import mask_noise
from ingest.documents import Document
from ingest.pieces import plain_text
from ingest.structure import parse_blocks


def words(text):
    return len(text.split())


def chunks_of(text, max_tokens=40, overlap_tokens=0):
    document = Document(id="d", uri="d.md", title="", text=text, sha256="")
    found = chunk_document(
        document,
        parse_blocks(text),
        count_tokens=words,
        max_tokens=max_tokens,
        overlap_tokens=overlap_tokens,
    )
    for chunk in found:
        assert text[chunk.start : chunk.end] == chunk.text
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))
    return found


def sentence(word, count):
    return " ".join([word.capitalize(), *[word] * (count - 1)]) + "."


def test_small_sections_of_one_entry_share_a_chunk_and_keep_their_labels():
    entry = "**Goals:**\n- fast\n- cheap\n\n**Tools:**\na, b\n\n"
    text = f"# Bank\n\n## One\n\n{entry}## Two\n\n{entry}"
    first, second = chunks_of(text, max_tokens=12)
    assert first.heading_path == ("Bank", "One")
    assert first.plain == "Goals:\nfast\ncheap\nTools:\na, b"
    assert second.heading_path == ("Bank", "Two")
    assert second.plain == first.plain
    assert second.kind == "list"


def test_a_long_paragraph_is_cut_evenly_at_sentences_and_overlaps_by_a_sentence():
    sentences = [sentence(w, 6) for w in ("one", "two", "three", "four", "five")]
    text = " ".join(sentences)
    found = chunks_of(text, max_tokens=20, overlap_tokens=6)
    assert [c.text for c in found] == [" ".join(sentences[:3]), " ".join(sentences[2:])]
    found = chunks_of(text, max_tokens=20)
    assert [c.text for c in found] == [" ".join(sentences[:3]), " ".join(sentences[3:])]


def test_a_split_table_repeats_its_header_and_keeps_rows_whole():
    rows = [f"| row{n} | {' '.join([f'v{n}'] * 8)} |" for n in range(6)]
    text = "\n".join(["| Key | Value |", "|---|---|", *rows])
    found = chunks_of(text, max_tokens=30)
    assert [c.context for c in found] == ["", "Key | Value", "Key | Value"]
    assert found[0].plain.startswith("Key: row0; Value: v0")
    assert "\n".join(c.text for c in found) == text
    huge = chunks_of("| A |\n|---|\n| " + "x " * 50 + "|", max_tokens=30)
    assert huge[-1].text.count("x") == 50


def test_a_question_and_its_short_answer_stay_together():
    turns = [
        f'**{who}:** *"{sentence(w, 12)[:-1]}{end}"*'
        for who, w, end in (
            ("I", "why", "?"),
            ("C", "so", "."),
            ("I", "how", "?"),
            ("C", "thus", "."),
        )
    ]
    found = chunks_of("\n\n".join(turns), max_tokens=30)
    assert [c.text for c in found] == ["\n\n".join(turns[:2]), "\n\n".join(turns[2:])]
    assert found[0].kind == "dialogue"
    assert found[0].plain.startswith('"Why why')


def test_the_rest_of_a_long_answer_repeats_the_question_as_context():
    answer = " ".join(sentence(w, 10) for w in ("one", "two", "three", "four"))
    found = chunks_of(f"**Q:** Which way?\n\n**A:** {answer}", max_tokens=25)
    assert found[0].plain.startswith("Which way?\nOne one")
    assert [c.context for c in found[1:]] == ["Which way?"] * (len(found) - 1)
    assert all(words(c.context + " " + c.plain) <= 25 for c in found)
    quiz = f"Quiz\n\nQ1. Which way?\n\nRationale. {answer}\n"
    assert {c.context for c in chunks_of(quiz, max_tokens=25)[1:]} == {"Q1. Which way?"}


def test_diagrams_are_shown_but_not_searched():
    text = "# T\n\nBefore it.\n\n```\n[A] → [B]\n```\n\nAfter it.\n"
    (chunk,) = chunks_of(text)
    assert chunk.plain == "Before it.\nAfter it."
    assert "[A] → [B]" in chunk.text
    (alone,) = chunks_of("```\n┌──┐\n└──┘\n```")
    assert (alone.kind, alone.plain) == ("diagram", "")


def test_code_is_searched_and_its_definitions_are_context():
    body = "\n\n".join(f"        x{n} = {' + '.join(['y'] * 8)}" for n in range(4))
    text = f"```python\nclass Store:\n    def get(self):\n{body}\n```"
    found = chunks_of(text, max_tokens=40)
    assert found[0].plain.startswith("class Store:\n    def get(self):")
    assert found[1].context == "class Store: def get(self):"
    assert {c.kind for c in found} == {"code"}


def test_headings_never_end_a_chunk():
    text = "# A\n\n" + sentence("one", 20) + "\n\n## B\n\n" + sentence("two", 20) + "\n"
    found = chunks_of(text, max_tokens=25)
    assert [c.heading_path for c in found] == [("A",), ("A", "B")]
    assert found[1].text.startswith("## B")


def test_plain_text_drops_the_markup():
    raw = "- **Bold** and *soft* `code_x` [link](http://a.b/c_(d)) ![pic](x.png)"
    assert plain_text(raw) == "Bold and soft code_x link pic"
    assert plain_text('a&lt;b <br> 2 * 3 snake_case "*q*"') == 'a<b 2 * 3 snake_case "q"'


PARTS = st.sampled_from(
    [
        *(
            "# Head",
            "## Sub",
            "**Label:**",
            "- item one",
            "  - nested",
            "",
            "",
            "| a | b |",
            "|---|---|",
        ),
        *(
            "| 1 | 2 |",
            "```",
            "code = 1",
            "[A] → [B]",
            "**I:** why?",
            "**C:** because. And so. On.",
        ),
        *('??? success "View Answer"', "    body text", "Interviewer", "Q1. Why?", "Show answer"),
        *(
            "One two three. Four five six? Seven!",
            "x" * 50,
            "word " * 30,
            "<!-- no -->",
            "❌ a\n❌ b",
        ),
    ]
)
TEXTS = st.one_of(st.lists(PARTS, max_size=25).map("\n".join), st.text(max_size=200))


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(5, 40), st.integers(0, 10))
def test_any_text_is_covered_within_the_limit(text, max_tokens, overlap_tokens):
    found = chunks_of(text, max_tokens, overlap_tokens)
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(found))
    for chunk in found:
        rows = chunk.kind == "table"
        assert rows or words(chunk.context) + words(chunk.plain) <= max_tokens
    blocks = parse_blocks(text)
    covered = {i for chunk in found for i in range(chunk.start, chunk.end)}
    masked = mask_noise(text)
    for block in blocks:
        span = range(block.start, block.end)
        assert all(i in covered or masked[i].isspace() for i in span)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(8, 40))
def test_no_chunk_begins_or_ends_inside_a_table_row(sizes, max_tokens):
    rows = [f"| r{n} | {'x ' * size}|" for n, size in enumerate(sizes)]
    text = "Lead.\n\n" + "\n".join(["| A | B |", "|---|---|", *rows]) + "\n\nEnd.\n"
    for chunk in chunks_of(text, max_tokens, 5):
        assert chunk.start == 0 or text[chunk.start - 1] == "\n"
        assert text[chunk.end] == "\n"
        assert not re.search(r"^[^|LE\n]", chunk.text, re.MULTILINE)
