from __future__ import annotations

import json
import threading

import pytest
from starlette.testclient import TestClient

from api.app import app_from_environment, create_app
from index.errors import IndexMissing
from rag.errors import ModelMissing

QUESTION = {"question": "How do I correct for position bias?"}


def test_readyz_waits_for_the_models_while_healthz_answers(connect, pipeline, until):
    loaded = threading.Event()

    def load():
        loaded.wait(10)
        return pipeline

    client = connect(load, ready=False)
    try:
        waiting = client.get("/readyz")
        assert waiting.status_code == 503
        assert waiting.headers["content-type"] == "application/problem+json"
        assert waiting.headers["retry-after"] == "2"
        assert waiting.json()["waiting_for"] == ["models", "index"]
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.post("/v1/ask", json=QUESTION).status_code == 503
        assert client.get("/v1/documents").status_code == 503
        assert client.get("/metrics").status_code == 200
    finally:
        loaded.set()
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").json() == {"status": "ready", "generation": "000001"}


@pytest.mark.parametrize("error", [IndexMissing("run `rag ingest PATH`"), ModelMissing("run pull")])
def test_readyz_says_why_loading_failed_and_what_to_do(connect, until, error):
    def load():
        raise error

    client = connect(load, ready=False)
    until(lambda: "Loading failed" in client.get("/readyz").json()["detail"])
    answer = client.post("/v1/ask", json=QUESTION)
    assert answer.status_code == 503
    assert str(error) in answer.json()["detail"]


def test_readyz_keeps_the_details_of_a_defect(connect, until, caplog):
    def load():
        raise RuntimeError("secret-path")

    client = connect(load, ready=False)
    until(lambda: "Loading failed" in client.get("/readyz").json()["detail"])
    assert "secret-path" not in client.get("/readyz").text
    assert "secret-path" in caplog.text


def test_the_pipeline_is_closed_at_the_end(make_settings, pipeline, until):
    app = create_app(make_settings(), lambda: pipeline)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        assert not pipeline.closed
    assert pipeline.closed


def test_the_factory_reads_the_environment(make_settings, monkeypatch):
    make_settings()  # clears the environment
    assert "/v1/ingest" not in app_from_environment().openapi()["paths"]
    monkeypatch.setenv("RAG_INGEST_TOKEN", "secret")
    assert "/v1/ingest" in app_from_environment().openapi()["paths"]


def test_unknown_hosts_are_refused(client):
    answer = client.get("/healthz", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:study-rag:unknown-host"
    for host in ("127.0.0.1:8000", "localhost", "[::1]:8000", "LOCALHOST:1"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_hosts_can_be_allowed(connect):
    client = connect(allowed_hosts=("127.0.0.1", "rag.example"))
    assert client.get("/healthz", headers={"Host": "rag.example"}).status_code == 200


def test_headers(client):
    answer = client.get("/healthz", headers={"Origin": "https://evil.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in answer.headers
    docs = client.get("/docs")
    assert docs.status_code == 200
    assert "script-src" in docs.headers["content-security-policy"]


def test_openapi_is_whole(client):
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.")
    assert set(schema["paths"]) == {
        "/v1/ask",
        "/v1/conversations/{conversation_id}",
        "/v1/search",
        "/v1/documents",
        "/v1/documents/{document_id}",
        "/v1/models",
        "/v1/chat/completions",
        "/v1/practice/bank",
        "/v1/practice/reviews/due",
        "/v1/practice/sessions",
        "/v1/practice/sessions/{session_id}",
        "/v1/practice/sessions/{session_id}/ask",
        "/v1/practice/sessions/{session_id}/end",
        "/v1/practice/sessions/{session_id}/events",
        "/v1/practice/sessions/{session_id}/next",
        "/v1/practice/sessions/{session_id}/report",
        "/v1/practice/sessions/{session_id}/turns",
        "/v1/practice/sessions/{session_id}/turns/{n}/override",
        "/v1/practice/sessions/{session_id}/turns/{n}/{move}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    components = schema["components"]["schemas"]
    for reference in _values(schema, "$ref"):
        assert reference.removeprefix("#/components/schemas/") in components
    operations = [o for path in schema["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(operations)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"]
    for path in ("/v1/ask", "/v1/search"):
        operation = schema["paths"][path]["post"]
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        assert "position bias" in json.dumps(examples)
        content = operation["responses"]["200"]["content"]["application/json"]
        assert "position-bias.md" in json.dumps(content["example"])
        assert "$ref" in content["schema"]


def test_the_examples_of_requests_work(client):
    schema = client.get("/openapi.json").json()
    for path in ("/v1/ask", "/v1/search", "/v1/chat/completions"):
        body = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            assert client.post(path, json=example["value"]).status_code == 200, example


def _values(node, key):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from _values(item, key)
