from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from rag.errors import LLMError
from rag.llm import Message
from rag.llm.transformers import TransformersLLM

pytestmark = pytest.mark.slow  # the import of torch and transformers alone takes seconds

CHAT = [Message("user", "the fox runs over a hill")]


def test_a_name_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(LLMError, match="check the name or folder"):
        TransformersLLM(tmp_path, name="none")


def test_a_model_without_a_chat_template(tiny_model: Path, tmp_path: Path):
    for file in tiny_model.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(LLMError, match="instruction-tuned"):
        TransformersLLM(tmp_path, name="base", device="cpu")


def test_an_unknown_device(tiny_model: Path):
    with pytest.raises(LLMError, match="cannot load"):
        TransformersLLM(tiny_model, name="tiny", device="abacus")


def test_yes_probability_is_known(tiny_model: Path):
    llm = TransformersLLM(tiny_model, name="tiny", device="cpu")
    probability = llm.yes_probability(CHAT)
    assert probability is not None
    assert 0.0 < probability < 1.0


def test_close_ends_a_stream_with_an_error(tiny_model: Path):
    llm = TransformersLLM(tiny_model, name="tiny", device="cpu")
    stream = llm.stream(CHAT, max_tokens=900)
    next(stream)
    closer = threading.Thread(target=llm.close)
    closer.start()
    with pytest.raises(LLMError, match="closed"):
        list(stream)
    closer.join()


def test_a_gguf_file(smollm2: Path):
    if find_spec("gguf") is None or find_spec("accelerate") is None:
        with pytest.raises(LLMError, match="pip install"):
            TransformersLLM(smollm2, name="smollm2")
        return
    llm = TransformersLLM(smollm2, name="smollm2", device="cpu")
    assert llm.complete([Message("user", "Say hello.")], max_tokens=4)
    llm.close()
