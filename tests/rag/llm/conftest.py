"""The back ends under test: a fake endpoint, SmolLM2 in llama.cpp, a tiny random transformer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.errors import ModelMissing
from rag.llm import LLM
from rag.models import ModelStore
from tests.rag.llm.fake_endpoint import WORDS, FakeEndpoint


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct as a GGUF file."""
    try:
        return ModelStore().path("smollm2-135m")
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights, one token a word, saved as safetensors."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = ["<unk>", "</s>", *WORDS, "yes", "no", "user", "assistant", "system"]
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, "<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="<unk>", eos_token="</s>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        eos_token_id=[1],
        bos_token_id=None,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(
    scope="session",
    params=[
        "openai",
        pytest.param("llamacpp", marks=pytest.mark.slow),
        pytest.param("transformers", marks=pytest.mark.slow),
    ],
)
def make_llm(request: pytest.FixtureRequest) -> Callable[[], LLM]:
    """How to make a new model of each back end."""
    if request.param == "openai":
        return lambda: FakeEndpoint().llm()
    if (
        request.param == "llamacpp"
    ):  # one thread: two that wait for each other crawl on a busy machine
        from rag.llm.llamacpp import LlamaCppLLM

        path = request.getfixturevalue("smollm2")
        return lambda: LlamaCppLLM(path, name="smollm2", context_tokens=1024, threads=1)

    from rag.llm.transformers import TransformersLLM

    path = request.getfixturevalue("tiny_model")
    return lambda: TransformersLLM(path, name="tiny", device="cpu")


@pytest.fixture(scope="session")
def llm(make_llm: Callable[[], LLM]) -> Iterator[LLM]:
    """One model of each back end, shared by the tests."""
    model = make_llm()
    yield model
    model.close()
