"""The chat endpoint as the official client sees it, over a real connection."""

from __future__ import annotations

import openai
import pytest

QUESTION = "How do I correct for position bias?"
MESSAGES = [{"role": "user", "content": QUESTION}]
TEXT = (
    "Top results get clicks because users trust them. [1] "
    "Weight clicks by inverse propensity. [2][1]"
)


@pytest.fixture
def chat(serve):
    _, url = serve(heartbeat_s=0.02)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def check_annotations(text: str, annotations) -> None:
    places = [item["url_citation"] for item in annotations]
    markers = [text[place["start_index"] : place["end_index"]] for place in places]
    assert markers == ["[1]", "[2]", "[1]"]
    assert places[0]["title"] == "Position bias"
    assert places[0]["url"].startswith("/v1/documents/9b2f4c51d07ae836#17-")


def test_models(chat):
    assert [model.id for model in chat.models.list()] == ["study-rag", "study-rag-extractive"]


def test_completion(chat, pipeline):
    completion = chat.chat.completions.create(
        model="study-rag", messages=MESSAGES, temperature=0.3, max_tokens=50, user="u"
    )
    (choice,) = completion.choices
    assert choice.message.content == TEXT
    assert choice.finish_reason == "stop"
    check_annotations(TEXT, [item.model_dump() for item in choice.message.annotations])
    assert completion.rag["status"] == "answered"
    assert completion.rag["citations"][0]["quote"].startswith("Clicks at the top")
    assert completion.usage.total_tokens == 0
    assert pipeline.calls[0][1]["mode"] == "llm"


def test_stream(chat):
    chunks = list(
        chat.chat.completions.create(
            model="study-rag",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *with_text, last, usage = chunks
    assert with_text[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content for chunk in with_text) == TEXT
    assert len(with_text) == 3  # the role and two sentences, as they were written
    assert last.choices[0].finish_reason == "stop"
    check_annotations(TEXT, last.choices[0].delta.annotations)
    assert last.rag["text"] == TEXT
    assert usage.choices == []
    assert usage.usage.total_tokens == 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_with_heartbeats(chat, pipeline):
    pipeline.go_on.clear()
    texts = []
    stream = chat.chat.completions.create(model="study-rag", messages=MESSAGES, stream=True)
    for chunk in stream:
        texts.append(chunk.choices[0].delta.content or "")
        pipeline.go_on.wait(0.1)
        pipeline.go_on.set()
    assert "".join(texts) == TEXT


def test_quotes_only(chat, pipeline):
    for stream in (False, True):
        answer = chat.chat.completions.create(
            model="study-rag-extractive", messages=MESSAGES, stream=stream
        )
        if stream:
            chunks = list(answer)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
            check_annotations(TEXT, chunks[-1].choices[0].delta.annotations)
        assert pipeline.calls[-1][1]["mode"] == "extractive"


def test_abstention(chat, pipeline):
    pipeline.abstains = True
    answer = chat.chat.completions.create(model="study-rag", messages=MESSAGES)
    assert answer.choices[0].message.content == "The corpus does not say."
    chunks = list(chat.chat.completions.create(model="study-rag", messages=MESSAGES, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "The corpus does not say."
    assert chunks[-1].rag["status"] == "abstained"


def test_errors(chat, pipeline):
    with pytest.raises(openai.NotFoundError, match="only study-rag and study-rag-extractive"):
        chat.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(openai.UnprocessableEntityError):
        chat.chat.completions.create(model="study-rag", messages=MESSAGES, n=2)
    pipeline.error = RuntimeError("secret")
    with pytest.raises(openai.InternalServerError) as failed:
        chat.chat.completions.create(model="study-rag", messages=MESSAGES)
    assert "secret" not in str(failed.value)
    assert failed.value.request_id == failed.value.response.json()["request_id"]
    with pytest.raises(openai.APIError, match="its log has the reason"):
        list(chat.chat.completions.create(model="study-rag", messages=MESSAGES, stream=True))


def test_a_full_queue_is_a_rate_limit(serve, pipeline, until):
    app, url = serve(max_concurrency=1, max_queue=0)
    pipeline.go_on.clear()
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model="study-rag", messages=MESSAGES, stream=True)
        next(iter(stream))
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="study-rag", messages=MESSAGES)
        pipeline.go_on.set()
        list(stream)
    until(lambda: app.state.service.gate.admitted == 0)
