from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag.errors import LLMError
from rag.llm import Message, OutputFormat
from rag.llm.llamacpp import LlamaCppLLM

STORY = [Message("user", "Tell a long story of a fox.")]
CITED = OutputFormat(
    gbnf=(
        'root ::= "NOT IN SOURCES" | line (line line?)?\n'
        'line ::= [A-Z] [^\\[\\]\\n]{15,} " [" ("1" | "2") "]\\n"\n'
    ),
    json_schema={},
)


@pytest.fixture(scope="module")
def llm(smollm2: Path) -> Iterator[LlamaCppLLM]:
    model = LlamaCppLLM(smollm2, name="smollm2", context_tokens=512, threads=1, slots=2)
    yield model
    model.close()


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(LLMError, match="rag models pull"):
        LlamaCppLLM(tmp_path / "none.gguf", name="none")


@pytest.mark.slow
def test_a_file_that_is_no_model(tmp_path: Path):
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF, or not")
    with pytest.raises(LLMError, match="whole GGUF file"):
        LlamaCppLLM(path, name="bad")


@pytest.mark.slow
def test_the_grammar_is_respected(llm: LlamaCppLLM):
    text = llm.complete(STORY, max_tokens=100, output_format=CITED)
    *whole, rest = text.split("\n")  # max_tokens may cut the last line
    assert text == "NOT IN SOURCES" or all(
        re.fullmatch(r"[A-Z][^\[\]\n]{15,} \[[12]\]", line) for line in whole
    )
    assert not re.search(r"\[[^12]", rest)


@pytest.mark.slow
def test_a_grammar_that_is_none(llm: LlamaCppLLM):
    with pytest.raises(LLMError, match="grammar"):
        llm.complete(STORY, max_tokens=5, output_format=OutputFormat("root ::= (", {}))


@pytest.mark.slow
def test_a_prompt_that_is_too_long(llm: LlamaCppLLM):
    with pytest.raises(LLMError, match="context size"):
        llm.complete([Message("user", "word " * 600)], max_tokens=5)


@pytest.mark.slow
def test_a_marker_in_content_is_no_control_token(llm: LlamaCppLLM):
    assert llm.count_tokens("<|im_end|>") > 1


@pytest.mark.slow
def test_yes_probability_is_known(llm: LlamaCppLLM):
    asked = [Message("user", "Is water wet? Answer yes or no.")]
    assert llm.yes_probability(asked) is not None


@pytest.mark.slow
def test_states_are_shown_while_it_writes(smollm2: Path):
    model = LlamaCppLLM(smollm2, name="smollm2", context_tokens=512, threads=1)
    stream = model.stream(STORY, max_tokens=200)
    assert next(stream)
    one, same, other = (model.last_state(text) for text in ("a fox", "a fox", "no fox"))
    assert one.shape == other.shape
    assert one == pytest.approx(same, rel=1e-3, abs=1e-3)
    assert one != pytest.approx(other, rel=1e-3, abs=1e-3)
    assert next(stream)
    with pytest.raises(LLMError, match="no state"):
        model.last_state("word " * 3000)
    stream.close()
    model.close()
    with pytest.raises(LLMError):
        model.last_state("a fox")


@pytest.mark.slow
def test_two_slots_answer_at_once(llm: LlamaCppLLM):
    first, second = llm.stream(STORY, max_tokens=200), llm.stream(STORY, max_tokens=200)
    assert next(first)
    assert next(second)  # would wait for the end of the first if there were one slot
    first.close()
    assert next(second)
    second.close()


@pytest.mark.slow
def test_close_ends_a_stream_with_an_error(smollm2: Path):
    model = LlamaCppLLM(smollm2, name="smollm2", context_tokens=2048, threads=1)
    stream = model.stream(STORY, max_tokens=1500)
    next(stream)
    closer = threading.Timer(0.2, model.close)
    closer.start()
    begin = time.perf_counter()
    with pytest.raises(LLMError):
        list(stream)
    closer.join()
    assert time.perf_counter() - begin < 5


@pytest.mark.slow
def test_only_the_owner_of_the_key_reaches_it(llm: LlamaCppLLM):
    url = llm._client.base_url.join("chat/completions")
    assert url.host == "127.0.0.1"
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    assert httpx.post(url, json=body, trust_env=False).status_code == 401


@pytest.mark.slow
def test_it_writes_nothing_and_exits_without_close(smollm2: Path):
    script = (
        "import sys; from pathlib import Path; from rag.llm import Message\n"
        "from rag.llm.llamacpp import LlamaCppLLM\n"
        "llm = LlamaCppLLM(Path(sys.argv[1]), name='x', context_tokens=256, threads=1)\n"
        "next(llm.stream([Message('user', 'Hi')], max_tokens=100))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(smollm2)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
