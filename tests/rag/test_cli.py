import io
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import rag.cli
import rag.doctor
import rag.indexing
import rag.pipeline
from index.errors import IndexMissing, IndexStoreError
from ingest.errors import IngestError
from rag.errors import LLMError, ModelMissing
from tests.conftest import FakeLLM, make_document, make_pipeline

IPW = "Inverse propensity weighting corrects position bias in clicks."
DOCUMENT = make_document("bias.md", f"# Bias :100: [bold]\n{IPW}")
QUESTION = "position bias in clicks"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `rag ARGUMENTS`; returns code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rag", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            rag.cli.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def llm():
    return FakeLLM(f"{IPW} [1]\n")


@pytest.fixture
def built(monkeypatch, tmp_path, llm):
    """Every command gets a pipeline of fakes; holds the settings it was built with."""
    calls = []

    def build(settings, *, llm=True, fake=llm):
        calls.append((settings, llm))
        config = {"min_relevance": 0.0, "min_answerability": 0.1}
        return make_pipeline(tmp_path, [DOCUMENT], fake if llm else None, **config)

    monkeypatch.setattr(rag.pipeline, "build_pipeline", build)
    return calls


def fails(error):
    def raising(*_, **__):
        raise error

    return raising


def test_ask_json_is_one_object(run, built, tmp_path):
    result = run("ask", QUESTION, "--json", "--data-dir", tmp_path)
    assert (result.code, result.err) == (0, "")
    answer = json.loads(result.out)
    assert answer["status"] == "answered"
    assert answer["text"] == f"{IPW} [1]"
    assert answer["citations"][0]["quote"] == IPW
    assert (answer["citations"][0]["doc"], answer["citations"][0]["line_start"]) == ("bias.md", 2)
    ((settings, with_llm),) = built
    assert (settings.data_dir, with_llm) == (tmp_path, True)


def test_ask_prints_the_answer_with_its_citations_and_the_rest_on_stderr(run, built, llm):
    result = run("ask", QUESTION)
    assert result.code == 0
    assert result.out.splitlines() == [
        f"{IPW} [1]", "", "[1] bias.md, Heading, line 2", f"    {IPW}",
    ]  # fmt: skip
    assert "answered by fake-llm in" in result.err
    assert llm.closed


def test_ask_extractive_loads_no_llm(run, built):
    result = run("ask", QUESTION, "--mode", "extractive", "--json")
    assert result.code == 0
    assert json.loads(result.out)["model"] == "extractive"
    assert built[0][1] is False


def test_abstaining_is_exit_code_3(run, built):
    result = run("ask", "bananas under tropical suns by Gauguin")
    assert result.code == 3
    assert "Not in the corpus." in result.out
    result = run("ask", "bananas under tropical suns by Gauguin", "--json")
    assert result.code == 3
    assert json.loads(result.out)["status"] == "abstained"


