import numpy as np
import pytest

from index.onnx import OnnxTransformer
from tests.index.tiny_onnx import VECTORS, make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


def transformer(folder, **changes):
    return OnnxTransformer(folder, output="token_embeddings", threads=1, **changes)


def test_a_batch_is_padded_and_masked(folder):
    features = transformer(folder).preprocess(["bias click", "fraud"])
    assert features["input_ids"].tolist() == [[2, 5, 6, 3], [2, 7, 3, 0]]
    assert features["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_pair_has_two_types(folder):
    features = transformer(folder).preprocess([("bias", "click fraud")])
    assert features["input_ids"].tolist() == [[2, 5, 3, 6, 7, 3]]
    assert features["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1]]


def test_a_prompt_goes_before_the_text(folder):
    features = transformer(folder).preprocess(["bias"], prompt="find: ")
    assert features["input_ids"].tolist() == [[2, 8, 5, 3]]


def test_long_texts_are_cut(folder):
    features = transformer(folder, max_tokens=4).preprocess(["bias click fraud bias"])
    assert features["input_ids"].tolist() == [[2, 5, 6, 3]]


def test_a_marker_is_one_token_and_an_unknown_one_is_left_alone(folder):
    # The normalizer would lower [Q] to [q], which the vocabulary lacks.
    plain = transformer(folder).preprocess(["[Q] bias"])
    marked = transformer(folder, markers=("[Q]", "[none]")).preprocess(["[Q] bias [none]"])
    assert plain["input_ids"].tolist() == [[2, 1, 5, 3]]
    assert marked["input_ids"].tolist() == [[2, 4, 5, 1, 3]]


def test_forward_adds_the_output(folder):
    model = transformer(folder)
    features = model.forward(model.preprocess(["bias click"]))
    np.testing.assert_array_equal(features["token_embeddings"][0].numpy(), VECTORS[[2, 5, 6, 3]])
    assert model.get_embedding_dimension() == 3
    assert model.input_names == {"input_ids"}


def test_it_cannot_be_saved(folder, tmp_path):
    with pytest.raises(NotImplementedError, match="copy its folder"):
        transformer(folder).save(str(tmp_path))
