from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequest
from api.openai_schemas import ChatRequest, Completion, url_citations
from rag.answers import Answer, Citation, Sentence


def request(*messages, **members) -> ChatRequest:
    return ChatRequest(model="study-rag", messages=list(messages), **members)


def test_the_last_user_message_is_the_question():
    chat = request(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is BM25?"},
        {"role": "assistant", "content": "A ranking function."},
        {
            "role": "user",
            "content": [{"type": "text", "text": " And"}, {"type": "text", "text": "?"}],
        },
        {"role": "assistant", "content": None},
    )
    assert chat.question() == "And\n?"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": " "},
        {"role": "user"},
        {"role": "user", "content": []},
        {"role": "user", "content": "a\0"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
    ],
)
def test_messages_without_a_question(message):
    with pytest.raises(BadRequest):
        request(message).question()


def test_sampling_parameters_are_ignored():
    message = {"role": "user", "content": "a", "name": "me"}
    chat = request(message, temperature=0.2, top_p=1, max_tokens=5, seed=1, tools=[], user="u")
    assert chat.question() == "a"


@st.composite
def answers(draw) -> Answer:
    """Sentences with any text and any of the citations, whose markers have several lengths."""
    numbers = draw(st.lists(st.integers(1, 120), min_size=1, max_size=4, unique=True))
    citations = tuple(
        Citation(f"c{n}", f"[{n}]", "d1", "a.md", "A", (), "k1", n, n + 5, 1, 1, "quote", 0.5)
        for n in numbers
    )
    ids = st.lists(st.sampled_from([c.id for c in citations]), max_size=4, unique=True)
    sentence = st.builds(Sentence, st.text(max_size=20), ids.map(tuple))
    sentences = draw(st.lists(sentence, max_size=4))
    return Answer("q", "answered", tuple(sentences), citations)


@given(answers())
def test_annotations_are_the_markers_in_the_text(answer):
    marker = {f"/v1/documents/d1#{c.start}-{c.end}": c.marker for c in answer.citations}
    places = [item["url_citation"] for item in url_citations(answer.sentences, answer.citations)]
    assert len(places) == sum(len(sentence.citations) for sentence in answer.sentences)
    for place in places:
        found = answer.text[place["start_index"] : place["end_index"]]
        assert found == marker[place["url"]]
    starts = [place["start_index"] for place in places]
    assert starts == sorted(starts)


def test_annotations_by_hand():
    citation = Citation("c1", "[1]", "d1", "a.md", "A", (), "k1", 7, 12, 1, 1, "quote", 0.5)
    sentences = (Sentence("Ab.", ("c1",)), Sentence("Cd.", ("c2", "c1")))
    citations = (citation, replace(citation, id="c2", marker="[2]", start=20, end=25))
    # "Ab. [1] Cd. [2][1]"
    places = [item["url_citation"] for item in url_citations(sentences, citations)]
    assert [(p["start_index"], p["end_index"]) for p in places] == [(4, 7), (12, 15), (15, 18)]
    assert [p["url"] for p in places] == [
        "/v1/documents/d1#7-12",
        "/v1/documents/d1#20-25",
        "/v1/documents/d1#7-12",
    ]


def test_an_abstention_is_a_normal_message():
    whole = Completion("study-rag").whole(Answer("q", "abstained", message="Not in the corpus."))
    (choice,) = whole["choices"]
    assert choice["message"]["content"] == "Not in the corpus."
    assert choice["message"]["annotations"] == []
    assert choice["finish_reason"] == "stop"
    assert whole["rag"]["status"] == "abstained"
