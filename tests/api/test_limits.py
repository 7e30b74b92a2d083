from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.errors import DeadlineExceeded, Overloaded
from api.limits import Gate

QUESTION = {"question": "How do I correct for position bias?"}
SSE = {"Accept": "text/event-stream"}


def test_body_with_a_length(connect):
    client = connect(max_body_bytes=100)
    answer = client.post("/v1/ask", json={"question": "x" * 100})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "100 bytes" in answer.json()["detail"]
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert client.post("/v1/nowhere", content=b"x" * 101).status_code == 413


def test_body_without_a_length(connect, pipeline):
    client = connect(max_body_bytes=100)

    def pieces():
        for _ in range(50):
            yield b'{"question": "a"'

    answer = client.post("/v1/ask", content=pieces(), headers={"Content-Type": "application/json"})
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:study-rag:body-too-large"
    assert pipeline.calls == []


def test_body_without_a_length_over_a_real_connection(serve):
    _, url = serve(max_body_bytes=1000)

    def pieces():
        for _ in range(5):
            yield b"x" * 400

    answer = httpx.post(
        f"{url}/v1/ask", content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-5", "abc", "1e3", "٣", "9" * 5000])
def test_odd_lengths_are_no_server_error(client, length):
    headers = {"Content-Length": length.encode()}
    answer = client.post("/v1/ask", content=b"{}", headers=headers)
    assert answer.status_code < 500


def test_at_most_so_many_run_so_many_wait_and_the_rest_is_refused(serve, pipeline, until):
    app, url = serve(max_concurrency=2, max_queue=3)
    gate = app.state.service.gate
    pipeline.go_on.clear()
    with ThreadPoolExecutor(8) as threads:

        def ask(headers):
            return httpx.post(f"{url}/v1/ask", json=QUESTION, headers=headers, timeout=20)

        admitted = [threads.submit(ask, {}) for _ in range(3)]
        admitted += [threads.submit(ask, SSE) for _ in range(2)]
        until(lambda: gate.admitted == 5 and gate.running == 2)
        assert gate.depth == 3
        assert "rag_queue_depth 3.0" in httpx.get(f"{url}/metrics").text
        for headers in ({}, SSE):
            refused = ask(headers)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["type"] == "urn:study-rag:overloaded"
        search = httpx.post(f"{url}/v1/search", json=QUESTION)
        assert search.status_code == 429
        assert httpx.get(f"{url}/healthz", timeout=2).status_code == 200
        pipeline.go_on.set()
        assert [answer.result().status_code for answer in admitted] == [200] * 5
    until(lambda: (gate.admitted, gate.running) == (0, 0))
    assert pipeline.most_running == 2


def test_deadline_of_an_answer(connect, pipeline, until):
    client = connect(deadline_s=0.1)
    pipeline.go_on.clear()
    answer = client.post("/v1/ask", json=QUESTION)
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:study-rag:deadline-exceeded"
    gate = client.app.state.service.gate
    assert gate.running == 1
    pipeline.go_on.set()
    until(lambda: gate.admitted == gate.running == 0)


def test_deadline_of_a_stream(connect, pipeline, until):
    client = connect(deadline_s=0.1)
    pipeline.go_on.clear()
    answer = client.post("/v1/ask", json=QUESTION, headers=SSE)
    assert answer.status_code == 200
    assert "event: sentence" in answer.text
    assert answer.text.rstrip().splitlines()[-2] == "event: error"
    assert '"status": 504' in answer.text
    pipeline.go_on.set()
    assert pipeline.stream_closed.wait(10)
    until(lambda: client.app.state.service.gate.admitted == 0)


@pytest.mark.parametrize("headers", [{}, SSE])
def test_deadline_in_the_queue(connect, pipeline, until, headers):
    client = connect(deadline_s=0.1, max_concurrency=1)
    pipeline.go_on.clear()
    client.post("/v1/ask", json=QUESTION)  # its thread keeps the only slot
    answer = client.post("/v1/ask", json=QUESTION, headers=headers)
    assert '"status": 504' in answer.text
    assert "in the queue" in answer.text
    assert len(pipeline.calls) == 1
    pipeline.go_on.set()
    until(lambda: client.app.state.service.gate.admitted == 0)


def test_the_pipeline_gets_the_earlier_deadline(client, pipeline):
    client.post("/v1/ask", json=QUESTION)
    left = pipeline.calls[0][1]["deadline"] - time.monotonic()
    assert 0.8 * 120 < left <= 0.9 * 120


def test_a_place_is_given_back_once():
    async def scenario():
        gate = Gate(1, 0, 5.0)
        ticket = gate.admit()
        with pytest.raises(Overloaded):
            gate.admit()
        ticket.leave()
        ticket.leave()
        assert gate.admitted == 0
        ticket = gate.admit()
        hold = threading.Event()
        future = await ticket.submit(lambda: hold.wait(5))
        ticket.leave()  # the thread has the place now
        assert (gate.admitted, gate.running) == (1, 1)
        hold.set()
        await asyncio.wrap_future(future)
        while gate.running:
            await asyncio.sleep(0.001)
        assert gate.admitted == 0
        gate.close()

    asyncio.run(scenario())


def test_a_waiter_that_is_cancelled_leaves_nothing_behind():
    async def scenario():
        gate = Gate(1, 1, 0.05)
        hold = threading.Event()
        first = gate.admit()
        await first.submit(lambda: hold.wait(5))
        second = gate.admit()
        with pytest.raises(DeadlineExceeded):
            await second.submit(lambda: True)
        second.leave()
        third = gate.admit()
        task = asyncio.create_task(third.submit(lambda: True))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        third.leave()
        hold.set()
        while gate.admitted:
            await asyncio.sleep(0.001)
        assert await asyncio.wrap_future(await gate.admit().submit(lambda: 42)) == 42
        gate.close()

    asyncio.run(scenario())
