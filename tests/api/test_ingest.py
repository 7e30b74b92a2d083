from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from index.errors import IndexMissing, IndexStoreError
from index.storage import GenerationStore
from ingest.errors import IngestError

TOKEN = {"Authorization": "Bearer s3cret"}
REPORT = {"documents": 2, "generation": "000002"}


class FakeUpdate:
    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline
        self.calls = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error = None

    def __call__(self, settings, added):
        self.calls.append((settings.data_dir, list(added)))
        self.entered.set()
        self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        self.pipeline.newer = "000002"
        return REPORT


@pytest.fixture
def update(pipeline):
    return FakeUpdate(pipeline)


@pytest.fixture
def client(connect, update):
    return connect(update=update, ingest_token="s3cret")


@pytest.fixture
def uploads(client):
    return client.app.state.service.settings.data_dir / "uploads"


def test_without_a_token_there_is_no_such_endpoint(connect):
    client = connect()
    assert client.post("/v1/ingest", headers=TOKEN).status_code == 404
    assert "/v1/ingest" not in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "Bearer s3cret\xe9".encode("latin-1")},
    ],
)
def test_the_token_is_needed(client, update, uploads, headers):
    answer = client.post("/v1/ingest", headers=headers, files={"files": ("a.md", b"# A")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:study-rag:unauthorized"
    assert update.calls == []
    assert not uploads.exists()


def test_without_files_the_sources_are_read_again(client, update):
    answer = client.post("/v1/ingest", headers=TOKEN)
    assert answer.status_code == 200
    assert answer.json() == REPORT | {"uploaded": [], "reloaded": True}
    assert update.calls[0][1] == []
    assert client.get("/readyz").json()["generation"] == "000002"
    metrics = client.get("/metrics").text
    assert 'rag_index_info{generation="000002"} 1.0' in metrics
    assert "000001" not in metrics


def test_files_are_saved_and_added(client, update, uploads):
    files = [("files", ("a.md", b"# A")), ("files", ("b:c.md", b"# B"))]
    answer = client.post("/v1/ingest", headers=TOKEN, files=files)
    assert answer.status_code == 200
    names = answer.json()["uploaded"]
    assert names[0] == "a.md"
    assert names[1].startswith("b_c-")
    assert (uploads / "a.md").read_bytes() == b"# A"
    assert (uploads / names[1]).read_bytes() == b"# B"
    assert update.calls[0][1] == [uploads]


@pytest.mark.parametrize("name", ["../a.md", "/etc/passwd", "..\\a.md", "x/y.md"])
def test_paths_are_refused_and_nothing_is_saved(client, update, uploads, name):
    # By hand, because clients drop folders from names.
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="good.md"\r\n\r\nA\r\n'
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\nB\r\n--x--\r\n'
        % name.replace("\\", "\\\\").encode()
    )
    headers = TOKEN | {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/ingest", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert update.calls == []
    assert not uploads.exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"text", "text/plain"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nB\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_other_bodies_are_refused(client, update, content, kind):
    answer = client.post("/v1/ingest", content=content, headers=TOKEN | {"Content-Type": kind})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert update.calls == []


def test_two_files_of_one_name_are_refused(client, uploads):
    files = [("files", ("a.md", b"1")), ("files", ("a.md", b"2"))]
    assert client.post("/v1/ingest", headers=TOKEN, files=files).status_code == 422
    assert not uploads.exists()


def test_uploads_have_a_limit_of_their_own(connect, update):
    client = connect(
        update=update, ingest_token="s3cret", max_body_bytes=100, max_upload_bytes=5_000
    )
    small = client.post("/v1/ingest", headers=TOKEN, files={"files": ("a.md", b"x" * 3_000)})
    assert small.status_code == 200
    large = client.post("/v1/ingest", headers=TOKEN, files={"files": ("a.md", b"x" * 6_000)})
    assert large.status_code == 413


def test_one_at_a_time(client, update):
    update.go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, "/v1/ingest", headers=TOKEN)
        assert update.entered.wait(10)
        second = client.post("/v1/ingest", headers=TOKEN)
        assert second.status_code == 409
        assert second.json()["type"] == "urn:study-rag:busy"
        update.go_on.set()
        assert first.result().status_code == 200
    assert client.post("/v1/ingest", headers=TOKEN).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IngestError("nothing to index in x"), 422),
        (IndexStoreError("another process is building"), 503),
        (RuntimeError("secret"), 500),
    ],
)
def test_failures(client, update, error, status):
    update.error = error
    answer = client.post("/v1/ingest", headers=TOKEN)
    assert answer.status_code == status
    assert (str(error) in answer.text) == (status != 500)
    update.error = None
    assert client.post("/v1/ingest", headers=TOKEN).status_code == 200


def test_the_first_index_makes_the_service_ready(connect, pipeline, update, until):
    def load():
        if not update.calls:
            raise IndexMissing("run `rag ingest PATH`")
        return pipeline

    client = connect(load, update, ready=False, ingest_token="s3cret")
    until(lambda: "Loading failed" in client.get("/readyz").json()["detail"])
    answer = client.post("/v1/ingest", headers=TOKEN, files={"files": ("a.md", b"# A")})
    assert answer.status_code == 200
    assert answer.json()["reloaded"] is True
    assert client.get("/readyz").status_code == 200


def test_uploads_are_added_to_the_sources_of_the_index(connect, monkeypatch, tmp_path):
    calls = []

    def update_index(settings, paths):
        calls.append(paths)
        return {}

    module = SimpleNamespace(update_index=update_index)  # the real one imports the models
    monkeypatch.setitem(sys.modules, "rag.indexing", module)
    client = connect(ingest_token="s3cret")
    data_dir = client.app.state.service.settings.data_dir
    uploads = (data_dir / "uploads").resolve()
    client.post("/v1/ingest", headers=TOKEN)
    client.post("/v1/ingest", headers=TOKEN, files={"files": ("a.md", b"# A")})
    assert calls == [None, [uploads]]
    GenerationStore(data_dir / "index").publish(
        lambda folder: None, {"sources": [str(tmp_path / "corpus"), str(uploads)]}, lambda _: None
    )
    client.post("/v1/ingest", headers=TOKEN, files={"files": ("b.md", b"# B")})
    assert calls[2] == [tmp_path / "corpus", uploads]
    current = GenerationStore(data_dir / "index").candidates()[0] / "manifest.json"
    current.write_text(json.dumps({}))
    answer = client.post("/v1/ingest", headers=TOKEN, files={"files": ("c.md", b"# C")})
    assert answer.status_code == 503  # the sources are not known, so that nothing may disappear
    assert len(calls) == 3
