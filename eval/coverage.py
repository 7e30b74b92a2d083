"""Does a corpus hold what its readers ask for? Looks for key facts in the passages retrieved.

A fact is found where one passage states its numbers, and shares its terms or comes close to it by
late interaction (Khattab and Zaharia 2020). Rough by nature: what is listed as missing, and some
of what is not, has to be read. Knows nothing of how a stage ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from eval.cases import Case
from eval.estimates import mean
from eval.retrieval import Advance
from index.bm25 import terms
from index.embedding import TokenEmbedder
from index.hits import Stage
from index.late_interaction import dequantize, maxsim
from ingest.documents import Chunk
from rag.answers import Retrieval
from rag.facts import missing_numbers

K = 5
# Of 134 facts read by hand, 125 were there; these limits missed 14 of those and let 2 others pass.
MIN_TERMS, MIN_SIMILARITY = 0.6, 0.85


class Retriever(Protocol):
    """The part of `rag.pipeline.RagPipeline` that is needed here."""

    def retrieve(self, question: str, *, k: int, stage: Stage) -> Retrieval:
        """Return the best `k` hits of a stage."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """How near the best passage comes to a fact; `rank` and `doc` say which passage it is."""

    query_id: str
    fact: str
    found: bool
    terms: float
    similarity: float
    missing_numbers: tuple[str, ...]
    rank: int
    doc: str


def measure_coverage(
    retriever: Retriever,
    token_embedder: TokenEmbedder,
    cases: Sequence[Case],
    *,
    seed: int,
    advance: Advance = lambda: None,
) -> dict[str, Any]:
    """Return the share of key facts found, per question and overall, and every finding."""
    findings: list[Finding] = []
    for case in cases:
        retrieval = retriever.retrieve(case.question, k=K, stage="reranked")
        chunks = [hit.chunk for hit in retrieval.hits[:K]]
        vectors = token_embedder.embed_documents([chunk.search_text for chunk in chunks])
        for fact in case.key_facts:
            query = token_embedder.embed_query(fact)
            findings.append(_look_for(fact, query, case.query_id, chunks, vectors, retrieval))
        advance()
    shares = {
        case.query_id: float(np.mean([f.found for f in findings if f.query_id == case.query_id]))
        for case in cases
        if case.key_facts
    }
    return {
        "facts": len(findings),
        "facts_found": sum(finding.found for finding in findings),
        "key_fact_share": asdict(mean(list(shares.values()), seed)),
        "per_question": shares,
        "findings": [asdict(finding) for finding in findings],
    }


def coverage_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the report: what is missing, question by question, then the shares."""
    lines = []
    for row in result["findings"]:
        if not row["found"]:
            numbers = f", without {', '.join(row['missing_numbers'])}" * bool(
                row["missing_numbers"]
            )
            near = f"{row['doc']}: terms {row['terms']:.2f}, late {row['similarity']:.2f}{numbers}"
            lines.append(f"missing: {row['query_id']}: {escape(row['fact'])} (nearest: {near})")
    share = result["key_fact_share"]
    found, facts = result["facts_found"], result["facts"]
    if facts:
        lines.append(
            f"key facts in the first {K} passages: {found} of {facts}, {found / facts:.3f}"
        )
        interval = f"{share['low']:.3f} to {share['high']:.3f}"
        lines.append(f"mean over {share['n']} questions: {share['value']:.3f} ({interval})")
    else:
        lines.append("the cases have no key_facts: nothing to look for")
    return lines


def _look_for(
    fact: str,
    query: NDArray[np.float32],
    query_id: str,
    chunks: Sequence[Chunk],
    vectors: Sequence[NDArray[np.int8]],
    retrieval: Retrieval,
) -> Finding:
    wanted = {term for term in terms(fact) if not any(c.isdigit() for c in term)}
    best = Finding(query_id, fact, False, 0.0, 0.0, (), 0, "")
    for rank, (chunk, tokens) in enumerate(zip(chunks, vectors, strict=True), start=1):
        text = chunk.search_text
        share = len(wanted & set(terms(text))) / len(wanted) if wanted else 1.0
        similarity = float(maxsim(query, dequantize(tokens)).mean())
        lacking = tuple(missing_numbers(fact, text))
        found = not lacking and (share >= MIN_TERMS or similarity >= MIN_SIMILARITY)
        doc = retrieval.documents[chunk.doc_id].uri
        this = Finding(query_id, fact, found, share, similarity, lacking, rank, doc)
        best = max(best, this, key=lambda f: (f.found, f.terms + f.similarity))
    return best
