"""Lints case files: quotes that exist, no question twice, splits that share no topic.

Findings are sentences that name the case. Nothing here knows how a question is answered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from eval.cases import Case, load_cases
from eval.claims import load_claims
from eval.practice_cases import load_practice
from eval.qrels import reduced
from index.bm25 import terms
from ingest.questions import FILE_NAME, load_questions
from rag.grounding import novelty

SPLITS = ("dev", "test")
FIT = "fit"  # what weights are fitted on: eval.abstention
SAME_QUESTION = 0.6  # Jaccard of the terms of two questions
_DIFFERENT = 1  # a question of one term says too little to be called a repetition


def check_cases(docs: Path, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the findings about the case files in `folder`, and figures about them."""
    texts = _texts(docs)
    cases = {split: load_cases(folder / f"{split}.jsonl") for split in SPLITS}
    claims = {split: load_claims(folder / f"claims_{split}.jsonl") for split in SPLITS}
    probes = {split: load_practice(folder / f"practice_{split}.jsonl") for split in SPLITS}
    measured = [case for split in SPLITS for case in cases[split]]
    fitted = _fitted(folder)
    findings: list[str] = []
    for case in [*measured, *fitted]:
        for gold in case.relevant:
            findings += _missing(texts, case.query_id, [gold.doc], gold.quote)
    for split in SPLITS:
        for claim in claims[split]:
            findings += _missing(texts, claim.id, [claim.doc], claim.source)
        for probe in probes[split]:
            for point in probe.points:
                findings += _missing(texts, f"{probe.id} {point.id}", probe.docs, point.evidence)
    findings += _repeated(measured)
    findings += _repeated(fitted)
    findings += _known({case.question: f"{FIT}.jsonl" for case in fitted}, measured)
    findings += _known(_asked_in(docs), [*measured, *fitted])
    findings += _shared_quotes({**cases, FIT: fitted})
    for kind in (cases, claims, probes):
        findings += _shared_topics(kind)
    findings += _shared_ids([*cases.values(), *claims.values(), *probes.values(), fitted])
    figures = {split: _figures(cases[split]) for split in SPLITS}
    for split in SPLITS:
        figures[split]["claims"] = Counter(claim.label for claim in claims[split])
        figures[split]["practice probes"] = len(probes[split])
        figures[split]["graded answers"] = sum(len(p.answers) for p in probes[split])
    return findings, figures


def case_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures as lines for a terminal."""
    for split, of in figures.items():
        overlap = ", ".join(f"{tag} {share:.2f}" for tag, share in of["overlap"].items())
        claims = ", ".join(f"{n} {label}" for label, n in of["claims"].items())
        yield (
            f"{split}: {of['answerable']} answerable, {of['unanswerable']} unanswerable questions;"
            f" claims: {claims}; {of['practice probes']} practice probes with"
            f" {of['graded answers']} graded answers"
        )
        yield f"  tags: {', '.join(f'{tag} {n}' for tag, n in of['tags'].items())}"
        yield f"  terms of the question that its gold quotes have: {overlap}"


def lexical_overlap(case: Case) -> float:
    """Return the share of the question's terms that its gold quotes have."""
    return 1 - novelty(case.question, " ".join(gold.quote for gold in case.relevant))


def _texts(docs: Path) -> dict[str, str]:
    return {
        path.relative_to(docs).as_posix(): reduced(path.read_text(encoding="utf-8"))
        for path in sorted(docs.rglob("*.md"))
    }


def _missing(texts: Mapping[str, str], name: str, docs: Sequence[str], quote: str) -> Iterator[str]:
    if absent := [doc for doc in docs if doc not in texts]:
        yield f"{name}: there is no document {', '.join(absent)}"
    elif not any(reduced(quote) in texts[doc] for doc in docs):
        yield f"{name}: {', '.join(docs)} does not contain {quote[:80]!r}"


def _repeated(cases: Sequence[Case]) -> Iterator[str]:
    asked = {case.query_id: set(terms(case.question)) for case in cases}
    for one, other in combinations(asked, 2):
        if _same(asked[one], asked[other]):
            yield f"{one} and {other} ask the same: {', '.join(sorted(asked[one] & asked[other]))}"


def _fitted(folder: Path) -> list[Case]:
    path = folder / f"{FIT}.jsonl"
    return load_cases(path) if path.is_file() else []


def _asked_in(docs: Path) -> dict[str, str]:
    """Return the corpus's own questions, with where they stand."""
    path = docs / FILE_NAME
    found, _ = load_questions(path) if path.is_file() else ({}, [])
    return {q: str(path) for rows in found.values() for _, qs in rows for q in qs}


def _known(questions: Mapping[str, str], cases: Sequence[Case]) -> Iterator[str]:
    """Yield the cases that `questions` ask, too: being right about these would prove nothing."""
    known = {q: set(terms(q)) for q in questions}
    for case in cases:
        asked = set(terms(case.question))
        for question, said in known.items():
            if _same(asked, said):
                yield f"{case.query_id} is asked in {questions[question]}: {question!r}"


def _same(one: Set[str], other: Set[str]) -> bool:
    both = one & other
    return len(both) > _DIFFERENT and len(both) >= SAME_QUESTION * len(one | other)


def _shared_topics(splits: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    dev, test = ({row.topic for row in splits[split]} for split in SPLITS)
    for topic in sorted(dev & test):
        yield f"the topic {topic!r} is in both splits"


def _shared_quotes(splits: Mapping[str, Sequence[Case]]) -> Iterator[str]:
    """Yield the questions whose answer is a test question's, too: tuning would see it."""
    test = {
        (gold.doc, reduced(gold.quote)): case.query_id
        for case in splits["test"]
        for gold in case.relevant
    }
    for split in ("dev", FIT):
        for case in splits[split]:
            shared = {test.get((gold.doc, reduced(gold.quote))) for gold in case.relevant} - {None}
            if shared:
                names = ", ".join(map(str, shared))
                yield f"{case.query_id} ({split}) shares a quote with {names} (test)"


def _shared_ids(files: Iterable[Sequence[Any]]) -> Iterator[str]:
    seen: dict[str, int] = defaultdict(int)
    for rows in files:
        for row in rows:
            seen[getattr(row, "query_id", "") or row.id] += 1
    for name, count in seen.items():
        if count > 1:
            yield f"{name} is used {count} times"


def _figures(cases: Sequence[Case]) -> dict[str, Any]:
    answerable = [case for case in cases if case.answerable]
    tags = Counter(tag for case in cases for tag in case.tags)
    forms = [tag for tag in ("paraphrase", "natural", "keyword", "sloppy") if tag in tags]
    return {
        "answerable": len(answerable),
        "unanswerable": len(cases) - len(answerable),
        "topics": sorted({case.topic for case in cases}),
        "tags": dict(tags.most_common()),
        "overlap": {
            tag: float(np.mean([lexical_overlap(c) for c in answerable if tag in c.tags]))
            for tag in forms
        },
    }
