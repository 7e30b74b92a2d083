from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.practice.notes import missed_points, scored_points
from rag.practice.points import (
    POINT_WORDS,
    cell_points,
    facet_of,
    numbers_in,
    sentence_points,
    shorten,
)

WORDS = st.lists(
    st.text(string.ascii_letters, min_size=1, max_size=9)
    | st.sampled_from([";", ".", ",", "(1)", "Also:", "—", "(", ")", "`", "*", '"', ":"]),
    max_size=90,
)


def points_of(text):
    return [piece.text for piece in sentence_points(text, 0, len(text))]


@given(WORDS)
@example(["A", ",", ",", ","])
def test_pieces_are_short_ordered_ranges_that_hold_their_words(words):
    text = " ".join(words)
    vital, okay = cell_points(text, 0, len(text))
    for found in (sentence_points(text, 0, len(text)), [*vital, *okay]):
        at = 0
        for piece in found:
            assert at <= piece.start < piece.end <= len(text)
            at = piece.end
            there = re.findall(r"\w+", text[piece.start : piece.end])
            assert set(re.findall(r"\w+", piece.text)) <= set(there)


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=9), max_size=200))
def test_no_point_of_plain_words_is_too_long_and_no_word_is_lost(words):
    text = " ".join(words)
    found = [piece.text.split() for piece in shorten(text, 0, len(text))]
    assert all(len(point) <= POINT_WORDS for point in found)
    kept = [word for point in found for word in point]
    leading = {"and", "but", "so", "or", "then", "finally"}  # a point does not begin with these
    assert [word for word in words if word not in leading] == [
        word for word in kept if word not in leading
    ]


def test_prose_is_cut_at_sentences_and_enumerations():
    text = "We need: (1) many clean towers; (2) one small gate. Short. Then we serve the rest."
    assert points_of(text) == [
        "many clean towers",
        "one small gate",
        "Short. Then we serve the rest",
    ]


def test_a_long_sentence_is_cut_where_it_reads_best():
    text = " ".join(["one two three four five six seven"] * 2) + ", because " + "go on " * 8
    assert points_of(text) == [
        "one two three four five six seven one two three four five six seven",
        "because go on go on go on go on go on go on go on go on",
    ]


@pytest.mark.parametrize(
    ("words", "facet"),
    [
        ("a circuit breaker opens", "failure"),
        ("alert on shifts of the input", "monitoring"),
        ("NDCG on a holdout", "eval"),
        ("keep the offline store cheap", "trade-off"),
        ("200K QPS at peak", "estimate"),
        ("ask for the scope first", "clarify"),
        ("two towers and an index", "architecture"),
        ("a slate of related items", "depth"),
    ],
)
def test_a_facet_follows_from_the_words(words, facet):
    assert facet_of(words) == facet


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("reads take 5–20 ms, writes 1,000 ms", ("5–20 ms", "1,000 ms")),
        ("1B videos to 200, with 2 towers since 2019", ("1B", "200")),
        ("p99 at L4, recall@100 and DCN-v2 in (1)", ()),
        ("half a percent; 0.5% of it, 32× smaller", ("0.5%", "32×")),
    ],
)
def test_numbers_are_those_that_carry_a_fact(words, numbers):
    assert numbers_in(words) == numbers


@pytest.mark.parametrize(
    ("note", "points"),
    [
        ("Knew the parts but did not name the whole. Will fail later.", ["the whole"]),
        ("No heat, no light, no sound.", ["heat", "light", "sound"]),
        ("has bread, the butter at the table is not.", ["the butter at the table"]),
        ("Strong. Missing the meta-move — naming the price.", ["naming the price"]),
        ("Without a rule, the heat stays on for ever.", ["a rule"]),
        ("The grid must be trained on cold slices.", ["The grid must be trained on cold slices"]),
        ("Strong answer in every way.", ["Strong answer in every way"]),
    ],
)
def test_a_note_on_what_is_missed_gives_what_to_say(note, points):
    assert [piece.text for piece in missed_points(note, 0, len(note))] == points


def test_a_note_on_what_scored_gives_what_was_said():
    note = "Named the price. This is what maturity looks like. Pattern: price everything."
    found = [piece.text for piece in scored_points(note, 0, len(note))]
    assert found == ["Named the price", "price everything"]
