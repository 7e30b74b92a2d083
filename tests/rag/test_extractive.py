import dataclasses

import pytest

from rag.extractive import closest_units, extract, repeats
from tests.conftest import make_document, make_passages

BIAS = make_document(
    "bias.md",
    "Position bias inflates clicks at the top.\n"
    "Weigh each click by inverse propensity.\n"
    "Short label here:\n"
    "Does this unit answer any question?\n\n"
    "Random slots give clean labels for propensity.",
)


def setup(*similarities):
    passages = make_passages(BIAS)
    units = [unit for passage in passages for unit in passage.units]
    return passages, dict(zip(units, similarities, strict=True))


def quotes(passages, similarity, n=3):
    sentences, citations = extract(closest_units(passages, similarity, n))
    assert [s.citations for s in sentences] == [(c.id,) for c in citations]
    assert [c.id for c in citations] == [f"c{i}" for i in range(1, len(citations) + 1)]
    for citation in citations:
        assert BIAS.text[citation.start : citation.end] == citation.quote
    return [citation.line_start for citation in citations]


def test_the_closest_units_in_reading_order():
    assert quotes(*setup(0.80, 0.85, 0.1, 0.1, 0.84)) == [1, 2, 6]
    assert quotes(*setup(0.80, 0.85, 0.1, 0.1, 0.84), n=2) == [2, 6]


def test_units_far_below_the_best_are_left_out():
    assert quotes(*setup(0.70, 0.85, 0.1, 0.1, 0.82)) == [2, 6]


def test_labels_and_questions_are_no_answers():
    assert quotes(*setup(0.5, 0.1, 0.99, 0.99, 0.1)) == [1]


def test_the_score_of_the_passage_counts_half():
    (first, second), similarity = setup(0.80, 0.1, 0.1, 0.1, 0.81)
    better = dataclasses.replace(first, score=1.3)
    assert quotes([better, second], similarity) == [1]  # .80 + .65 against .81 + .50


def test_a_unit_that_repeats_a_better_one_is_skipped():
    text = (
        "Weigh each click by inverse propensity.\nWeigh each click by its inverse propensity.\n"
        "Random slots give clean labels too."
    )
    passages = make_passages(make_document("a.md", text))
    similarity = dict(zip(passages[0].units, (0.9, 0.9, 0.85), strict=True))
    sentences, _ = extract(closest_units(passages, similarity, 3))
    assert [sentence.text[:6] for sentence in sentences] == ["Weigh ", "Random"]


def test_a_quote_over_two_lines_is_shown_as_one():
    (first, _), _ = setup(0.9, 0.9, 0.9, 0.9, 0.9)
    unit = dataclasses.replace(first.units[0], plain="Position bias\ninflates clicks at the top.")
    passage = dataclasses.replace(first, units=(unit,))
    ((sentence,), _) = extract(closest_units([passage], {unit: 0.9}, 3))
    assert sentence.text == "Position bias inflates clicks at the top."


def test_nothing_to_quote():
    assert extract(closest_units([], {}, 3)) == ((), ())
    assert quotes(*[setup(0.9, 0.9, 0.9, 0.9, 0.9)[0][:0], {}]) == []


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("a b c d", "a b c d e f", True),
        ("a b c d", "a b c e", False),  # 3 of 4 words are not more than 75%
        ("A B c", "a b C", True),
        ("", "a b", False),
    ],
)
def test_repeats(text, other, same):
    assert repeats(text, other) is same
    assert repeats(other, text) is same
