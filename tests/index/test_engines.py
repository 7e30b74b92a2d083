"""One contract for all engines: what every Searcher promises."""

import numpy as np
import pytest

from index import bm25
from index.bm25 import BM25s, RankBM25, load_bm25, terms
from index.hnsw import HnswIndex
from index.late_interaction import LateInteractionIndex
from tests.conftest import FakeEmbedder, FakeTokenEmbedder

TEXTS = [
    "position bias is corrected with inverse propensity weighting",
    "fraud detection needs velocity features and a rule engine",
    "a feature store joins features as of a point in time",
    "two towers retrieve candidates from an ANN index",
    "the cache is warmed before traffic is shifted",
]


class Bench:
    """An engine with its own way to write a query down, and its loader."""

    def __init__(self, engine, encode, load):
        self.engine, self.encode, self.load = engine, encode, load

    def search(self, text, k, allowed=None, engine=None):
        return (engine or self.engine).search(self.encode(text), k, allowed)


def build(name, texts=TEXTS):
    if name == "rank_bm25":
        return Bench(RankBM25([terms(t) for t in texts]), str, load_bm25)
    if name == "bm25s":
        return Bench(BM25s.build([terms(t) for t in texts]), str, load_bm25)
    if name == "hnsw":
        embedder = FakeEmbedder()
        return Bench(
            HnswIndex.build(embedder.embed_documents(texts)), embedder.embed_query, HnswIndex.load
        )
    embedder = FakeTokenEmbedder()
    return Bench(
        LateInteractionIndex.build(embedder.embed_documents(texts)),
        embedder.embed_query,
        LateInteractionIndex.load,
    )


@pytest.fixture(params=["rank_bm25", "bm25s", "hnsw", "late"])
def bench(request):
    return build(request.param)


@pytest.mark.parametrize("position", range(len(TEXTS)))
def test_a_text_finds_itself_first(bench, position):
    assert bench.search(TEXTS[position], 3)[0][0] == position


def test_scores_fall_and_positions_are_distinct(bench):
    found = bench.search("features and candidates for fraud detection", 5)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len({position for position, _ in found}) == len(found) > 0
    assert all(type(p) is int and type(s) is float for p, s in found)


def test_k_bounds_the_result(bench):
    assert len(bench.search("features fraud candidates cache bias", 2)) == 2
    assert len(bench.search("features fraud candidates cache bias", 50)) <= len(TEXTS)


def test_only_allowed_positions_come_back(bench):
    allowed = np.array([False, True, True, False, False])
    found = bench.search("position bias weighting features", 5, allowed)
    assert found
    assert {position for position, _ in found} <= {1, 2}


def test_nothing_allowed_finds_nothing(bench):
    assert bench.search("features", 5, np.zeros(len(TEXTS), dtype=bool)) == []


def test_saved_and_loaded_it_answers_the_same(bench, tmp_path):
    bench.engine.save(tmp_path)
    loaded = bench.load(tmp_path)
    for text in TEXTS:
        before, after = bench.search(text, 3), bench.search(text, 3, engine=loaded)
        assert [p for p, _ in before] == [p for p, _ in after]
        assert [s for _, s in before] == pytest.approx([s for _, s in after], abs=1e-5)


def test_a_query_without_known_terms_is_no_error():
    for name in ("rank_bm25", "bm25s"):
        assert build(name).search("the of and", 5) == []
        assert build(name).search("zzzz", 5) == []


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("100ms", "100 ms"), ("100 ms", "100ms"), ("p99 latency", "P99"), ("IVF-PQ", "ivf pq"),
        ("MMoE heads", "mmoe"), ("rankers", "ranking ranker"), ("DCN-v2", "dcn-v2"), ("C++", "c++"),
    ],
)  # fmt: skip
def test_terms_meet(written, asked):
    assert set(terms(written)) & set(terms(asked))


def test_stop_words_are_no_terms():
    assert terms("How do I do this?") == []


def test_the_engine_follows_the_number_of_chunks(monkeypatch):
    monkeypatch.setattr(bm25, "RANK_BM25_LIMIT", 2)
    assert isinstance(bm25.build_bm25(TEXTS[:2]), RankBM25)
    assert isinstance(bm25.build_bm25(TEXTS[:3]), BM25s)


def test_hnsw_recall_is_measured_against_exact_search():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((500, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert HnswIndex.build(vectors).recall() > 0.95


def test_maxsim_by_hand():
    passages = [np.array([[127, 0], [0, 127]], np.int8), np.array([[127, 0]], np.int8)]
    query = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    ranking = LateInteractionIndex.build(passages).rank(query, [0, 1])
    # passage 0: best cosines 1 and .8; passage 1: 1 and .6
    assert ranking == [(0, pytest.approx(0.9)), (1, pytest.approx(0.8))]
