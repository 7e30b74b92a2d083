from __future__ import annotations

import pytest

from api import schemas


def test_answers_are_as_described(client):
    answer = client.post("/v1/ask", json={"question": "a", "conversation_id": "c"}).json()
    assert schemas.AskResponse(**answer).model_dump() == answer
    assert set(answer) == set(schemas.AskResponse.model_fields)


def test_searches_are_as_described(client):
    found = client.post("/v1/search", json={"question": "a"}).json()
    assert schemas.SearchResponse(**found).model_dump() == found


def test_documents_are_as_described(client):
    (line,) = client.get("/v1/documents").json()
    assert schemas.DocumentLine(**line).model_dump() == line
    document = client.get(f"/v1/documents/{line['id']}").json()
    assert schemas.DocumentText(**document).model_dump() == document


def test_problems_are_as_described(client):
    for problem in (client.post("/v1/ask", json={}).json(), client.get("/v1/nowhere").json()):
        described = schemas.ProblemBody(**problem).model_dump(exclude_none=True)
        assert described == problem


def test_examples_are_as_described():
    schemas.AskResponse(**schemas.EXAMPLE_ANSWER)
    schemas.SearchResponse(**schemas.EXAMPLE_SEARCH)
    schemas.DocumentLine(**schemas.EXAMPLE_DOCUMENT)


@pytest.mark.parametrize(
    ("text", "clean"), [(" a ", "a"), ("a\nb", "a\nb"), ("\x1fa", "a"), ("é 日本", "é 日本")]
)
def test_clean_question(text, clean):
    assert schemas.clean_question(text) == clean
