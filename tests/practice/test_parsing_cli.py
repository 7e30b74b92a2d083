from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

import rag.cli
from index.storage import GenerationStore
from tests.conftest import make_document, publish

TEXT = (
    "# Toast\n\n| Probe | Strong answer |\n|---|---|\n| How [hot]? | Slowly; evenly |\n\n"
    "| Red flag | Why it hurts | Say instead |\n|---|---|---|\n| No heat | cold | heat |\n"
)
FRONT = {"tags": ["kitchen"], "companies": ["Acme"]}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `rag practice bank ARGUMENTS` over an index of one document."""
    publish(GenerationStore(tmp_path / "index"), [make_document("toast.md", TEXT, **FRONT)])
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments, data_dir=tmp_path):
        words = ["rag", "practice", "bank", *map(str, arguments), "--data-dir", str(data_dir)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            rag.cli.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=captured.err)

    return call


def test_list_prints_ids_and_prompts_and_counts_on_stderr(run):
    done = run("list")
    assert done.code == 0
    assert "How [hot]?" in done.out
    assert "1 probe, 2 points, 1 red_flags" in done.err


def test_list_as_json_can_be_filtered(run):
    listed = json.loads(run("list", "--json", "--kind", "probe", "--company", "acme").out)
    assert [row["prompt"] for row in listed["probes"]] == ["How [hot]?"]
    assert listed["counts"]["points"] == 2
    assert json.loads(run("list", "--json", "--kind", "quiz").out)["probes"] == []
    assert json.loads(run("list", "--json", "--topic", "moon").out)["probes"] == []


def test_show_prints_the_rubric_with_lines(run):
    (row,) = json.loads(run("list", "--json").out)["probes"]
    shown = run("show", row["id"])
    assert "probe, 120 s, toast.md:5" in shown.out
    assert "- Slowly (vital depth; line 5)" in shown.out
    whole = json.loads(run("show", row["id"], "--json").out)
    assert [point["text"] for point in whole["points"]] == ["Slowly", "evenly"]


def test_show_says_how_to_find_an_id(run):
    done = run("show", "toast")
    assert (done.code, done.out) == (1, "")
    assert "`rag practice bank list`" in done.err


def test_lint_ends_with_1_where_it_finds_something(run, tmp_path):
    assert run("lint").code == 0
    overrides = tmp_path / "overrides.toml"
    overrides.write_text('[[drop]]\nid = "gone"\n', encoding="utf-8")
    done = run("lint", "--overrides", overrides)
    assert done.code == 1
    assert "nothing has the id 'gone'" in done.out
    assert json.loads(run("lint", "--json", "--overrides", overrides).out)["problems"]


def test_without_an_index_the_code_is_4(run, tmp_path):
    done = run("list", data_dir=tmp_path / "none")
    assert done.code == 4
    assert "rag ingest" in done.err
