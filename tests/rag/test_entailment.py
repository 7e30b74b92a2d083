import pytest

from rag.entailment import CrossEncoderEntailment
from rag.errors import ModelError
from rag.grounding import Grounds
from tests.conftest import FakeTokenEmbedder, make_document, make_passages

PASSAGES = make_passages(make_document("a.md", "Inverse propensity weighting corrects bias."))
PARAPHRASE = "Bias is corrected when propensity weighting is used."


class FakeEntailment:
    name = "fake"

    def __init__(self, probability):
        self.value = probability
        self.asked = []

    def probability(self, premise, sentence):
        self.asked.append((premise, sentence))
        return self.value


@pytest.mark.parametrize(("probability", "proven"), [(0.95, True), (0.85, False)])
def test_a_paraphrase_is_proven_by_an_entailment_model_alone(probability, proven):
    model = FakeEntailment(probability)
    grounds = Grounds(PASSAGES, FakeTokenEmbedder(), model)
    (support,) = grounds.check(PARAPHRASE, PASSAGES)
    assert grounds.proves(support, PARAPHRASE) is proven
    assert model.asked == [(PASSAGES[0].full_text, PARAPHRASE)]
    assert not Grounds(PASSAGES, FakeTokenEmbedder()).proves(support, PARAPHRASE)


def test_a_copy_needs_no_model_and_a_wrong_number_gets_none():
    model = FakeEntailment(1.0)
    grounds = Grounds(PASSAGES, FakeTokenEmbedder(), model)
    copy = "Inverse propensity weighting corrects bias."
    assert grounds.proves(grounds.check(copy, PASSAGES)[0], copy)
    wrong = "Inverse propensity weighting corrects 40% of bias."
    assert not grounds.proves(grounds.check(wrong, PASSAGES)[0], wrong)
    assert not model.asked


@pytest.fixture
def make_classifier(tmp_path):
    """Return a function that saves a tiny untrained classifier with the given labels."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    def make(*labels):
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bias", "clicks"]
        (tmp_path / "vocab.txt").write_text("\n".join(words))
        BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
        config = BertConfig(
            vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=8, id2label=dict(enumerate(labels)),
        )  # fmt: skip
        BertForSequenceClassification(config).save_pretrained(tmp_path)
        return tmp_path

    return make


def test_the_label_tells_which_probability(make_classifier):
    folder = make_classifier("contradiction", "ENTAILMENT", "neutral")
    model = CrossEncoderEntailment(folder, name="tiny")
    assert 0 < model.probability("bias", "clicks") < 1


def test_a_model_without_the_label_is_refused(make_classifier):
    with pytest.raises(ModelError, match="RAG_ENTAILMENT"):
        CrossEncoderEntailment(make_classifier("LABEL_0", "LABEL_1", "LABEL_2"), name="tiny")
