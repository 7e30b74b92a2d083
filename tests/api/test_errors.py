from __future__ import annotations

import re

import pytest

from index.errors import IndexCorrupt
from rag.errors import LLMError

QUESTION = {"question": "How do I correct for position bias?"}


def test_unknown_paths_and_methods_are_problems(client):
    answer = client.get("/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    request_id = body.pop("request_id")
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    assert answer.headers["x-request-id"] == request_id
    assert body == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        "instance": "/v1/nowhere",
    }
    wrong = client.get("/v1/ask")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["title"] == "Method Not Allowed"


def test_a_sane_request_id_is_kept(client):
    for path in ("/healthz", "/v1/nowhere"):
        answer = client.get(path, headers={"X-Request-ID": "abc-1.2_3"})
        assert answer.headers["x-request-id"] == "abc-1.2_3"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\n", "<script>", "é"])
def test_another_one_is_replaced(client, name):
    answer = client.get("/healthz", headers={"X-Request-ID": name.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_validation_errors_name_the_place_and_do_not_repeat_the_input(client):
    answer = client.post("/v1/ask", json={"question": 7, "secret-input": "s3cr3t"})
    body = answer.json()
    assert answer.status_code == 422
    assert body["detail"] == "body.question: Input should be a valid string"
    assert [item["loc"] for item in body["errors"]] == [
        ["body", "question"],
        ["body", "secret-input"],
    ]
    assert "s3cr3t" not in answer.text


def test_a_defect_keeps_its_details_in_the_log(client, pipeline, caplog):
    pipeline.error = ZeroDivisionError("secret")
    answer = client.post("/v1/ask", json=QUESTION, headers={"X-Request-ID": "my-request"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:study-rag:internal"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-request"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    assert "my-request" in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.parametrize("error", [LLMError("start it"), IndexCorrupt("run `rag ingest PATH`")])
def test_errors_that_say_what_to_do_are_shown(client, pipeline, error):
    pipeline.error = error
    answer = client.post("/v1/search", json=QUESTION)
    assert answer.status_code == 503
    assert answer.json()["detail"] == str(error)
    assert answer.json()["type"] == "urn:study-rag:unavailable"


def test_openai_clients_find_their_form_of_an_error(client):
    answer = client.post("/v1/chat/completions", json={"model": "gpt", "messages": []})
    body = answer.json()
    assert body["error"]["message"] == body["detail"]
    assert "error" not in client.get("/v1/nowhere").json()
