import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.citations import Draft, Refusal, is_valid, make_citation, parse_json, parse_lines
from tests.conftest import make_document, make_passages

REFUSED = "refused"


def parsed(parse, pieces):
    """The drafts, and REFUSED as the last where the reply ends in a refusal."""
    drafts = []
    try:
        for draft in parse(pieces):
            drafts.append(draft)
    except Refusal:
        drafts.append(REFUSED)
    return drafts


@pytest.mark.parametrize(
    ("reply", "drafts"),
    [
        ("Clicks are biased. [1]\n", [Draft("Clicks are biased.", (1,))]),
        ("Clicks are biased [1].", [Draft("Clicks are biased", (1,))]),
        ("A is b. C is d. [1][2]", [Draft("A is b.", (1, 2)), Draft("C is d.", (1, 2))]),
        ("A is b. [1] C is d. [2]", [Draft("A is b.", (1,)), Draft("C is d.", (2,))]),
        ("A is b. [2, 1; 2]", [Draft("A is b.", (2, 1))]),
        ("A is b. 【3】", [Draft("A is b.", (3,))]),
        ("- A is b. [1]\n2. C is d. [2]", [Draft("A is b.", (1,)), Draft("C is d.", (2,))]),
        ("A is b.", [Draft("A is b.", ())]),
        ("Use trees, e.g. XGBoost. [1]", [Draft("Use trees, e.g. XGBoost.", (1,))]),
        ("A is b. [9]", [Draft("A is b.", (9,))]),
        ("[1]\n...\n\n", []),
        ("", []),
        ("NOT IN SOURCES", [REFUSED]),
        ("Not in sources. I am sorry, but", [REFUSED]),
        ("A is b. [1]\nNOT IN SOURCES", [Draft("A is b.", (1,)), REFUSED]),
        ("- NOT IN SOURCES", [REFUSED]),
    ],
)
def test_lines(reply, drafts):
    assert parsed(parse_lines, [reply]) == drafts


def objects(*items):
    return json.dumps({"sentences": [{"text": text, "sources": n} for text, n in items]})


@pytest.mark.parametrize(
    ("reply", "drafts"),
    [
        (objects(("A is b.", [1, 2])), [Draft("A is b.", (1, 2))]),
        (objects(("A is b. [1]", [1, 1])), [Draft("A is b.", (1,))]),
        (f"```json\n{objects(('A {is} b.', [1]))}\n```", [Draft("A {is} b.", (1,))]),
        ('[{"sources": [2], "text": "A is b."}', [Draft("A is b.", (2,))]),
        (objects(("A is b.", [1])) + '{"text": "C is', [Draft("A is b.", (1,))]),
        (objects(("A is b.", ["1"])), [Draft("A is b.", ())]),
        (objects(("  ", [1])), [REFUSED]),
        ('{"sentences": []}', [REFUSED]),
        ("A is b. [1]", [Draft("A is b.", (1,))]),
        ("NOT IN SOURCES", [REFUSED]),
    ],
)
def test_json(reply, drafts):
    assert parsed(parse_json, [reply]) == drafts


@pytest.mark.parametrize("parse", [parse_lines, parse_json])
@pytest.mark.parametrize(
    "junk", ["A b. [" + "1" * 5000 + "]", '{"text": ' + "[" * 50_000, "{" * 1000, "\0[1]\x85"]
)
def test_junk_is_no_error(parse, junk):
    parsed(parse, [junk])


def test_a_line_comes_out_before_the_next_is_written():
    def pieces():
        yield "A is b. [1]\n"
        raise AssertionError("the next piece was asked for too early")

    assert next(parse_lines(pieces())) == Draft("A is b.", (1,))


def test_a_refusal_ends_the_stream_at_once():
    def pieces():
        yield "NOT IN SOURCES"
        raise AssertionError("the next piece was asked for too early")

    assert parsed(parse_lines, pieces()) == [REFUSED]


words = st.sampled_from(
    ["A is b.", " ", "\n", "[1]", "[2, 3]", "【4】", "NOT IN SOURCES", "- ", "1. ", "e.g. X",
     "é\u2028",
     '{"text": "C is d.", "sources": [1]}', '{"sentences": [', "]}", '{"text"', '"', "{", "\\"]
)  # fmt: skip
replies = st.lists(words | st.text(max_size=5), max_size=12).map("".join)


@st.composite
def split_replies(draw):
    reply = draw(replies)
    cuts = sorted(draw(st.lists(st.integers(0, len(reply)), max_size=8)))
    edges = [0, *cuts, len(reply)]
    return reply, [reply[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("parse", [parse_lines, parse_json])
@given(split=split_replies())
@example(split=("NOT IN SOURCES\nA is b. [1]", ["NOT IN", " SOURCES\nA is b. [1]"]))
@example(split=('{"text": "A", "sources": [1]}', list('{"text": "A", "sources": [1]}')))
def test_how_the_stream_is_cut_changes_nothing(parse, split):
    reply, pieces = split
    assert parsed(parse, pieces) == parsed(parse, [reply]) == parsed(parse, list(reply))


@given(st.lists(st.tuples(st.text(), st.lists(st.integers(-5, 99), max_size=3)), max_size=5))
def test_every_sentence_of_a_json_reply_is_a_draft(items):
    drafts = parsed(parse_json, [objects(*items)])
    said = [draft for draft in drafts if draft != REFUSED]
    assert len(said) == sum(bool(text.strip()) for text, _ in items)


BIAS = make_document(
    "bias.md", "Position bias inflates clicks.\nPropensity weighting 😀 corrects it.\n\nThe end."
)


def test_a_citation_quotes_its_units_verbatim():
    passage, _ = make_passages(BIAS)
    citation = make_citation(3, passage, passage.units, 0.87654)
    assert (citation.id, citation.marker, citation.support) == ("c3", "[3]", 0.877)
    assert (citation.doc, citation.doc_id, citation.title) == ("bias.md", BIAS.id, "bias")
    assert (citation.start, citation.end) == (0, 66)
    assert (citation.line_start, citation.line_end) == (1, 2)
    assert citation.quote == BIAS.text[0:66]
    last = make_citation(1, passage, passage.units[1:], 1.0)
    assert (last.start, last.line_start, last.line_end) == (31, 2, 2)


def test_valid_is_what_stands_at_its_offsets_in_a_passage_of_the_prompt():
    first, second = make_passages(BIAS)
    other = make_document("other.md", BIAS.text)
    citation = make_citation(1, first, first.units, 1.0)
    assert is_valid(citation, [first, second], BIAS)
    assert not is_valid(citation, [second], BIAS)
    assert not is_valid(citation, make_passages(other), BIAS)
    assert not is_valid(citation, [first], make_document("bias.md", "x" + BIAS.text))
