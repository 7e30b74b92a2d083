from __future__ import annotations

import json

from eval.__main__ import main
from eval.report import html_report

ONE = {"value": 0.5, "low": 0.1, "high": 0.9, "n": 4}
CONFIG = {"docs": "<docs>", "chunks": 3, "cases": "c", "cases_sha256": "0" * 64, "seed": 0,
          "questions": 4}  # fmt: skip
TIMES = {"late": {"p50": 10.0, "p95": 20.0}, "none": {"p50": None, "p95": None}}
RETRIEVAL = {
    "stages": {"late": dict.fromkeys(("hit@5", "recall@5", "recall@10", "recall@20"), ONE)},
    "latency_ms": TIMES,
    "config": CONFIG,
}
ANSWERS = {
    "figures": {"coverage": ONE, "citation recall": dict.fromkeys(ONE, None)},
    "latency_ms": TIMES,
    "risk_coverage": [{"coverage": 0.5, "risk": 0.0}],
    "per_question": [{"answerability": 0.3, "answerable": True}],
    "ragas": {"metrics": {"faithfulness": {**ONE, "failed": 0}}},
    "config": CONFIG,
}
NAMES = ("auroc", "auroc of numbers, units, negations", "precision", "recall", "accuracy")
GROUNDING = {
    "judges": {"support check": {**dict.fromkeys(NAMES, ONE), "scores": {"1": 0.5}}},
    "labels": {"1": True},
    "config": CONFIG,
}


def test_a_page_with_every_plot_that_needs_no_network():
    page = html_report({"retrieval": RETRIEVAL, "answers": ANSWERS, "grounding": GROUNDING})
    assert page.count("<svg") == 6
    assert "0.500 (0.100 to 0.900)" in page
    assert "&lt;docs&gt;" in page
    assert "<script" not in page
    assert "<link" not in page


def test_the_command_reads_result_files(tmp_path, capsys):
    result, page = tmp_path / "retrieval.json", tmp_path / "r.html"
    result.write_text(json.dumps(RETRIEVAL))
    assert main(["report", str(result), "--out", str(page)]) == 0
    assert "Retrieval" in page.read_text()
    result.write_text("{}")
    assert main(["report", str(result), "--out", str(page)]) == 1
    assert "not a result of" in capsys.readouterr().err