def test_a_question_from_standard_input(run, built, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n"))
    assert json.loads(run("ask", "-", "--json").out)["question"] == QUESTION


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask",),
        ("ask", "  "),
        ("search", ""),
        ("ask", QUESTION, "--mode", "guess"),
        ("search", QUESTION, "-k", "0"),
        ("search", QUESTION, "--stage", "magic"),
        ("nothing",),
        ("ingest",),
    ],
)
def test_wrong_usage_is_exit_code_2(run, built, arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err
    assert built == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (IndexMissing("no index: run `rag ingest PATH`"), 4),
        (ModelMissing("no model: run rag models pull"), 4),
        (LLMError("the endpoint is down: start it"), 1),
        (IndexStoreError("damaged: run `rag ingest PATH`"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(run, monkeypatch, error, code):
    monkeypatch.setattr(rag.pipeline, "build_pipeline", fails(error))
    result = run("ask", QUESTION, "--json")
    assert (result.code, result.out) == (code, "")
    assert result.err == f"error: {error}\n"


def test_an_interrupt_is_exit_code_130(run, monkeypatch):
    monkeypatch.setattr(rag.pipeline, "build_pipeline", fails(KeyboardInterrupt()))
    result = run("ask", QUESTION, "--json")
    assert (result.code, result.out) == (130, "")


def test_no_index_is_found_before_a_model_is_loaded(run, tmp_path):
    result = run("search", QUESTION, "--data-dir", tmp_path / "none")
    assert (result.code, result.out) == (4, "")
    assert "rag ingest PATH" in result.err


def test_an_unknown_setting_is_an_error(run, monkeypatch):
    monkeypatch.setenv("RAG_DATA_DRI", "x")
    result = run("doctor")
    assert (result.code, result.out) == (1, "")
    assert "did you mean RAG_DATA_DIR?" in result.err


def test_search_json(run, built):
    result = run("search", QUESTION, "-k", "3", "--stage", "late", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert set(found) == {"query", "hits", "timings_ms", "generation", "degraded"}
    assert {
        "rank", "score", "doc", "heading_path", "start", "end", "line_start", "line_end", "text",
        "chunk_id", "explain",
    } <= set(found["hits"][0])  # fmt: skip
    assert built[0][1] is False


def test_search_prints_document_text_as_it_is(run, built):
    result = run("search", QUESTION)
    assert f"# Bias :100: [bold] {IPW}" in result.out
    assert "bias.md:1" in result.out


def test_a_filter_that_admits_nothing(run, built):
    assert json.loads(run("search", QUESTION, "--doc", "x*", "--json").out)["hits"] == []
    assert run("ask", QUESTION, "--tag", "none").code == 3


def test_ingest_json_and_text(run, monkeypatch, tmp_path):
    report = {
        "documents": 2, "chunks": 5, "added": 2, "changed": 0, "removed": 0, "unchanged": 0,
        "repaired_lines": 3, "skipped": [{"path": "a[b].bin", "reason": "binary"}],
        "duplicates": [], "near_duplicates": [], "seconds": 1.0, "generation": "000001-x",
    }  # fmt: skip
    asked = []

    def update(settings, paths, progress):
        progress("reading", 1, 2)
        asked.append(([str(path) for path in paths], settings.data_dir))
        return report

    monkeypatch.setattr(rag.indexing, "update_index", update)
    result = run("ingest", "docs", "more.md", "--json", "--data-dir", tmp_path)
    assert (json.loads(result.out), result.err, result.code) == (report, "", 0)
    assert asked == [(["docs", "more.md"], tmp_path)]
    shown = run("ingest", "docs").out
    assert "2 documents, 5 chunks, 2 added" in shown
    assert "skipped a[b].bin: binary" in shown


def test_nothing_to_ingest(run, monkeypatch):
    monkeypatch.setattr(rag.indexing, "update_index", fails(IngestError("nothing to index in x")))
    result = run("ingest", "x")
    assert (result.code, result.out, result.err) == (1, "", "error: nothing to index in x\n")


@pytest.mark.parametrize("ok", [True, False])
def test_doctor(run, monkeypatch, ok):
    finding = {"what": "index", "ok": ok, "detail": "none", "fix": "rag ingest corpus"}
    monkeypatch.setattr(rag.doctor, "examine", lambda settings: [finding])
    result = run("doctor", "--json")
    assert result.code == (0 if ok else 4)
    assert json.loads(result.out) == {"checks": [finding], "ok": ok}
    assert ("rag ingest corpus" in run("doctor").out) is not ok


def test_models_list_json(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAG_MODEL_DIR", str(tmp_path))
    rows = json.loads(run("models", "list", "--json").out)
    assert all(
        {"name", "licence", "size", "path", "verified"} <= set(row) and not row["verified"]
        for row in rows
    )
    assert "missing" in run("models", "list").out


def test_an_unknown_model_cannot_be_pulled(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAG_MODEL_DIR", str(tmp_path))
    result = run("models", "pull", "gpt-5")
    assert result.code == 1
    assert "not a registered model" in result.err


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "sys.argv = ['rag', '--help']\n"
        "from rag.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'onnxruntime', 'fastapi'} & set(sys.modules)\n"
        "assert not code and not heavy, (code, heavy)\n"
    )
    began = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "ingest" in result.stdout
    assert time.perf_counter() - began < 5.0  # about 0.4 s on an idle machine
