import shutil
from collections import namedtuple

import httpx
import pytest

import rag.doctor
from index.storage import GenerationStore
from rag.doctor import examine
from rag.errors import ModelMissing
from rag.settings import Settings
from tests.conftest import make_document, publish

DOCUMENT = make_document("bias.md", "Position bias inflates clicks.")
Usage = namedtuple("Usage", "total used free")


class FakeStore:
    def __init__(self, root, missing=()):
        self.root = root
        self.missing = missing

    def resolve(self, name):
        if name in self.missing:
            raise ModelMissing(f"{name} is not here; run: rag models pull {name}")
        return self.root / name


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which everything is there; returns its store, to take things away."""
    store = FakeStore(tmp_path / "models" / "not" / "made" / "yet")
    monkeypatch.setattr(rag.doctor, "model_store", lambda settings: store)
    monkeypatch.setattr(
        rag.doctor, "embedder_fingerprints", lambda settings: ("fake-dense", "fake-late")
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, int(50e9)))
    index = GenerationStore(tmp_path / "index")
    publish(index, [DOCUMENT])
    # `publish` of the tests leaves out what only `rag ingest` writes.
    monkeypatch.setattr(
        rag.doctor,
        "read_manifest",
        lambda folder, real=rag.doctor.read_manifest: {
            **real(folder), "counts": {"documents": 1, "chunks": 1},
        },
    )  # fmt: skip
    return store


def found(settings):
    findings = examine(settings)
    assert all(finding["fix"] for finding in findings)
    return {finding["what"]: finding for finding in findings}


def wrong(settings):
    return {what for what, finding in found(settings).items() if not finding["ok"]}


def test_all_is_well(machine, tmp_path):
    findings = found(Settings(data_dir=tmp_path))
    assert list(findings) == [
        "Python", "disk", "model bge-small-en-v1.5", "model answerai-colbert-small-v1",
        "model ms-marco-minilm-l12-v2", "model qwen2.5-coder-1.5b", "index",
    ]  # fmt: skip
    assert all(finding["ok"] for finding in findings.values())
    assert "1 documents, 1 chunks" in findings["index"]["detail"]
    assert findings["disk"]["detail"] == "50.0 GB free for models"


def test_a_missing_model_is_named_with_the_command(machine, tmp_path):
    machine.missing = ("qwen2.5-coder-1.5b",)
    finding = found(Settings(data_dir=tmp_path))["model qwen2.5-coder-1.5b"]
    assert not finding["ok"]
    assert finding["fix"] == "rag models pull qwen2.5-coder-1.5b"


def test_a_model_that_is_not_used_is_not_missed(machine, tmp_path):
    findings = found(Settings(data_dir=tmp_path, reranker=""))
    assert len([what for what in findings if what.startswith("model")]) == 3


def test_no_index(machine, tmp_path):
    finding = found(Settings(data_dir=tmp_path / "other"))["index"]
    assert not finding["ok"]
    assert "rag ingest" in finding["fix"]


def test_a_damaged_index(machine, tmp_path):
    (current,) = (tmp_path / "index" / "generations").iterdir()
    (current / "chunks.jsonl").write_text("")
    assert wrong(Settings(data_dir=tmp_path)) == {"index"}


def test_an_index_of_other_embedding_models(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(rag.doctor, "embedder_fingerprints", lambda settings: ("other", "one"))
    finding = found(Settings(data_dir=tmp_path))["index"]
    assert not finding["ok"]
    assert "other embedding models" in finding["detail"]


def test_a_full_disk(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, int(1e9)))
    assert wrong(Settings(data_dir=tmp_path)) == {"disk"}


@pytest.mark.parametrize(
    ("url", "ok"), [("http://llm/v1", True), ("http://down/v1", False), ("http://llm:port", False)]
)
def test_the_endpoint(machine, tmp_path, monkeypatch, url, ok):
    asked = []

    def get(url, timeout):
        asked.append(url)
        request = httpx.Request("GET", url)  # refuses what is no URL
        if "down" in url:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, request=request)

    monkeypatch.setattr(httpx, "get", get)
    machine.missing = ("qwen2.5-coder-1.5b",)  # not needed then
    config = Settings(data_dir=tmp_path, llm_backend="openai", llm_url=url, llm_model="m")
    assert wrong(config) == (set() if ok else {"LLM endpoint"})
    assert asked == [f"{url}/models"]
