import pytest

from index.errors import EmbedderMismatch, IndexCorrupt
from index.hits import Filters
from index.hybrid import build_index, load_index, read_index
from index.storage import GenerationStore, read_manifest
from tests.conftest import FakeEmbedder, FakeTokenEmbedder, make_chunks, make_document

BIAS = make_document(
    "ranking/bias.md",
    "Position bias means that top slots get more clicks.\n\n"
    "Inverse propensity weighting corrects position bias.",
    tags=["ranking"],
)
FRAUD = make_document("fraud.md", "Velocity features catch fraud.", tags=["risk"])
CHUNKS = [*make_chunks(BIAS, "How do I debias?"), *make_chunks(FRAUD, "Features", "list")]


def make_index(previous=None, embedder=None, chunks=CHUNKS):
    return build_index(
        [BIAS, FRAUD], chunks,
        embedder=embedder or FakeEmbedder(), token_embedder=FakeTokenEmbedder(), previous=previous,
    )  # fmt: skip


DENSE, LATE, ANYTHING = FakeEmbedder(), FakeTokenEmbedder(), Filters()


def search(index, query, stage="late", filters=ANYTHING, embedder=DENSE, late=LATE):
    return index.search(
        query, k=10, stage=stage, filters=filters, embedder=embedder, token_embedder=late
    )


@pytest.mark.parametrize("stage", ["bm25", "dense", "fused", "late"])
def test_each_stage_finds_and_explains(stage):
    found = search(make_index(), "inverse propensity weighting", stage)
    assert found.hits[0].chunk == CHUNKS[1]
    assert [hit.rank for hit in found.hits] == list(range(1, len(found.hits) + 1))
    assert {hit.stage for hit in found.hits} == {stage}
    explained = {"bm25": "bm25", "dense": "dense", "fused": "bm25_rank", "late": "late"}[stage]
    assert explained in found.hits[0].explain
    assert not found.degraded


@pytest.mark.parametrize(
    ("filters", "docs"),
    [
        (Filters(documents=["ranking/*"]), {BIAS.id}),
        (Filters(documents=[FRAUD.id]), {FRAUD.id}),
        (Filters(headings=["DEBIAS"]), {BIAS.id}),
        (Filters(kinds=["list"]), {FRAUD.id}),
        (Filters(tags=["risk", "none"]), {FRAUD.id}),
        (Filters(tags=["risk"], kinds=["text"]), set()),
    ],
)
@pytest.mark.parametrize("stage", ["bm25", "dense", "fused", "late"])
def test_filters_hold_in_every_stage(filters, docs, stage):
    found = search(make_index(), "features of position bias and fraud", stage, filters)
    assert {hit.chunk.doc_id for hit in found.hits} == docs


@pytest.mark.parametrize(("stage", "skipped"), [("fused", ["dense"]), ("dense", ["dense"])])
def test_without_the_embedder_bm25_answers(stage, skipped):
    found = search(make_index(), "propensity", stage, embedder=None)
    assert found.hits[0].chunk == CHUNKS[1]
    assert list(found.degraded) == skipped


def test_without_the_token_embedder_the_fused_order_stands():
    found = search(make_index(), "propensity", "late", late=None)
    assert found.hits[0].chunk == CHUNKS[1]
    assert list(found.degraded) == ["late"]


def test_known_texts_are_not_embedded_again():
    first = make_index(chunks=CHUNKS[:2])
    embedder = FakeEmbedder()
    second = make_index(first, embedder)
    assert embedder.embedded == [CHUNKS[2].search_text]
    fresh = make_index()
    assert (second.dense.vectors == fresh.dense.vectors).all()
    assert (second.late.tokens == fresh.late.tokens).all()


def test_vectors_of_another_model_are_not_reused():
    embedder = FakeEmbedder("other")
    make_index(make_index(), embedder)
    assert len(embedder.embedded) == len(CHUNKS)


@pytest.fixture
def store(tmp_path):
    store = GenerationStore(tmp_path)
    for chunks in (CHUNKS[:2], CHUNKS):
        index = make_index(chunks=chunks)
        with store.lock():
            store.publish(index.save, index.manifest, lambda f: read_index(f, read_manifest(f)))
    return store


def load(store, embedder="fake-dense"):
    return load_index(store, embedder=embedder, token_embedder="fake-late")


def test_loaded_it_is_the_same(store):
    index, problems = load(store)
    assert not problems
    assert list(index.chunks) == CHUNKS
    assert index.documents == {BIAS.id: BIAS, FRAUD.id: FRAUD}
    assert index.generation == store.current()
    assert search(index, "velocity").hits[0].chunk == CHUNKS[2]


@pytest.mark.parametrize("name", ["hnsw.bin", "dense.npy", "late_tokens.npy", "chunks.jsonl"])
def test_a_flipped_byte_falls_back_one_generation(store, name):
    path = store.candidates()[0] / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    index, problems = load(store)
    assert len(index.chunks) == 2
    assert name in problems[0]


def test_no_sound_generation_left(store):
    for folder in store.candidates():
        (folder / "dense.npy").unlink()
    with pytest.raises(IndexCorrupt, match="rag ingest"):
        load(store)


def test_an_index_of_another_model_is_refused(store):
    with pytest.raises(EmbedderMismatch, match="RAG_EMBEDDER"):
        load(store, embedder="other")
