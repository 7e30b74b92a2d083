"""A model small enough to check on paper: each token id has a fixed vector of three numbers.

The ONNX file is one Gather node, encoded by hand, so that no exporter is needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[Q]", "bias", "click", "fraud", "find:"]
VECTORS = np.array(
    [[0, 0, 1], [0, 1, 0], [3, 4, 0], [0, 0, 1], [0, 1, 1],
     [1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 0]],
    dtype=np.float32,
)  # fmt: skip


def make_model(folder: Path) -> Path:
    """Write model.onnx and tokenizer.json; the texts become [CLS] words [SEP]."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "model.onnx").write_bytes(_model())
    return folder


def _model() -> bytes:
    tensor = (
        b"".join(_integer(1, size) for size in VECTORS.shape)
        + _integer(2, 1)  # FLOAT
        + _bytes(8, b"vectors")
        + _bytes(9, VECTORS.tobytes())
    )
    node = (
        _bytes(1, b"vectors") + _bytes(1, b"input_ids") + _bytes(2, b"last_hidden_state")
        + _bytes(4, b"Gather")
    )  # fmt: skip
    graph = (
        _bytes(1, node)
        + _bytes(2, b"tiny")
        + _bytes(5, tensor)
        + _bytes(11, _value(b"input_ids", 7, [b"batch", b"tokens"]))  # INT64
        + _bytes(12, _value(b"last_hidden_state", 1, [b"batch", b"tokens", 3]))
    )
    return _integer(1, 8) + _bytes(7, graph) + _bytes(8, _integer(2, 13))


def _value(name: bytes, kind: int, shape: list[bytes | int]) -> bytes:
    dims = b"".join(
        _bytes(1, _integer(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape
    )
    return _bytes(1, name) + _bytes(2, _bytes(1, _integer(1, kind) + _bytes(2, dims)))


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
