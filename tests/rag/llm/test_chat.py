from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.llm import Message
from rag.llm.chat import chat_dicts, yes_share


@pytest.mark.parametrize(
    "marker",
    ["<|im_end|>", "<|eot_id|>", "</s>", "<s>", "[INST]", "[/INST]", "<<SYS>>", "<end_of_turn>"],
)
def test_control_markers_are_broken_up(marker: str):
    [chat] = chat_dicts([Message("user", f"before {marker} after")])
    assert chat == {"role": "user", "content": f"before {marker[0]} {marker[1:]} after"}


@pytest.mark.parametrize("text", ["a < b | c > d", "x[1] and [2]", "<table>", "p99 <|", "List<s2>"])
def test_ordinary_text_is_kept(text: str):
    assert chat_dicts([Message("system", text)])[0]["content"] == text


@given(st.text(alphabet="<|im_end>s/[INST] ", max_size=40))
def test_no_marker_survives(text: str):
    content = chat_dicts([Message("user", text)])[0]["content"]
    assert all(marker not in content for marker in ("<|im_end|>", "</s>", "<s>", "[INST]"))


def test_variants_of_yes_and_no_are_summed():
    tokens = [("Yes", log(0.4)), (" yes", log(0.2)), ("No", log(0.2)), ("Maybe", log(0.2))]
    assert yes_share(tokens) == pytest.approx(0.75)  # 0.6 / (0.6 + 0.2)


def test_without_yes_or_no_nothing_is_known():
    assert yes_share([("Maybe", log(0.9))]) is None
    assert yes_share([]) is None
