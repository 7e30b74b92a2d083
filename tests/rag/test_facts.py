import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.facts import (
    Number,
    is_negated,
    lacks_number,
    missing_names,
    missing_numbers,
    names,
    numbers,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10k QPS", {Number(10_000, "qps")}),
        ("5-10%", {Number(5, "%"), Number(10, "%")}),
        ("between 100 to 200 ms", {Number(0.1, "s"), Number(0.2, "s")}),
        ("0.5 s", {Number(0.5, "s")}),
        ("500ms", {Number(0.5, "s")}),
        ("90 minutes", {Number(5400, "s")}),
        ("1,000,000 users", {Number(1_000_000, "")}),
        ("1.5 million users", {Number(1_500_000, "")}),
        ("7B parameters", {Number(7e9, "")}),
        ("0.4 TB", {Number(4e11, "byte")}),
        ("2 weeks", {Number(14, "day")}),
        ("a 7-day window", {Number(7, "day")}),
        ("3x", {Number(3, "x")}),
        ("two towers", {Number(2, "")}),
        ("a dozen features", {Number(12, "")}),
        ("at p99", set()),
        ("version v2.5", set()),
        ("no number", set()),
    ],
)
def test_numbers_in_base_units(text, found):
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("It holds 400 GB.", "It holds 0.4 TB."),
        ("It takes 500 ms.", "It takes half a second, that is 0.5 s."),
        ("It serves 10K requests.", "It serves 10,000 requests."),
        ("Latency is 50 to 100 ms.", "Latency: 50-100ms."),
        ("Keep 30 of them.", "Keep 30 days of logs."),
        ("Two models are used.", "A model for recall and a model for ranking."),
        ("About 5%.", "5-10% of traffic"),
    ],
)
def test_a_number_that_the_source_states_in_another_form_is_not_missing(claim, source):
    assert missing_numbers(claim, source) == []
    assert missing_names(claim, source) == []


@pytest.mark.parametrize(
    ("claim", "source", "missing"),
    [
        ("It holds 400 TB.", "It holds 400 GB.", ["4e+14 byte"]),
        ("It takes 50 s.", "It takes 50 ms.", ["50 s"]),
        ("Keep 30 hours.", "Keep 30 days.", ["108000 s"]),
        ("Recall rises by 7%.", "Recall rises by 5-10%.", ["7 %"]),
        ("It has 5 towers.", "It has towers.", ["5"]),
        ("10 million items", "10 thousand items", ["1e+07"]),
    ],
)
def test_another_number_or_unit_is_missing(claim, source, missing):
    assert missing_numbers(claim, source) == missing


@given(st.text())
def test_every_text_states_its_own_numbers_and_names(text):
    assert missing_numbers(text, text) == []
    assert missing_names(text, text) == []


@given(st.integers(4, 10**9), st.sampled_from(["ms", "GB", "%", "QPS", "days"]))
def test_a_number_is_found_again_and_its_successor_is_not(value, unit):
    source = f"The limit is {value} {unit}."
    assert missing_numbers(f"At {value:,} {unit} it stops.", source) == []
    if value < 10**5:  # neighbours of larger ones are equal to six digits
        assert missing_numbers(f"At {value + 1} {unit} it stops.", source)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Use HNSW with Kafka.", {"HNSW", "Kafka"}),
        ("Ranking uses MMoE and DCN-v2 at p99.", {"MMoE", "DCN-v2", "p99"}),
        ("Position bias. Clicks are biased.", set()),
        ("I think so", set()),
        ("It serves 10K users with 400GB.", set()),
    ],
)
def test_names(text, found):
    assert names(text) == found


@pytest.mark.parametrize(
    ("claim", "source", "missing"),
    [
        ("It uses IVF-PQ.", "It uses IVF PQ.", []),
        ("It uses LLMs.", "It uses an LLM.", []),
        ("It uses IPW.", "It uses inverse propensity weighting.", []),
        ("It uses Redis and Kafka.", "It uses Kafka.", ["Redis"]),
    ],
)
def test_a_name_may_be_written_otherwise_or_spelled_out(claim, source, missing):
    assert missing_names(claim, source) == missing


def test_negation():
    assert is_negated("It doesn't scale.")
    assert is_negated("Never train on the test set.")
    assert not is_negated("A note on nothingness and knots.")


@pytest.mark.parametrize(
    ("question", "quantity"),
    [
        ("How many replicas are enough?", True),
        ("At which cosine similarity should I cut?", True),
        ("how much longer does it take", True),
        ("How do I choose a threshold?", False),
        ("Which index is the best?", False),
        ("Which other number do I watch?", False),
    ],
)
def test_questions_that_only_a_number_answers(question, quantity):
    assert lacks_number(question, "It depends.") is quantity
    assert not lacks_number(question, "About 3.")


@pytest.mark.parametrize("text", ["weekly", "two or three", "a tenth of it", "every few minutes"])
def test_an_amount_may_be_written_in_words(text):
    assert not lacks_number("How often, or how many?", text)
