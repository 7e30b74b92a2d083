from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.cases import Case, GoldQuote
from eval.cases_check import case_lines, check_cases, lexical_overlap

ROOT = Path(__file__).parents[2]


def case(query_id: str, question: str, topic: str, quote: str = "alfa beta gamma") -> dict:
    return {
        "query_id": query_id, "question": question, "answerable": True, "topic": topic,
        "tags": ["natural"], "relevant": [{"doc": "a.md", "quote": quote}],
    }  # fmt: skip


@pytest.fixture
def files(tmp_path):
    docs, folder = tmp_path / "docs", tmp_path / "cases"
    docs.mkdir()
    folder.mkdir()
    (docs / "a.md").write_text("Alfa, *beta* gamma. Delta epsilon zeta.")

    def write(dev: list[dict], test: list[dict]) -> list[str]:
        for split, cases in (("dev", dev), ("test", test)):
            topic = f"of {split}"
            claim = {
                "id": f"claim-{split}", "doc": "a.md", "source": "Delta epsilon", "claim": "x y",
                "label": "supported", "trick": "paraphrase", "topic": topic,
            }  # fmt: skip
            probe = {
                "id": f"probe-{split}", "probe": "?", "docs": ["a.md"], "topic": topic,
                "points": [{"id": "p1", "text": "x", "weight": "vital", "evidence": "zeta"}],
                "answers": [{"level": "weak", "text": "y", "covers": []}],
            }  # fmt: skip
            for name, rows in (("", cases), ("claims_", [claim]), ("practice_", [probe])):
                text = "\n".join(json.dumps(row) for row in rows)
                (folder / f"{name}{split}.jsonl").write_text(text)
        return check_cases(docs, folder)[0]

    return write


GOOD_DEV = case("d1", "which rows are stale?", "x")
GOOD_TEST = case("t1", "what does the network cost?", "y", "epsilon zeta")


def test_a_case_that_the_corpus_asks_itself_is_found(files, tmp_path):
    row = {"doc": "a.md", "quote": "Alfa", "questions": ["Stale: which rows?", "Something else?"]}
    (tmp_path / "docs").joinpath("questions.jsonl").write_text(json.dumps(row))
    (finding,) = files([GOOD_DEV], [GOOD_TEST])
    assert finding.startswith("d1 is asked in")
    assert "'Stale: which rows?'" in finding


def test_a_case_that_weights_are_fitted_on_is_found(files, tmp_path):
    fitted = [case("f1", "Stale: which rows?", "x"), case("f2", "what is it?", "y", "epsilon zeta")]
    (tmp_path / "cases").joinpath("fit.jsonl").write_text("\n".join(map(json.dumps, fitted)))
    asked, shared = files([GOOD_DEV], [GOOD_TEST])
    assert asked.startswith("d1 is asked in fit.jsonl")
    assert shared.startswith("f2 (fit) shares a quote with t1 (test)")


def test_good_files_have_no_findings(files):
    assert files([GOOD_DEV], [GOOD_TEST]) == []


@pytest.mark.parametrize(
    ("test", "finding"),
    [
        (case("t1", "what costs most?", "y", "not there"), "t1: a.md does not contain"),
        (case("t1", "what costs most?", "x", "zeta"), "the topic 'x' is in both splits"),
        (case("t1", "are rows stale, which rows?", "y", "zeta"), "d1 and t1 ask the same"),
        (case("t1", "what costs most?", "y"), "d1 (dev) shares a quote with t1 (test)"),
        (case("d1", "what costs most?", "y", "zeta"), "d1 is used 2 times"),
    ],
)
def test_findings(files, test, finding):
    findings = files([GOOD_DEV], [test])
    assert any(line.startswith(finding) for line in findings), findings


def test_overlap_is_the_share_of_the_questions_terms_in_the_quotes():
    quotes = (GoldQuote("a", "stale rows"),)
    assert lexical_overlap(Case("q", "stale bananas", True, relevant=quotes)) == 0.5


def test_the_projects_own_cases_are_clean_and_as_many_as_promised():
    findings, figures = check_cases(ROOT / "corpus", ROOT / "eval" / "cases")
    assert findings == []
    assert sum(of["answerable"] for of in figures.values()) >= 200
    assert sum(of["unanswerable"] for of in figures.values()) >= 80
    assert sum(sum(of["claims"].values()) for of in figures.values()) >= 200
    assert sum(of["practice probes"] for of in figures.values()) >= 20
    paraphrases = sum(of["tags"]["paraphrase"] for of in figures.values())
    assert paraphrases >= 0.5 * sum(of["answerable"] for of in figures.values())
    assert len(list(case_lines(figures))) == 6
