from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from index.hits import Filters

QUESTION = "How do I correct for position bias?"
SSE = {"Accept": "text/event-stream"}


def read_events(text: str) -> list[tuple[str, dict]]:
    """Parse a finished stream; comments are dropped."""
    events = []
    for block in text.strip().split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            name, data = lines
            events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def test_json_answer(client, pipeline):
    answer = client.post("/v1/ask", json={"question": f"  {QUESTION} "})
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "answered"
    assert body["text"] == (
        "Top results get clicks because users trust them. [1] "
        "Weight clicks by inverse propensity. [2][1]"
    )
    assert [citation["id"] for citation in body["citations"]] == ["c1", "c2"]
    assert "conversation_id" not in body
    question, arguments = pipeline.calls[0]
    assert question == QUESTION
    assert arguments["mode"] == "llm"
    assert arguments["filters"] == Filters()


def test_quotes_are_at_their_offsets_in_the_served_document(client):
    for citation in client.post("/v1/ask", json={"question": QUESTION}).json()["citations"]:
        document = client.get(f"/v1/documents/{citation['doc_id']}").json()
        assert document["text"][citation["start"] : citation["end"]] == citation["quote"]


def test_what_is_asked_reaches_the_pipeline(client, pipeline):
    body = {
        "question": QUESTION,
        "mode": "extractive",
        "conversation_id": "c-7",
        "filters": {"documents": ["bias.md"], "kinds": ["table"], "tags": ["ads"]},
    }
    answer = client.post("/v1/ask", json=body)
    assert answer.json()["conversation_id"] == "c-7"
    _, arguments = pipeline.calls[0]
    assert arguments["mode"] == "extractive"
    assert arguments["filters"] == Filters(("bias.md",), (), ("table",), ("ads",))


def test_abstaining_is_an_answer(client, pipeline):
    pipeline.abstains = True
    answer = client.post("/v1/ask", json={"question": "Who is the mayor?"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "abstained"
    assert answer.json()["text"] == "The corpus does not say."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": ""},
        {"question": "  \n"},
        {"question": "a\0b"},
        {"question": 7},
        {"question": QUESTION, "mode": "magic"},
        {"question": QUESTION, "Mode": "llm"},
        {"question": QUESTION, "filters": {"document": ["a"]}},
        {"question": QUESTION, "filters": {"kinds": ["poem"]}},
        {"question": QUESTION, "filters": {"tags": ["a"] * 51}},
        {"question": QUESTION, "conversation_id": "x" * 201},
        {"question": "x" * 2001},
        [],
        "text",
        None,
    ],
)
def test_unusable_requests(client, body):
    answer = client.post("/v1/ask", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "The request cannot be used"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"question": "\\ud800"}',
        b'{"\\ud800": 1, "question": "a"}',
        b'{"question": "a", "conversation_id": "\\ud800"}',
        b'{"question": "a", "filters": {"tags": ["\\ud800"]}}',
        b'{"question": NaN}',
        b'{"question": ' + b"[" * 100_000,
        b'{"question": ' + b"9" * 5_000 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["/v1/ask", "/v1/search", "/v1/chat/completions"])
def test_unusable_bodies(client, path, content):
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_of_another_site_cannot_ask(client):
    body = json.dumps({"question": QUESTION})
    answer = client.post("/v1/ask", content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    question=st.text(st.characters(), min_size=0, max_size=60)
    | st.text(st.characters(categories=["Cs", "Cc", "Cf"]), max_size=20)
)
@example("\ud800")
@example("\0")
@example("\u2028{}\r\n\r\nevent: done")
def test_no_question_breaks_the_service(client, question):
    body = json.dumps({"question": question})
    for headers in ({}, SSE):
        answer = client.post(
            "/v1/ask", content=body, headers={"Content-Type": "application/json"} | headers
        )
        assert answer.status_code in {200, 422}
    if answer.status_code == 200:
        events = read_events(answer.text)
        assert [name for name, _ in events][-1] == "done"
        assert events[-1][1]["question"] == json.loads(body)["question"].strip()


def test_events(client):
    answer = client.post(
        "/v1/ask", json={"question": QUESTION, "conversation_id": "c-7"}, headers=SSE
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    events = read_events(answer.text)
    assert [name for name, _ in events] == ["sources", "extract", "sentence", "sentence", "done"]
    data = [item for _, item in events]
    assert set(data[0]) == {"hits", "timings_ms", "generation"}
    assert data[0]["hits"][0]["doc"] == "bias.md"
    assert data[1]["model"] == "extractive"
    assert data[2] == {
        "text": "Top results get clicks because users trust them.",
        "citations": ["c1"],
        "new_citations": [data[4]["citations"][0]],
    }
    assert data[3]["citations"] == ["c2", "c1"]
    assert [citation["id"] for citation in data[3]["new_citations"]] == ["c2"]
    assert data[4].pop("conversation_id") == "c-7"
    assert data[4] == client.post("/v1/ask", json={"question": QUESTION}).json()


def test_a_failure_in_the_stream_is_an_error_event(client, pipeline, caplog):
    pipeline.error = RuntimeError("secret")
    answer = client.post("/v1/ask", json={"question": QUESTION}, headers=SSE)
    (event,) = read_events(answer.text)
    assert event[0] == "error"
    assert event[1]["status"] == 500
    assert event[1]["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_heartbeat(serve, pipeline):
    _, url = serve(heartbeat_s=0.05)
    pipeline.go_on.clear()
    beats = 0
    with httpx.stream("POST", f"{url}/v1/ask", json={"question": QUESTION}, headers=SSE) as answer:
        for line in answer.iter_lines():
            if line.startswith(":"):
                beats += 1
                if beats == 3:
                    pipeline.go_on.set()
    assert beats >= 3


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/chat/completions"])
def test_a_client_that_leaves_stops_the_generation_and_frees_the_slot(serve, pipeline, until, path):
    app, url = serve(max_concurrency=1, max_queue=0)
    gate = app.state.service.gate
    body = {"question": QUESTION}
    if path != "/v1/ask":
        body = {"model": "study-rag", "stream": True}
        body["messages"] = [{"role": "user", "content": QUESTION}]
    pipeline.go_on.clear()
    with httpx.stream("POST", f"{url}{path}", json=body, headers=SSE) as answer:
        for line in answer.iter_lines():
            if "Top results" in line and "extractive" not in line:
                break
        assert gate.running == 1
    until(lambda: 'outcome="cancelled"' in httpx.get(f"{url}/metrics").text)
    assert gate.running == 1  # its thread still waits for the language model
    assert not pipeline.stream_closed.is_set()
    pipeline.go_on.set()
    assert pipeline.stream_closed.wait(10)
    until(lambda: (gate.running, gate.admitted) == (0, 0))
    again = httpx.post(f"{url}/v1/ask", json={"question": QUESTION})
    assert again.status_code == 200
