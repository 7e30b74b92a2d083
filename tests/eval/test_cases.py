from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.cases import Case, GoldQuote, load_cases
from eval.errors import CaseFileError

SEED_CASES = Path(__file__).parents[2] / "../shared/eval/seed_questions.jsonl"
GOOD = {
    "query_id": "q1",
    "question": "why?",
    "answerable": True,
    "tags": ["why"],
    "relevant": [{"doc": "a.md", "quote": "because", "group": 1}],
    "reference": "because",
    "key_facts": ["because"],
}


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_a_line_becomes_a_case(tmp_path):
    unanswerable = {"query_id": "q2", "question": "who?", "answerable": False, "owner": "me"}
    cases = load_cases(write(tmp_path / "c.jsonl", "\ufeff" + json.dumps(GOOD), "", unanswerable))
    quote = GoldQuote("a.md", "because", 1)
    assert cases == [
        Case("q1", "why?", True, ("why",), (quote,), "because", ("because",)),
        Case("q2", "who?", False),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line: Invalid JSON"),
        ([1], "line: "),
        ({**GOOD, "answerable": "yes"}, "answerable: Input should be a valid boolean"),
        ({"query_id": "q1", "answerable": True}, "question: Field required"),
        ({**GOOD, "relevant": [{"doc": "a.md"}]}, "relevant.0.quote: Field required"),
        ({**GOOD, "relevant": [{"doc": "a.md", "quote": "—…"}]}, "relevant.0.quote has no letter"),
        ({**GOOD, "relevant": []}, "an answerable question needs at least one quote"),
        ({**GOOD, "answerable": False}, "an unanswerable question cannot have quotes"),
        ({**GOOD, "question": " "}, "question is empty"),
        ({**GOOD, "query_id": ""}, "query_id is empty"),
        ({**GOOD, "query_id": "q0"}, "query_id 'q0' was used on line 1"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path, line, message):
    path = write(tmp_path / "c.jsonl", {**GOOD, "query_id": "q0"}, line)
    with pytest.raises(CaseFileError) as caught:
        load_cases(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


def test_an_empty_or_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(CaseFileError, match="holds no case"):
        load_cases(write(tmp_path / "c.jsonl", ""))
    with pytest.raises(CaseFileError, match="cannot be read"):
        load_cases(tmp_path / "absent.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CaseFileError, match="cannot be read"):
        load_cases(tmp_path / "latin.jsonl")


def test_the_seed_questions_load():
    if not SEED_CASES.is_file():
        pytest.skip("the seed questions are not beside this checkout")
    cases = load_cases(SEED_CASES)
    assert (len(cases), sum(case.answerable for case in cases)) == (64, 51)
