"""Repairs the spelling of a question with the words of the corpus.

A word is taken for a mistake if neither the corpus nor a dictionary of the language has it, and is
replaced only by a word of the corpus. Names, numbers and codes are left alone: a product that the
corpus does not know must not become one that it does. Knows nothing of searching.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from spellchecker import SpellChecker

from rag.errors import SettingsError

# Whole words in lower case: no part of user_id, top-k, v2 or an address, and no don't.
_WORD = re.compile(r"(?<![\w./@'’-])[^\W\d_]{4,}(?![\w@]|['’./-]\w)")
_ABBREVIATION = 5  # letters; "cands" is short for candidates rather than wrong for cards
_PART = 4  # letters of each part of a compound that is written as one word: "realtime"
_TWO_MISTAKES = 8  # from so many letters two mistakes may be repaired


class Speller:
    """The words of a corpus, beside a dictionary. Safe to call from several threads."""

    def __init__(self, texts: Iterable[str], language: str) -> None:
        """Learn the words of `texts`; raise SettingsError where `language` has no dictionary."""
        self._dictionary = _dictionary(language)
        # It generates every string one change away; two changes are tried from these.
        self._corpus = SpellChecker(language=None, distance=1)
        self._corpus.word_frequency.load_words(
            word for text in texts for word in re.findall(r"[^\W\d_]{3,}", text.lower())
        )

    def repair(self, question: str) -> str:
        """Return `question` with the mistakes replaced that a word of the corpus explains."""
        return _WORD.sub(lambda match: self._repaired(match.group()), question)

    def _repaired(self, word: str) -> str:
        if not word.islower() or word in self._corpus or word in self._dictionary:
            return word
        words = self._corpus.word_frequency
        start = word.removesuffix("s")
        if len(word) <= _ABBREVIATION and any(known.startswith(start) for known in words):
            return word
        parts = ((word[:at], word[at:]) for at in range(_PART, len(word) - _PART + 1))
        if any(left in self._corpus and right in self._corpus for left, right in parts):
            return word
        near = self._near(word, self._corpus.edit_distance_1(word))
        if not near and len(word) >= _TWO_MISTAKES:
            twice = self._near(word, self._corpus.edit_distance_2(word))
            near = {known for known in twice if known[0] == word[0]}
        return max(near, key=lambda known: (words[known], known)) if near else word

    def _near(self, word: str, changed: Iterable[str]) -> set[str]:
        """Return the words of the corpus among `changed` that are not only longer or shorter.

        Where one begins with the other, it is another form of it, or another word: codec, code.
        """
        known = self._corpus.known(changed)
        return {near for near in known if not near.startswith(word) and not word.startswith(near)}


@cache
def _dictionary(language: str) -> frozenset[str]:
    """Return the words of a language, also as typed without apostrophes: dont."""
    try:
        words = SpellChecker(language=language).word_frequency.words()
    except ValueError as error:
        raise SettingsError(
            f"RAG_SPELLING: there is no dictionary for {language!r}: take en, de, fr, es, it, pt, "
            'nl or ru, or "" to leave questions as they are'
        ) from error
    return frozenset(word.replace("'", "") for word in words) | frozenset(words)
