import dataclasses

import numpy as np

from index.hits import Filters
from index.hybrid import HybridIndex, build_index
from index.query_map import QueryMap
from tests.conftest import FakeEmbedder, FakeTokenEmbedder, make_chunks, make_document

DOCUMENT = make_document("a.md", "alfa beta.\n\ngamma delta.")


def search(query_map):
    built = build_index(
        [DOCUMENT],
        make_chunks(DOCUMENT),
        embedder=FakeEmbedder(),
        token_embedder=FakeTokenEmbedder(),
    )
    index = HybridIndex(
        [DOCUMENT], built.all_chunks, built.bm25, built.dense, built.late, None, {}, query_map
    )
    found = index.search(
        "alfa beta.", k=1, stage="dense", filters=Filters(), embedder=FakeEmbedder(),
        token_embedder=None,
    )  # fmt: skip
    return built.dense.vectors, found.hits[0].chunk.text


def test_queries_are_mapped_where_the_map_suits_the_documents():
    vectors, plain = search(None)
    alfa, gamma = vectors
    turned = QueryMap(9 * np.outer(alfa, gamma).astype(np.float32), vectors.mean(axis=0))
    assert (plain, search(turned)[1]) == ("alfa beta.", "gamma delta.")
    elsewhere = dataclasses.replace(turned, centre=-turned.centre)
    assert search(elsewhere)[1] == "alfa beta."
    assert not turned.suits(np.zeros((0, len(turned.centre)), dtype=np.float32))
    assert not turned.suits(np.ones((2, 3), dtype=np.float32))


def test_a_map_gives_unit_vectors_and_survives_its_file(tmp_path):
    weights = np.zeros((3, 3), dtype=np.float32)
    weights[0, 2] = 1.0
    QueryMap(weights, np.array([1, 0, 0], dtype=np.float32)).save(tmp_path / "map.npz")
    loaded = QueryMap.load(tmp_path / "map.npz")
    mapped = loaded(np.array([0.6, 0.8, 0.0], dtype=np.float32))
    np.testing.assert_allclose(mapped, np.array([0.6, 0.8, 0.6]) / np.sqrt(1.36), atol=1e-3)
    assert loaded.suits(np.array([[1, 0.1, 0]], dtype=np.float32))
