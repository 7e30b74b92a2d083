"""A GGUF model run by llama.cpp inside this process.

xllamacpp starts llama.cpp's own server on a thread, and a second one where states are read; they
are spoken to over loopback, with a random key, by the client of any OpenAI-compatible endpoint.
Generation streams and is cancelled by closing the connection, which no callback into Python allows
before the first token.
"""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
from numpy.typing import NDArray

from rag.errors import LLMError
from rag.llm import OutputFormat
from rag.llm.openai import OpenAILLM

_SECONDS_TO_FIRST_TOKEN = 600.0  # a long prompt on a slow machine, behind others in the queue
_PROMPT_CACHE_MIB = 256  # about 9,000 tokens of the 1.5B model; llama.cpp's default is 8 GiB
_STATE_TOKENS = 2048  # of a question and a sentence of the passages
_TOKENS_A_STEP = 256  # a closed request is noticed between steps: 3.5 s on two cores


class LlamaCppLLM(OpenAILLM):
    """A chat model from one GGUF file; decoding follows the GBNF of an OutputFormat.

    `slots` requests run at once, each with `context_tokens`; more wait for their turn.
    """

    output_form: Literal["lines", "json"] = "lines"

    def __init__(
        self,
        model_path: Path,
        *,
        name: str,
        context_tokens: int = 4096,
        threads: int | None = None,
        slots: int = 1,
    ) -> None:
        if not model_path.is_file():
            raise LLMError(f"there is no model file {model_path}; run `rag models pull`")
        self._model_path, self._threads = model_path, threads or _cores()
        self._key = secrets.token_urlsafe(32)
        self._server = self._start(context_tokens, slots)
        self._states: Any = None
        self._starting = threading.Lock()
        super().__init__(
            f"{self._server.listening_address}/v1",
            model=name,
            api_key=self._key,
            timeout=_SECONDS_TO_FIRST_TOKEN,
        )

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in `text`, by the model's own tokenizer (1.5 ms)."""
        self._check_open()
        try:
            response = self._client.post(
                self._client.base_url.join("/tokenize"),
                json={"content": text, "parse_special": False},
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise LLMError(f"the LLM {self.name} cannot count tokens: {error}") from error
        return len(response.json()["tokens"])

    def last_state(self, text: str) -> NDArray[np.float32]:
        """Return the last layer's state after the last token of `text`, (width,).

        `text` is read as it is, control tokens as such. A server that embeds writes nothing, so
        that this one is a second; it maps the same file and shares its memory.
        """
        self._check_open()
        with self._starting:
            self._check_open()
            if self._states is None:
                self._states = self._start(_STATE_TOKENS, 1, states=True)
            server = self._states
        try:
            response = self._client.post(
                f"{server.listening_address}/v1/embeddings", json={"input": text}
            )
            response.raise_for_status()
            return np.asarray(response.json()["data"][0]["embedding"], dtype=np.float32)
        # RuntimeError: closed meanwhile.
        except (httpx.HTTPError, RuntimeError, ValueError, LookupError, TypeError) as error:
            raise LLMError(f"the LLM {self.name} shows no state: {error}") from error

    def close(self) -> None:
        """Stop every generation and free the model; further calls raise LLMError."""
        super().close()  # first: an open stream would hold up the server's end
        with self._starting:
            self._server = self._states = None

    def _constraint(self, output_format: OutputFormat) -> dict[str, Any]:
        return {"grammar": output_format.gbnf}

    def _start(self, context_tokens: int, slots: int, *, states: bool = False) -> Any:
        try:
            from xllamacpp import CommonParams, Server, llama_load_mode, llama_pooling_type
        except ImportError as error:
            raise LLMError("llama.cpp is not installed; run `pip install xllamacpp`") from error

        params = CommonParams()
        params.model.path = str(self._model_path)
        params.load_mode = llama_load_mode.LLAMA_LOAD_MODE_MMAP
        params.n_ctx = context_tokens * slots
        params.n_parallel = slots
        params.n_batch = params.n_ubatch = _TOKENS_A_STEP
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        # Repacked weights write 15% faster, but read the prompt 6% slower and take 0.6 GB more.
        params.no_extra_bufts = True
        params.cache_ram_mib = _PROMPT_CACHE_MIB
        params.verbosity = 0  # above 0 it writes to stdout and stderr
        params.hostnames = ["127.0.0.1"]
        params.api_keys = [self._key]
        params.cors_origins = ""
        params.ui = params.endpoint_slots = False
        if states:
            params.embedding = True
            params.pooling_type = llama_pooling_type.LLAMA_POOLING_TYPE_LAST
            params.embd_normalize = -1  # as it is
        try:
            return Server(params)
        except RuntimeError as error:
            raise LLMError(
                f"llama.cpp cannot load {self._model_path}; check that it is a whole GGUF file"
                " (`rag models list`) and that memory is free"
            ) from error


def _cores() -> int:
    """Return the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
