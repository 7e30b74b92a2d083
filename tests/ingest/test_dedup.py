import pytest

from ingest.dedup import exact_duplicates, fingerprint, near_duplicates

WORDS = [f"w{n}" for n in range(40)]


def test_equal_words_make_exact_duplicates():
    texts = [("a", "The  cat, sat."), ("b", "other"), ("c", "the cat sat")]
    assert fingerprint("The  cat, sat.") == fingerprint("the cat sat")
    assert exact_duplicates(texts) == {"c": "a"}


def test_near_duplicates_carry_their_jaccard_similarity():
    changed = [*WORDS[:39], "x"]  # 37 shingles of four words each, one of them changed
    texts = {
        "a": " ".join(WORDS),
        "b": " ".join(changed),
        "c": "nothing to do with any of it at all",
    }
    assert near_duplicates(texts, 0.8) == [("a", "b", pytest.approx(36 / 38))]
    assert near_duplicates(texts, 0.96) == []


def test_short_texts_are_never_near():
    assert near_duplicates({"a": "one two", "b": "one two"}, 0.5) == []
