import json
import subprocess
import sys
import textwrap

import pytest

from index.errors import IndexCorrupt, IndexMissing, IndexStoreError
from index.storage import GenerationStore, read_manifest


def publish(store, content, check=lambda folder: None):
    with store.lock():
        return store.publish(lambda f: (f / "data").write_text(content), {"note": content}, check)


def current_content(store):
    return (store.candidates()[0] / "data").read_text()


@pytest.fixture
def store(tmp_path):
    return GenerationStore(tmp_path / "index")


def test_nothing_yet(store):
    with pytest.raises(IndexMissing, match="rag ingest"):
        store.current()


def test_a_generation_is_published_and_described(store):
    name = publish(store, "one")
    assert store.current() == name
    manifest = read_manifest(store.candidates()[0])
    assert manifest["note"] == "one"
    assert set(manifest["files"]) == {"data"}


def test_the_last_two_generations_are_kept(store):
    names = [publish(store, text) for text in ("one", "two", "three")]
    assert store.names() == names[1:]
    assert [folder.name for folder in store.candidates()] == [names[2], names[1]]


@pytest.mark.parametrize("step", ["write", "check"])
def test_a_failure_leaves_the_old_generation(store, step):
    publish(store, "old")

    def fail(folder):
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"), store.lock():
        if step == "write":
            store.publish(fail, {}, lambda folder: None)
        else:
            store.publish(lambda f: (f / "data").write_text("new"), {}, fail)
    assert current_content(store) == "old"
    assert not list((store.root / "generations").glob(".building-*"))


def test_a_killed_build_leaves_the_old_generation(store):
    publish(store, "old")
    script = f"""
        import os, signal
        from pathlib import Path
        from index.storage import GenerationStore
        store = GenerationStore(Path({str(store.root)!r}))
        def check(folder):
            os.kill(os.getpid(), signal.SIGKILL)
        with store.lock():
            store.publish(lambda f: (f / "data").write_text("new"), {{}}, check)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    assert current_content(store) == "old"
    publish(store, "new")  # and the left-over neither blocks nor survives the next build
    assert current_content(store) == "new"
    assert not list((store.root / "generations").glob(".building-*"))


def test_a_changed_byte_is_found(store):
    publish(store, "one")
    (store.candidates()[0] / "data").write_text("onf")
    with pytest.raises(IndexCorrupt, match="damaged"):
        read_manifest(store.candidates()[0])


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"schema_version": 99, "files": {}})])
def test_a_strange_manifest_is_refused(store, text):
    publish(store, "one")
    (store.candidates()[0] / "manifest.json").write_text(text)
    with pytest.raises(IndexCorrupt):
        read_manifest(store.candidates()[0])


def test_only_one_build_at_a_time(store):
    other = GenerationStore(store.root).lock()
    with store.lock(), pytest.raises(IndexStoreError, match="another process"), other:
        pass
