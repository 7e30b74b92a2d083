from __future__ import annotations

import pytest

from index.hits import Filters


def test_search(client, pipeline):
    body = {"question": "position bias", "k": 3, "stage": "late", "filters": {"tags": ["ads"]}}
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["query"] == "position bias"
    (hit,) = found["hits"]
    assert (hit["rank"], hit["doc"], hit["line_start"]) == (1, "bias.md", 3)
    document = client.get(f"/v1/documents/{hit['doc_id']}").json()
    assert document["text"][hit["start"] : hit["end"]] == hit["text"]
    expected = {"k": 3, "stage": "late", "filters": Filters(tags=("ads",))}
    assert pipeline.calls == [("position bias", expected)]


def test_defaults(client, pipeline):
    client.post("/v1/search", json={"question": "a"})
    assert pipeline.calls == [("a", {"k": 10, "stage": "reranked", "filters": Filters()})]


@pytest.mark.parametrize(
    "part", [{"k": 0}, {"k": 101}, {"k": "5"}, {"k": 2.5}, {"stage": "magic"}, {"query": "a"}]
)
def test_unusable_requests(client, part):
    answer = client.post("/v1/search", json={"question": "a"} | part)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", *part]


def test_a_long_question_is_refused(connect):
    client = connect(max_question_chars=5)
    assert client.post("/v1/search", json={"question": "12345"}).status_code == 200
    answer = client.post("/v1/search", json={"question": "123456"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The question has 6 characters; at most 5."
