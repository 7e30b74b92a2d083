from __future__ import annotations

import json

import pytest

from eval.__main__ import main
from eval.session import Opened, draw
from index.errors import IndexMissing
from rag.errors import ModelMissing

TEXTS = {"a.md": "alfa beta"}
LINES = [
    {
        "query_id": f"q{n}",
        "question": "which word?",
        "answerable": True,
        "tags": ["t"],
        "relevant": [{"doc": "a.md", "quote": "beta"}],
    }
    for n in range(3)
]


@pytest.fixture
def cases(tmp_path):
    unanswerable = {"query_id": "u", "question": "what else?", "answerable": False}
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in [*LINES, unanswerable]))
    return path


@pytest.fixture
def opener(make_pipeline):
    def open_fake(settings, docs, llm):
        open_fake.seen.append((settings, docs, llm))
        pipeline = make_pipeline(TEXTS, lambda question, stage: ["alfa", "beta"])
        return Opened(pipeline, {"hnsw_recall@10": 1.0, "corpus_hash": "c0"})

    open_fake.seen = []
    return open_fake


def run(cases, tmp_path, opener, *more: str) -> int:
    data = ("--data-dir", str(tmp_path / "data"))
    return main(["retrieval", "--docs", "docs", "--cases", str(cases), *data, *more], opener)


def test_json_on_stdout_and_the_table_on_stderr(cases, tmp_path, opener, capsys):
    assert run(cases, tmp_path, opener, "--json") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["stages"]["reranked"]["mrr@10"]["value"] == 0.5
    assert result["stages"]["reranked"]["hit@5"]["n"] == 3
    assert result["tags"]["t"]["reranked"]["hit@1"]["value"] == 0
    assert result["failed"] == 0
    assert result["missing_quotes"] == []
    assert result["hnsw_recall"] == 1.0
    assert result["config"]["questions"] == 3
    assert len(result["config"]["cases_sha256"]) == 64
    assert result["seconds"] >= 0
    assert "reranked" in err


def test_json_to_a_file_and_the_table_on_stdout(cases, tmp_path, opener, capsys):
    assert run(cases, tmp_path, opener, "--json", str(tmp_path / "r.json"), "--limit", "2") == 0
    assert json.loads((tmp_path / "r.json").read_text())["config"]["questions"] == 2
    assert "mrr@10" in capsys.readouterr().out


def test_each_folder_of_documents_has_its_own_index(cases, tmp_path, opener):
    run(cases, tmp_path, opener)
    settings, docs, llm = opener.seen[0]
    assert settings.data_dir.parent == tmp_path / "data" / "eval"
    assert (str(docs), llm) == ("docs", False)


def test_secrets_are_not_in_the_result(cases, tmp_path, opener, capsys, monkeypatch):
    monkeypatch.setenv("RAG_LLM_API_KEY", "hush")
    assert run(cases, tmp_path, opener, "--json", "-") == 0
    out = capsys.readouterr().out
    assert "hush" not in out
    assert "api_key" not in out


@pytest.mark.parametrize(
    ("error", "code"),
    [(ModelMissing("pull it"), 4), (IndexMissing("ingest"), 4), (OSError("x"), 1)],
)
def test_errors_become_exit_codes(cases, tmp_path, capsys, error, code):
    def broken(settings, docs, llm):
        raise error

    assert run(cases, tmp_path, broken) == code
    assert capsys.readouterr().err.strip() == str(error)


def test_a_wrong_case_file_is_named(tmp_path, opener, capsys):
    path = tmp_path / "bad.jsonl"
    path.write_text("{}")
    assert run(path, tmp_path, opener) == 1
    assert f"{path}:1: query_id: Field required" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--json", "no/such/folder/r.json"]])
def test_wrong_options_are_usage_errors(cases, tmp_path, opener, wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        run(cases, tmp_path, opener, *wrong)
    assert caught.value.code == 2


def test_compare_reads_two_results(cases, tmp_path, opener, capsys):
    result = str(tmp_path / "r.json")
    run(cases, tmp_path, opener, "--json", result)
    capsys.readouterr()
    assert main(["compare", result, result, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["stages"]["late"]["metrics"]["hit@5"]["p"] == 1.0


def test_a_draw_keeps_the_order_and_depends_on_the_seed_only():
    items = list(range(40))
    drawn = draw(items, 5, seed=1)
    assert drawn == draw(items, 5, seed=1) != draw(items, 5, seed=2)
    assert drawn == sorted(drawn)
    assert draw(items, None, seed=1) == draw(items, 99, seed=1) == items
