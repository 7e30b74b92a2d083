"""A causal language model run by transformers: for GPUs and for safetensors models.

Decoding is greedy and cannot be constrained here: an OutputFormat is only a wish, so that callers
depend on their validation. No code from a model repository is ever run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag.errors import LLMError
from rag.llm import Message, OutputFormat
from rag.llm.chat import chat_dicts, yes_share

if TYPE_CHECKING:
    import torch

_WORDS = ("yes", "Yes", "YES", "no", "No", "NO")
_ANSWERS = (*_WORDS, *(f" {word}" for word in _WORDS))


class TransformersLLM:
    """A chat model from a hub name, a model folder or a GGUF file.

    `device` is torch's ("cuda", "mps", "cpu"); by default the first of these that is there.
    One generation runs at a time; others wait.
    """

    output_form: Literal["lines", "json"] = "lines"

    def __init__(self, reference: str | Path, *, name: str, device: str | None = None) -> None:
        self.name = name
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._tokenizer, self._model = _load(reference, device)
        if self._tokenizer.chat_template is None:
            raise LLMError(f"{reference} has no chat template; choose an instruction-tuned model")

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> Iterator[str]:
        """Yield pieces of text; closing the iterator stops the generation at the next token."""
        self._check_open()
        return self._pieces(messages, max_tokens)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        output_format: OutputFormat | None = None,
    ) -> str:
        """Return the whole text at once."""
        return "".join(self.stream(messages, max_tokens=max_tokens, output_format=output_format))

    def yes_probability(self, messages: Sequence[Message]) -> float | None:
        """Return the share of "yes" in the first token."""
        import torch

        self._check_open()
        with self._turn, torch.inference_mode(), _as_llm_error(self.name):
            logits = self._model(**self._prompt(messages)).logits[0, -1]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            ids = (self._tokenizer.encode(word, add_special_tokens=False) for word in _ANSWERS)
            single = {tokens[0] for tokens in ids if len(tokens) == 1}
            return yes_share((self._tokenizer.decode([i]), float(logprobs[i])) for i in single)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in `text`."""
        self._check_open()
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def close(self) -> None:
        """Stop every generation and free the model; further calls raise LLMError."""
        self._closed.set()
        with self._turn:  # the generation that runs still needs the model
            self._model = None

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise LLMError(f"the LLM {self.name} is closed; make a new one")

    def _prompt(self, messages: Sequence[Message]) -> dict[str, torch.Tensor]:
        inputs = self._tokenizer.apply_chat_template(
            chat_dicts(messages),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        return dict(inputs.to(self._model.device))

    def _pieces(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        from transformers import TextIteratorStreamer

        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        stop = threading.Event()
        failures: list[LLMError] = []

        def generate() -> None:
            # The lock is held here, not by the reader: a slow reader keeps nobody waiting.
            try:
                with self._turn, _as_llm_error(self.name):
                    if not (stop.is_set() or self._closed.is_set()):
                        self._generate(messages, max_tokens, streamer, stop)
            except LLMError as error:
                failures.append(error)
            finally:
                streamer.end()  # type: ignore[no-untyped-call]

        threading.Thread(target=generate, name="transformers-llm", daemon=True).start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            stop.set()
        if failures:
            raise failures[0]
        self._check_open()  # otherwise a text cut short by close() would pass as whole

    def _generate(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        streamer: Any,
        stop: threading.Event,
    ) -> None:
        from transformers import StoppingCriteriaList

        def stopped(input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            import torch

            value = stop.is_set() or self._closed.is_set()
            return torch.full((input_ids.shape[0],), value, device=input_ids.device)

        self._model.generate(
            **self._prompt(messages),
            max_new_tokens=max_tokens,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([stopped]),
        )


class _as_llm_error:  # noqa: N801 - reads as the statement it is used in
    """Turn what torch and transformers raise into LLMError."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (RuntimeError, ValueError, TypeError, IndexError)):
            raise LLMError(
                f"the LLM {self._name} failed: {error}; check that the prompt fits its context and"
                " that memory is free"
            ) from error


def _load(reference: str | Path, device: str | None) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    except ImportError as error:
        raise LLMError("transformers is not installed; run `pip install transformers`") from error

    source, options = _source(reference)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model: Any = AutoModelForCausalLM.from_pretrained(source, dtype="auto", **options)
        model = model.to(device or _best_device(torch)).eval()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise LLMError(
            f"transformers cannot load {reference}: {error}; check the name or folder, and that it"
            " holds a causal language model"
        ) from error
    ends = model.generation_config
    # Everything else of a model's own configuration samples or penalises: greedy means greedy.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        eos_token_id=ends.eos_token_id,
        bos_token_id=ends.bos_token_id,
        pad_token_id=ends.pad_token_id if ends.pad_token_id is not None else tokenizer.eos_token_id,
    )
    return tokenizer, model


def _source(reference: str | Path) -> tuple[str, dict[str, Any]]:
    """Return what from_pretrained takes: a name or folder, and its options."""
    from importlib.util import find_spec

    options: dict[str, Any] = {
        "trust_remote_code": False,
        "local_files_only": os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"},
    }
    path = Path(reference)
    if path.suffix != ".gguf":
        return str(reference), options | {"use_safetensors": True}
    if missing := [package for package in ("gguf", "accelerate") if find_spec(package) is None]:
        raise LLMError(
            f"transformers needs {' and '.join(missing)} to read a GGUF file; run"
            f" `pip install {' '.join(missing)}`, or use the llamacpp back end"
        )
    if not path.is_file():
        raise LLMError(f"there is no model file {path}; run `rag models pull`")
    return str(path.parent), options | {"gguf_file": path.name}


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
