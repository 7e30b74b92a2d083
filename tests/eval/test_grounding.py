from __future__ import annotations

import json

import pytest

from eval.cache import Cache
from eval.claims import Claim, load_claims
from eval.errors import CaseFileError
from eval.grounding import judge_claims, kappa, measure_grounding
from eval.judges import make_judges, passage_from_text, word_overlap
from tests.conftest import FakeLLM, FakeTokenEmbedder

CLAIMS = [
    Claim("1", "The filter drops seven stale rows.", "The filter drops seven stale rows.",
          "supported", "verbatim"),
    Claim("2", "The filter drops 7 stale rows.", "The filter drops 9 stale rows.",
          "contradicted", "number"),
]  # fmt: skip


def judges(tmp_path, llm=None):
    return make_judges(FakeTokenEmbedder(), llm, Cache(tmp_path / "c.jsonl"), "v")


def test_the_support_check_on_claims(tmp_path):
    scores = judge_claims(judges(tmp_path), CLAIMS)
    assert scores["support check"] == [1.0, 0.0]
    result = measure_grounding(CLAIMS, scores, seed=0)["support check"]
    assert result["auroc"]["value"] == result["precision"]["value"] == 1.0
    assert result["accuracy by trick"]["contradicted: number"]["value"] == 1.0
    assert result["kappa"] == 1.0


def test_the_llm_is_asked_where_neither_rule_nor_wording_decides(tmp_path):
    llm = FakeLLM("", yes=0.3)
    check = judges(tmp_path, llm)["support check"]
    assert check("Stale rows are dropped by the filter.", CLAIMS[0].source) == 0.3
    assert check(CLAIMS[0].claim, CLAIMS[0].source) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([True, False], [True, False], 1.0),
        ([True, False], [False, True], -1.0),
        ([True, True, False, False], [True, False, True, False], 0.0),
        ([True], [True], None),
        ([], [], None),
    ],
)
def test_kappa(one, other, expected):
    assert kappa(one, other) == expected


def test_word_overlap_is_the_share_of_the_claims_terms():
    assert word_overlap("stale bananas", "Stale rows.") == 0.5


def test_a_text_becomes_a_passage_of_quotable_units():
    passage = passage_from_text("One thing is here. Another thing is there.")
    assert [unit.plain for unit in passage.units] == [
        "One thing is here.",
        "Another thing is there.",
    ]


def test_a_wrong_label_is_named(tmp_path):
    path = tmp_path / "claims.jsonl"
    row = {"id": "1", "source": "s", "claim": "c", "label": "maybe", "trick": "t"}
    path.write_text(json.dumps(row))
    with pytest.raises(CaseFileError, match=r"claims\.jsonl:1: label"):
        load_claims(path)
