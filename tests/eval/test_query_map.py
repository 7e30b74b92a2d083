import dataclasses

import numpy as np
import pytest

from eval.query_map import fit_query_map
from index.hybrid import build_index
from tests.conftest import FakeEmbedder, FakeTokenEmbedder, make_chunks, make_document

DOCUMENT = make_document("a.md", "alfa beta.\n\ngamma delta.\n\nepsilon zeta.")
ASKED = ("one two", "three four", "five six")  # no word of the passages


def build(with_questions=True):
    chunks = make_chunks(DOCUMENT)
    if with_questions:
        chunks = [
            dataclasses.replace(c, units=(dataclasses.replace(c.units[0], questions=(q,)),))
            for c, q in zip(chunks, ASKED, strict=True)
        ]
    return build_index(
        [DOCUMENT], chunks, embedder=FakeEmbedder(), token_embedder=FakeTokenEmbedder()
    )


def test_mapped_questions_lie_closest_to_the_passages_that_answer_them():
    index, embedder = build(), FakeEmbedder()
    steps = []
    fitted = fit_query_map(index, embedder, seed=0, advance=lambda: steps.append(1))
    assert fitted.suits(index.dense.vectors)
    assert len(steps) == 400
    for number, question in enumerate(ASKED):
        assert np.argmax(index.dense.vectors @ fitted(embedder.embed_query(question))) == number


def test_without_questions_there_is_nothing_to_fit():
    with pytest.raises(ValueError, match=r"questions\.jsonl"):
        fit_query_map(build(with_questions=False), FakeEmbedder(), seed=0)
