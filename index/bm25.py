"""BM25 over stemmed terms: rank-bm25 for small corpora, bm25s above `RANK_BM25_LIMIT` chunks.

rank-bm25 scores every chunk in Python for each query (225 queries/s at 3,600 chunks, 4.5 at
58,000); bm25s computes the scores when it is built. Robertson and Zaragoza, "The Probabilistic
Relevance Framework: BM25 and Beyond" (2009).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import Stemmer
from numpy.typing import NDArray

from index.hits import Ranking

RANK_BM25_LIMIT = 4000  # chunks
K1, B = 1.5, 0.75

# "100ms", "p99", "IVF-PQ", "0.5%", "C++" stay whole; their parts are terms as well.
_TERM = re.compile(r"[a-z0-9]+(?:[-_./'’&][a-z0-9]+)*(?:\+\+|%)?")
_PART = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?")
_STOP_WORDS = frozenset(
    """a about all also am an and any are as at be because been before being but by can could did do
    does doing down for from further get had has have having he her here him his how i i'd i'm i've
    if in into is it its it's just let's like me might more most much my no nor not of off on once
    one only or other our out over own same she should so some such than that the their them then
    there these they this those through to too under until up use used using very was we we'd we're
    were what when where which while who whom why will with would you your""".split()
)
# A PyStemmer object keeps state between calls, so every thread has its own.
_local = threading.local()


def _stem(words: list[str]) -> list[str]:
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english")
    return list(_local.stemmer.stemWords(words))


def terms(text: str) -> list[str]:
    """Return the search terms of `text`: lower case, without stop words, stemmed.

    A compound is a term of its own and so are its parts: "IVF-PQ" gives ivf-pq, ivf, pq; "100ms"
    gives 100ms, 100, ms, so that "100 ms" finds it.
    """
    found: list[str] = []
    for match in _TERM.finditer(text.lower().replace("’", "'")):
        word = match.group()
        if word in _STOP_WORDS:
            continue
        parts = _PART.findall(word)
        if len(parts) > 1 and not word.endswith(("'s", "n't")):
            found.append(word)
            found.extend(part for part in parts if part not in _STOP_WORDS)
        else:
            found.append(word.removesuffix("'s"))
    return _stem(found)


class RankBM25:
    """BM25 by rank-bm25: the small-corpus engine and the baseline."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        from rank_bm25 import BM25Okapi

        self._documents = documents
        self._engine = BM25Okapi(documents, k1=K1, b=B)

    def search(self, query: str, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """Return the chunks that share a term with `query`, best first."""
        return _best(np.asarray(self._engine.get_scores(terms(query))), k, allowed)

    def save(self, folder: Path) -> None:
        """Write the terms; the statistics are made again on load."""
        (folder / "bm25_terms.json").write_text(json.dumps(self._documents), encoding="utf-8")


class BM25s:
    """BM25 by bm25s, with the same search as RankBM25 for large corpora."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def build(cls, documents: Sequence[Sequence[str]]) -> BM25s:
        """Index the terms of each chunk."""
        import bm25s

        engine = bm25s.BM25(method="lucene", k1=K1, b=B)
        engine.index([list(document) for document in documents], show_progress=False)
        return cls(engine)

    def search(self, query: str, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """Return the chunks that share a term with `query`, best first."""
        known = [term for term in terms(query) if term in self._engine.vocab_dict]
        if not known:
            return []
        return _best(np.asarray(self._engine.get_scores(known)), k, allowed)

    def save(self, folder: Path) -> None:
        """Write the precomputed scores."""
        self._engine.save(folder / "bm25s", show_progress=False)


def build_bm25(texts: Sequence[str]) -> RankBM25 | BM25s:
    """Index `texts` (a chunk's search text each) with the engine that fits their number."""
    documents = [terms(text) for text in texts]
    if len(documents) <= RANK_BM25_LIMIT:
        return RankBM25(documents)
    return BM25s.build(documents)


def load_bm25(folder: Path) -> RankBM25 | BM25s:
    """Read what `save` wrote into `folder`, whichever engine wrote it."""
    terms_file = folder / "bm25_terms.json"
    if terms_file.exists():
        return RankBM25(json.loads(terms_file.read_text(encoding="utf-8")))
    import bm25s

    return BM25s(bm25s.BM25.load(folder / "bm25s", mmap=True))


def _best(scores: NDArray[np.floating], k: int, allowed: NDArray[np.bool_] | None) -> Ranking:
    usable = scores > 0 if allowed is None else (scores > 0) & allowed
    positions = np.flatnonzero(usable)
    order = positions[np.argsort(-scores[positions], kind="stable")][:k]
    return [(int(position), float(scores[position])) for position in order]
