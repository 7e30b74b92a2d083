from __future__ import annotations

import json

import pytest

from eval.compare import compare, load_values
from eval.errors import ResultFileError


def values(**hits: float) -> dict:
    return {"late": {query_id: {"hit@5": hit} for query_id, hit in hits.items()}}


def test_paired_by_question():
    a = values(q1=0, q2=0, q3=0, q4=0, q5=1, alone=1)
    b = values(q5=1, q4=1, q3=1, q2=1, q1=1, other=0, another=0)
    outcome = compare(a, b, seed=0)["late"]
    assert (outcome["n"], outcome["only_a"], outcome["only_b"]) == (5, 1, 2)
    assert outcome["metrics"]["hit@5"] == {
        "a": 0.2,
        "b": 1.0,
        "difference": 0.8,
        "p": pytest.approx(2 / 16),
        "better": 4,
        "worse": 0,
    }


def test_nothing_in_common_is_an_error():
    with pytest.raises(ResultFileError, match="no stage in common"):
        compare(values(q=1), {"bm25": {"q": {"hit@5": 1}}}, 0)
    with pytest.raises(ResultFileError, match="no question in common"):
        compare(values(q=1), values(r=1), 0)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"per_question": {"late": {"q": {"m": "x"}}}}']
)
def test_a_file_that_is_no_result_is_an_error(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ResultFileError, match=r"a\.json: no result"):
        load_values(tmp_path / "a.json")


def test_a_result_file_loads(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"per_question": values(q=1.0)}))
    assert load_values(tmp_path / "a.json") == values(q=1.0)
