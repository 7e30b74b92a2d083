"""A sentence-transformers input module that runs an ONNX file with ONNX Runtime.

With it, embedders, cross-encoders and late-interaction models exported to ONNX go through the one
sentence-transformers API. It knows nothing of pooling, scoring or which model it runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from sentence_transformers.base.modules.input_module import InputModule
from tokenizers import Tokenizer

OutputName = Literal["token_embeddings", "scores"]


class OnnxTransformer(InputModule):
    """Tokenizes texts or pairs and runs `folder/model.onnx`; safe to call from several threads.

    `output` is the feature that the model's first output fills: "token_embeddings" (batch, tokens,
    dimension) or "scores" (batch, labels). Longer inputs are cut at `max_tokens`. `markers` are
    vocabulary entries such as "[unused0]" that a text may hold; the tokenizer would split them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        output: OutputName,
        max_tokens: int = 512,
        threads: int | None = None,
        markers: Sequence[str] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.output = output
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        known = [marker for marker in markers if self.tokenizer.token_to_id(marker) is not None]
        self.tokenizer.add_special_tokens(known)
        self.tokenizer.enable_truncation(max_tokens)
        self.tokenizer.enable_padding(pad_id=self.tokenizer.token_to_id("[PAD]"), pad_token="[PAD]")
        self.max_seq_length = max_tokens
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.inter_op_num_threads = 1
        # Spinning workers would take the cores from the LLM between two calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.input_names = {node.name for node in self.session.get_inputs()}
        self.output_name = self.session.get_outputs()[0].name

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **_: Any
    ) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask`, `token_type_ids`, each (batch, tokens)."""
        batch = [(prompt or "") + text if isinstance(text, str) else tuple(text) for text in inputs]
        encodings = self.tokenizer.encode_batch_fast(batch)
        columns = {
            "input_ids": "ids",
            "attention_mask": "attention_mask",
            "token_type_ids": "type_ids",
        }
        return {
            name: torch.from_numpy(
                np.array([getattr(encoding, column) for encoding in encodings], dtype=np.int64)
            )
            for name, column in columns.items()
        }

    def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        """Add the model's output to `features` under the name `output`."""
        feed = {name: features[name].numpy() for name in self.input_names}
        (result,) = self.session.run([self.output_name], feed)
        features[self.output] = torch.from_numpy(result)
        return features

    def get_embedding_dimension(self) -> int:
        """Return the size of the last axis of the output."""
        return int(self.session.get_outputs()[0].shape[-1])

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Refuse: the model store owns the files."""
        raise NotImplementedError("an ONNX model is not saved from here; copy its folder instead")
