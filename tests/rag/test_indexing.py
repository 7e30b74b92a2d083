import json
import shutil

import pytest

import rag.indexing
from index.errors import IndexMissing, IndexStoreError
from index.hybrid import load_index
from index.storage import GenerationStore
from ingest.errors import IngestError
from rag.indexing import update_index
from rag.settings import Settings
from tests.conftest import FakeEmbedder, FakeTokenEmbedder

BIAS = "# Position bias\n\nInverse propensity weighting corrects position bias.\n"
FRAUD = "# Fraud\n\nVelocity features catch fraud in payments.\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bias.md").write_text(BIAS)
    (tmp_path / "docs" / "fraud.md").write_text(FRAUD)
    return tmp_path / "docs"


@pytest.fixture
def config(tmp_path):
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def loaded(monkeypatch):
    """The embedders that were loaded, one for each time."""
    embedders = []

    def load(settings):
        embedders.append(FakeEmbedder())
        return embedders[-1], FakeTokenEmbedder()

    monkeypatch.setattr(rag.indexing, "load_embedders", load)
    monkeypatch.setattr(
        rag.indexing, "embedder_fingerprints", lambda settings: ("fake-dense", "fake-late")
    )
    monkeypatch.setattr(
        rag.indexing, "token_counter", lambda settings: lambda text: len(text.split())
    )
    return embedders


@pytest.fixture(autouse=True)
def _fakes(loaded):
    pass


def read(config):
    store = GenerationStore(config.data_dir / "index")
    return load_index(store, embedder="fake-dense", token_embedder="fake-late")


def uris(config):
    return sorted(document.uri for document in read(config)[0].documents.values())


def test_a_first_run_builds_and_reports(config, folder, loaded):
    seen = []
    report = update_index(config, [folder], lambda *step: seen.append(step))
    assert (report["documents"], report["added"], report["skipped"]) == (2, 2, [])
    assert uris(config) == ["bias.md", "fraud.md"]
    index, problems = read(config)
    assert problems == []
    assert index.generation == report["generation"]
    manifest = index.manifest
    assert manifest["counts"] == {"documents": 2, "chunks": len(index.all_chunks)}
    assert manifest["sources"] == [str(folder.resolve())]
    assert manifest["hnsw_recall@10"] == 1.0
    assert {"reading bias.md", "writing"} <= {what for what, _, _ in seen}
    json.dumps(report)


def test_a_second_run_without_changes_keeps_the_generation_and_loads_no_model(
    config, folder, loaded
):
    first = update_index(config, [folder])
    second = update_index(config, [folder])
    assert second["generation"] == first["generation"]
    assert (second["unchanged"], second["added"], second["changed"]) == (2, 0, 0)
    assert len(loaded) == 1


def test_only_what_changed_is_embedded(config, folder, loaded):
    first = update_index(config, [folder])
    (folder / "fraud.md").write_text(FRAUD.replace("Velocity", "Graph"))
    second = update_index(config, [folder])
    assert second["generation"] != first["generation"]
    assert (second["changed"], second["unchanged"]) == (1, 1)
    embedded = [text for text in loaded[1].embedded if "weighting" in text]
    assert embedded == []
    assert any("Graph" in text for text in loaded[1].embedded)


def test_a_removed_file_disappears(config, folder):
    update_index(config, [folder])
    (folder / "fraud.md").unlink()
    assert update_index(config, [folder])["removed"] == 1
    assert uris(config) == ["bias.md"]


def test_without_paths_those_of_the_index_are_read_again(config, folder):
    update_index(config, [folder])
    (folder / "new.md").write_text("# New\n\nRandomised slots estimate the propensity.\n")
    update_index(config, None)
    assert uris(config) == ["bias.md", "fraud.md", "new.md"]


def test_without_paths_and_without_an_index(config):
    with pytest.raises(IndexMissing, match="rag ingest PATH"):
        update_index(config, None)


def test_other_chunk_sizes_build_again(config, folder):
    first = update_index(config, [folder])
    other = Settings(data_dir=config.data_dir, chunk_tokens=100)
    assert update_index(other, [folder])["generation"] != first["generation"]


def test_nothing_to_index_says_why_and_leaves_the_index(config, folder, tmp_path):
    before = update_index(config, [folder])["generation"]
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "blank.md").write_text("")
    with pytest.raises(IngestError, match=r"nothing to index in .*empty.*blank\.md.*\.docx"):
        update_index(config, [empty])
    with pytest.raises(IngestError):
        update_index(config, [tmp_path / "nowhere"])
    assert read(config)[0].generation == before


def test_a_damaged_current_generation_is_passed_over_then_replaced(config, folder):
    old = update_index(config, [folder])["generation"]
    (folder / "new.md").write_text("# New\n\nRandomised slots estimate the propensity.\n")
    damaged = update_index(config, [folder])["generation"]
    path = config.data_dir / "index" / "generations" / damaged / "chunks.jsonl"
    path.write_text(path.read_text() + "{}")
    index, problems = read(config)
    assert index.generation == old
    assert damaged in problems[0]
    new = update_index(config, [folder])["generation"]
    index, problems = read(config)
    assert (index.generation, problems) == (new, [])
    assert len(index.documents) == 3


def test_an_index_beyond_repair_is_built_from_nothing(config, folder):
    name = update_index(config, [folder])["generation"]
    shutil.rmtree(config.data_dir / "index" / "generations" / name)
    assert update_index(config, [folder])["added"] == 2
    assert uris(config) == ["bias.md", "fraud.md"]


def test_another_embedding_model_builds_from_nothing(config, folder, loaded, monkeypatch):
    update_index(config, [folder])
    monkeypatch.setattr(
        rag.indexing, "embedder_fingerprints", lambda settings: ("other", "fake-late")
    )
    update_index(config, [folder])
    assert len(loaded[1].embedded) == len(loaded[0].embedded) > 0


def test_one_process_builds_at_a_time(config, folder):
    store = GenerationStore(config.data_dir / "index")
    with store.lock(), pytest.raises(IndexStoreError, match="another process"):
        update_index(config, [folder])


def test_a_failing_build_leaves_the_old_generation(config, folder, monkeypatch):
    before = update_index(config, [folder])["generation"]
    (folder / "fraud.md").unlink()

    def broken(folder, manifest):
        raise IndexStoreError("the disk went away")

    monkeypatch.setattr(rag.indexing, "read_index", broken)
    with pytest.raises(IndexStoreError, match="disk"):
        update_index(config, [folder])
    assert read(config)[0].generation == before
    assert len(uris(config)) == 2
