"""Judges of (claim, source): the support check of the answer path, its parts, and a baseline.

Verdicts are cached: the LLM takes a second for each. Knows nothing of what is judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from eval.answers import Judge
from eval.cache import Cache
from index.embedding import TokenEmbedder
from ingest.chunking import chunk_document
from ingest.documents import Chunk, Document, Unit
from ingest.structure import parse_blocks
from rag.entailment import Entailment
from rag.evidence import Passage
from rag.grounding import Grounds, novelty, says_the_same
from rag.llm import LLM
from rag.prompts import verify_messages

SUPPORT_CHECK = "support check"


def passage_from_text(text: str) -> Passage:
    """Return `text` as a passage with its units, as if it were a document of its own."""
    document = Document("source", "source", "", text, hashlib.sha256(text.encode()).hexdigest())
    chunks = chunk_document(
        document,
        parse_blocks(text),
        count_tokens=lambda words: len(words.split()),
        max_tokens=100_000,
        overlap_tokens=0,
    )
    units = tuple(unit for chunk in chunks for unit in chunk.units)
    whole = Chunk("source", "source", 0, 0, len(text), text, (), "text", text)
    return Passage(1, document, whole, units or (Unit(0, len(text), text),), 1.0)


def make_judges(
    token_embedder: TokenEmbedder,
    llm: LLM | None,
    cache: Cache,
    version: str,
    entailment: Entailment | None = None,
) -> dict[str, Judge]:
    """Return the judges by name; "support check" is what answers are held against.

    It finds no support where an exact part is missing, and full support where the passage says
    the claim in its own words; between them it asks the entailment model, else the LLM, and takes
    the similarity without either.
    """

    def rules(claim: str, source: str) -> float:
        passage = passage_from_text(source)
        return Grounds([passage], token_embedder).check(claim, [passage])[0].score

    def stated(claim: str, source: str) -> float | None:
        return llm.yes_probability(verify_messages(claim, source)) if llm else None

    def support(claim: str, source: str) -> float | None:
        passage = passage_from_text(source)
        (found,) = Grounds([passage], token_embedder).check(claim, [passage])
        if found.contradicted:
            return 0.0
        if says_the_same(claim, found.quote):
            return 1.0
        if entailment is not None:
            return entailment.probability(source, claim)
        return stated(claim, source) if llm else found.score

    judges: dict[str, Callable[[str, str], float | None]] = {
        "word overlap": word_overlap,
        "rules": rules,
        SUPPORT_CHECK: support,
    }
    if llm is not None:
        judges["LLM yes or no"] = stated

    if entailment is not None:
        judges["entailment model"] = lambda claim, source: entailment.probability(source, claim)

    def cached(name: str, judge: Callable[[str, str], float | None]) -> Judge:
        def ask(claim: str, source: str) -> float:
            models = [llm.name if llm else "", entailment.name if entailment else ""]
            key = ["judge", name, version, *models, claim, source]
            return float(cache.get(key, lambda: judge(claim, source) or 0.0))

        return ask

    return {name: cached(name, judge) for name, judge in judges.items()}


def word_overlap(claim: str, source: str) -> float:
    """Return the share of the claim's terms that the source has: the baseline to beat."""
    return 1 - novelty(claim, source)
