import pytest

from rag.errors import SettingsError
from rag.spelling import Speller

TEXTS = [
    "Catastrophic forgetting: a penalty or features of a memory prevents it.",
    "Candidates for the cards are ranked; the code of the pipeline is kept.",
    "Real time features. Milvus and Kafka hold the deployment.",
]


@pytest.fixture(scope="module")
def speller():
    return Speller(TEXTS, "en")


@pytest.mark.parametrize(
    ("asked", "repaired"),
    [
        ("whats catastrofic forgeting?", "whats catastrophic forgetting?"),
        ("the pipline, and its featurs", "the pipeline, and its features"),
        ("deploymnt", "deployment"),
    ],
)
def test_words_of_the_corpus_explain_mistakes(speller, asked, repaired):
    assert speller.repair(asked) == repaired


@pytest.mark.parametrize(
    "asked",
    [
        "is fighting melting the tallies routinely",  # in the dictionary, not in the corpus
        "does Kafca or milvis2 or the featur-store help",  # names, codes, parts of compounds
        "which codec and which cands",  # other words that only begin alike, an abbreviation
        "realtime",  # a compound
        "dont and doesn't",
        "xyzzyplugh",
        "",
    ],
)
def test_what_may_be_right_is_left_alone(speller, asked):
    assert speller.repair(asked) == asked


def test_a_language_without_a_dictionary_is_refused():
    assert Speller(TEXTS, "de").repair("pipline") == "pipeline"
    with pytest.raises(SettingsError, match="RAG_SPELLING"):
        Speller(TEXTS, "xx")
