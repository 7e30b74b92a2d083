import numpy as np
import pytest

from index.embedding import LateInteractionEmbedder, SentenceEmbedder, TokenCounter
from tests.index.tiny_onnx import make_model

# Every text starts with [CLS], whose vector is (3, 4, 0): normalised (.6, .8, 0).


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_counter_counts_without_special_tokens_or_limit(folder):
    count = TokenCounter(folder)
    assert count("") == 0
    assert count("bias click") == 2
    assert count("bias " * 5000) == 5000


def test_a_sentence_is_the_normalised_vector_of_its_first_token(folder):
    embedder = SentenceEmbedder(folder, fingerprint="tiny", query_prefix="find: ", threads=1)
    assert (embedder.fingerprint, embedder.dimension) == ("tiny", 3)
    np.testing.assert_allclose(embedder.embed_query("bias"), [0.6, 0.8, 0], atol=1e-6)
    matrix = embedder.embed_documents(["bias", "click fraud"])
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [[0.6, 0.8, 0]] * 2, atol=1e-6)
    assert embedder.embed_documents([]).shape == (0, 3)


def test_late_interaction_keeps_a_quantized_vector_a_token_in_the_order_of_the_texts(folder):
    embedder = LateInteractionEmbedder(folder, fingerprint="tiny", threads=1)
    texts = [*["bias click fraud bias"] * 40, "fraud"]
    seen = []
    matrices = embedder.embed_documents(texts, lambda done, total: seen.append((done, total)))
    assert seen == [(32, 41), (41, 41)]
    assert {matrix.dtype for matrix in matrices} == {np.dtype(np.int8)}
    cls, bias, click, fraud = [76, 102, 0], [127, 0, 0], [0, 127, 0], [0, 0, 127]
    assert matrices[-1].tolist() == [cls, fraud, [0, 0, 127]]
    assert matrices[0].tolist() == [cls, bias, click, fraud, bias, [0, 0, 127]]


def test_query_and_document_prefixes_are_tokens_of_their_own(folder):
    embedder = LateInteractionEmbedder(
        folder, fingerprint="tiny", query_prefix="[Q] ", document_prefix="find: ", threads=1
    )
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        embedder.embed_query("bias"), [[0.6, 0.8, 0], [0, half, half], [1, 0, 0], [0, 0, 1]],
        atol=1e-6,
    )  # fmt: skip
    (matrix,) = embedder.embed_documents(["bias"])
    assert matrix.tolist() == [[76, 102, 0], [90, 90, 0], [127, 0, 0], [0, 0, 127]]
