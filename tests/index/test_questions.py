import dataclasses

import numpy as np
import pytest

from index.hits import Filters
from index.hybrid import build_index, load_index, read_index
from index.storage import GenerationStore, read_manifest
from tests.conftest import FakeEmbedder, FakeTokenEmbedder, make_chunks, make_document

DOCUMENT = make_document("a.md", "Tombstones stay.\nCompact them.\n\nVelocity catches fraud.")


def with_questions(chunk, *of_units):
    units = (
        dataclasses.replace(unit, questions=questions)
        for unit, questions in zip(chunk.units, of_units, strict=True)
    )
    return dataclasses.replace(chunk, units=tuple(units))


PLAIN = make_chunks(DOCUMENT)
CHUNKS = [with_questions(PLAIN[0], ("slow lookups after deletes",), ("which remedy",)), PLAIN[1]]


def build(chunks=CHUNKS, previous=None, embedder=None):
    return build_index(
        [DOCUMENT], chunks, embedder=embedder or FakeEmbedder(),
        token_embedder=FakeTokenEmbedder(), previous=previous,
    )  # fmt: skip


def search(index, query, stage="late", filters=Filters()):  # noqa: B008
    return index.search(
        query, k=5, stage=stage, filters=filters, embedder=FakeEmbedder(),
        token_embedder=FakeTokenEmbedder(),
    )  # fmt: skip


@pytest.mark.parametrize("stage", ["fused", "late"])
def test_a_passage_is_found_by_a_question_that_shares_no_word_with_it(stage):
    hit = search(build(), "slow lookups after deletes", stage).hits[0]
    assert hit.chunk == CHUNKS[0]
    assert hit.explain["asked"] == pytest.approx(1, abs=0.001)


def test_late_interaction_tells_the_unit():
    hits = {hit.chunk.id: hit for hit in search(build(), "which remedy").hits}
    hit = hits[CHUNKS[0].id]
    assert hit.asked[1] == pytest.approx(1, abs=0.01)
    assert hit.asked[0] < 0.9
    assert hit.explain["asked_late"] == pytest.approx(hit.asked[1], abs=0.001)


def test_what_has_no_questions_has_no_score_for_them():
    hits = {hit.chunk.id: hit for hit in search(build(), "velocity remedy").hits}
    assert not hits[CHUNKS[1].id].asked
    assert not {"asked", "asked_late"} & hits[CHUNKS[1].id].explain.keys()
    assert build(PLAIN).questions is None
    assert search(build(PLAIN), "velocity").hits[0].chunk == PLAIN[1]


def test_filters_hold_for_questions():
    found = search(build(), "which remedy", filters=Filters(without=[CHUNKS[0].id]))
    assert CHUNKS[0].id not in {hit.chunk.id for hit in found.hits}


def test_known_questions_are_not_embedded_again():
    embedder = FakeEmbedder()
    second = build(previous=build(), embedder=embedder)
    assert embedder.embedded == []
    assert (second.questions.dense == build().questions.dense).all()
    build([with_questions(PLAIN[0], ("new",), ()), PLAIN[1]], build(), embedder)
    assert embedder.embedded == ["new"]


def test_loaded_they_are_the_same(tmp_path):
    store = GenerationStore(tmp_path)
    index = build()
    with store.lock():
        store.publish(index.save, index.manifest, lambda f: read_index(f, read_manifest(f)))
    loaded, problems = load_index(store, embedder="fake-dense", token_embedder="fake-late")
    assert not problems
    assert loaded.questions.rows == index.questions.rows
    assert np.array_equal(loaded.questions.dense, index.questions.dense)
    assert search(loaded, "which remedy").hits == search(index, "which remedy").hits
