from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.metrics import OpenLabel

QUESTION = "How do I correct for position bias?"


def value(client, line: str) -> float:
    """Return the sample with this name and these labels."""
    for sample in client.get("/metrics").text.splitlines():
        if sample.startswith(f"{line} "):
            return float(sample.rsplit(" ", 1)[1])
    raise AssertionError(f"{line} is not in the metrics")


def test_an_answer_is_recorded(client):
    client.post("/v1/ask", json={"question": QUESTION})
    client.post("/v1/ask", json={"question": QUESTION}, headers={"Accept": "text/event-stream"})
    assert value(client, 'rag_requests_total{endpoint="/v1/ask",outcome="answered"}') == 2
    assert value(client, 'rag_citations_total{result="valid"}') == 4
    assert value(client, 'rag_citations_total{result="not_in_the_passage"}') == 2
    assert value(client, 'rag_degraded_total{component="reranker"}') == 2
    assert value(client, 'rag_stage_duration_seconds_count{stage="llm"}') == 2
    assert value(client, 'rag_stage_duration_seconds_sum{stage="llm"}') == 4.0
    assert value(client, 'rag_stage_duration_seconds_bucket{le="1.0",stage="rerank"}') == 2
    assert value(client, "rag_queue_depth") == 0
    assert value(client, 'rag_index_info{generation="000001"}') == 1


def test_outcomes(client, pipeline):
    client.post("/v1/search", json={"question": QUESTION})
    client.post("/v1/search", json={})
    pipeline.error = RuntimeError()
    client.post("/v1/search", json={"question": QUESTION})
    for outcome in ("ok", "rejected", "error"):
        line = f'rag_requests_total{{endpoint="/v1/search",outcome="{outcome}"}}'
        assert value(client, line) == 1


def test_labels_are_bounded_and_hold_nothing_private(client):
    for number in range(30):
        client.get(f"/v1/documents/secret{number}")
        client.get(f"/secret{number}")
        client.post("/v1/ask", json={"question": f"secret {number}"})
    text = client.get("/metrics").text
    assert "secret" not in text
    assert "bias.md" not in text
    assert 'endpoint="/v1/documents/{document_id}",outcome="rejected"} 30.0' in text
    assert 'endpoint="unmatched",outcome="rejected"} 30.0' in text


def test_each_application_counts_for_itself(connect):
    one, other = connect(), connect()
    one.post("/v1/ask", json={"question": QUESTION})
    assert 'outcome="answered"' in one.get("/metrics").text
    assert 'outcome="answered"' not in other.get("/metrics").text


def test_classes_of_reasons():
    label = OpenLabel()
    assert label.value("not in the passage: 0.81, 9 ms") == "not_in_the_passage"
    assert label.value("unknown label [7]") == "unknown_label"
    assert label.value("no citation, and no passage states it") == "no_citation"
    assert label.value("") == label.value("42") == "other"


@given(st.lists(st.text(), max_size=200))
def test_an_open_label_stays_small(texts):
    label = OpenLabel()
    values = {label.value(text) for text in texts}
    assert len(values) <= 25
    assert all(len(value) <= 48 and value.replace("_", "").isalnum() for value in values)
