from __future__ import annotations

import json
import threading

import pytest

from api import schemas
from tests.conftest import FakeLLM

QUESTION = "How do I correct for position bias?"
FOLLOW_UP = "and what does it cost?"
MERGED = "correct position bias: what does it cost?"
SSE = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def without_llm(pipeline):
    pipeline.llm = None


def ask(client, question, conversation="c-1", **more):
    return client.post(
        "/v1/ask", json={"question": question, "conversation_id": conversation} | more
    )


def test_a_follow_up_reaches_the_pipeline_condensed(client, pipeline):
    first = ask(client, QUESTION).json()
    assert (first["question"], first["condensed"]) == (QUESTION, None)
    second = ask(client, FOLLOW_UP).json()
    assert (second["question"], second["condensed"]) == (FOLLOW_UP, MERGED)
    assert [question for question, _ in pipeline.calls] == [QUESTION, MERGED]
    assert schemas.AskResponse(**second).model_dump() == second


def test_the_llm_rewrites_only_in_its_mode(client, pipeline):
    pipeline.llm = FakeLLM("What does correcting for position bias cost?")
    ask(client, QUESTION)
    assert ask(client, FOLLOW_UP, mode="extractive").json()["condensed"] == MERGED
    assert ask(client, FOLLOW_UP).json()["condensed"] == pipeline.llm.reply


def test_without_an_id_nothing_is_kept(client, pipeline):
    client.post("/v1/ask", json={"question": QUESTION})
    answer = client.post("/v1/ask", json={"question": FOLLOW_UP}).json()
    assert "conversation_id" not in answer
    assert answer["condensed"] is None
    assert pipeline.calls[1][0] == FOLLOW_UP


def test_the_stream_says_first_what_is_asked(client):
    ask(client, QUESTION)
    body = {"question": FOLLOW_UP, "conversation_id": "c-1"}
    blocks = client.post("/v1/ask", json=body, headers=SSE).text.strip().split("\n\n")
    events = [block.split("\n") for block in blocks]
    assert [name for name, _ in events] == [
        "event: condensed", "event: sources", "event: extract", "event: sentence",
        "event: sentence", "event: done",
    ]  # fmt: skip
    data = [json.loads(line.removeprefix("data: ")) for _, line in events]
    assert data[0] == {"question": FOLLOW_UP, "condensed": MERGED, "by": "merge"}
    assert data[2]["question"] == FOLLOW_UP
    assert (data[5]["condensed"], data[5]["conversation_id"]) == (MERGED, "c-1")


def test_read_and_delete(client):
    ask(client, QUESTION)
    ask(client, FOLLOW_UP)
    body = client.get("/v1/conversations/c-1").json()
    schemas.Conversation(**body)
    assert [(turn["number"], turn["condensed"]) for turn in body["turns"]] == [
        (1, None), (2, MERGED),
    ]  # fmt: skip
    assert body["turns"][0]["answer"]["status"] == "answered"
    assert client.delete("/v1/conversations/c-1").status_code == 204
    for gone in (client.get("/v1/conversations/c-1"), client.delete("/v1/conversations/c-1")):
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "application/problem+json"
    assert ask(client, FOLLOW_UP).json()["condensed"] is None


def test_the_example_is_as_described():
    schemas.Conversation(**schemas.EXAMPLE_CONVERSATION)


@pytest.mark.parametrize("name", ["", "a b", "../../etc", "é", "x" * 65, "a\n"])
def test_ids_that_are_none(client, name):
    assert ask(client, QUESTION, name).status_code == 422


def test_paths_that_are_no_ids(client):
    assert client.get("/v1/conversations/a%20b").status_code == 422


def test_a_failed_answer_leaves_its_question(client, pipeline):
    pipeline.error = RuntimeError("secret")
    assert ask(client, QUESTION).status_code == 500
    pipeline.error = None
    assert ask(client, FOLLOW_UP).json()["condensed"] == MERGED
    turns = client.get("/v1/conversations/c-1").json()["turns"]
    assert [turn["answer"] is None for turn in turns] == [True, False]


def test_a_store_that_cannot_be_used_is_a_problem(client, make_settings):
    path = make_settings().data_dir / "chat.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database" * 100)
    answer = ask(client, QUESTION)
    assert answer.status_code == 503
    assert "move the file away" in answer.json()["detail"]


def test_two_clients_at_once(client):
    threads = [threading.Thread(target=ask, args=(client, f"What is CUPED {n}?")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = client.get("/v1/conversations/c-1").json()["turns"]
    assert [turn["number"] for turn in turns] == list(range(1, 7))
    assert all(turn["answer"]["question"] == turn["question"] for turn in turns)
