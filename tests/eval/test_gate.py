import json

import pytest

from eval.errors import GateError
from eval.gate import compare, load_baseline, load_floors


def rows(values, floors, baseline):
    return {row["figure"]: row["fails"] for row in compare(values, floors, baseline, seed=0)}


def test_a_figure_below_its_floor_fails():
    now = {"hit@5": {"a": 1.0, "b": 0.0}}
    assert rows(now, {"hit@5": 0.6}, {}) == {"hit@5": "below its floor"}
    assert rows(now, {"hit@5": 0.5}, {}) == {"hit@5": ""}


def test_a_floor_without_a_figure_fails():
    assert rows({}, {"hit@5": 0.6}, {}) == {"hit@5": "not measured"}


def test_only_a_significant_loss_against_the_baseline_fails():
    before = {"mrr": {str(n): 1.0 for n in range(20)}}
    worse = {"mrr": {str(n): 0.0 if n < 12 else 1.0 for n in range(20)}}
    luck = {"mrr": {str(n): 0.0 if n < 2 else 1.0 for n in range(20)}}
    assert rows(worse, {}, before) == {"mrr": "worse than the baseline"}
    assert rows(luck, {}, before) == {"mrr": ""}
    assert rows(before, {}, worse) == {"mrr": ""}


def test_questions_that_one_side_lacks_are_not_compared():
    (row,) = compare({"f": {"a": 1.0, "b": 0.0}}, {}, {"f": {"a": 1.0, "c": 0.0}}, seed=0)
    assert (row["n"], row["compared"], row["difference"]) == (2, 1, 0.0)


def test_the_projects_own_floors_and_baseline_can_be_read():
    floors, baseline = load_floors(), load_baseline()
    assert set(floors) <= set(baseline["values"])


def test_a_missing_baseline_says_what_to_do(tmp_path):
    with pytest.raises(GateError, match="--update"):
        load_baseline(tmp_path / "none.json")
    (tmp_path / "x.json").write_text(json.dumps({"values": {}}))
    assert load_baseline(tmp_path / "x.json") == {"values": {}}
