"""Fits the probe of an LLM's states that says whether a sentence answers (`rag.judging`).

Labelled questions are asked; kept are the answerability of their hits, and the LLM's state and
yes at the closest sentence. Figures come from topics left out, with everything fitted anew.
"""

from __future__ import annotations

import argparse
import base64
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from eval.cache import Cache, code_version
from eval.cases import Case, load_cases
from eval.errors import EvalError
from eval.session import Opener, config, draw, own_settings, progress, show
from rag.abstention import OpinionWeights, opinion_facts, with_opinions
from rag.facts import lacks_number
from rag.judging import Probe, YesNoJudge, read_state
from rag.llm.llamacpp import LlamaCppLLM
from rag.pipeline import RagPipeline
from rag.prompts import state_prompt

States = NDArray[np.float32]

_FOLDS = 8
_ASKED = 600  # of the cases are asked yes or no, too: 1 s each, and four weights need no more
_PROBE_STRENGTH, _STRENGTH = 0.01, 10.0  # inverse of the L2 penalty: of 1,536 weights, of four
_ODDS = 4 / 3  # of an answerable question: on dev as many are refused as answered wrongly


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled question: the answerability of its hits, the state at the closest sentence.

    `yes` are the log-odds that the LLM says that the sentence answers, where it was asked.
    """

    topic: str
    answerable: bool
    prior: float
    number_missing: bool
    yes: float | None
    state: States


def fit(samples: Sequence[Sample]) -> Probe:
    """Fit everything; what weighs the probe's opinion sees those on topics left out.

    The probe learns from the closest sentence whether the question is answerable. A second and a
    third sentence added nothing to it (eval/LOG.md).
    """
    said = np.zeros(len(samples))
    for rest, held in _folds(samples):
        weights = _fit_states([samples[i] for i in rest])
        said[held] = [read_state(weights, samples[i].state) for i in held]
    rows = [
        (*opinion_facts(sample.prior, [odds]), sample.number_missing, sample.yes)
        for sample, odds in zip(samples, said.tolist(), strict=True)
        if sample.yes is not None
    ]
    model = _fitted(_STRENGTH, rows, asked(samples))
    hits, probe, missing, yes = model.coef_[0].tolist()
    opinion = OpinionWeights(float(model.intercept_[0]) + math.log(_ODDS), hits, probe, missing)
    return Probe(_fit_states(samples), yes / probe, (opinion,))


def asked(samples: Sequence[Sample]) -> list[Sample]:
    """Return those of which the LLM was asked yes or no."""
    return [sample for sample in samples if sample.yes is not None]


def held_out(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Return P(answerable), (2, asked samples), by fits that did not see the topic.

    First that of the hits, then with the opinion.
    """
    found: dict[int, tuple[float, float]] = {}
    for rest, held in _folds(samples):
        probe = fit([samples[i] for i in rest])
        for i in held:
            sample = samples[i]
            if sample.yes is not None:
                opinion = [probe.odds(sample.state, sample.yes)]
                missing = sample.number_missing
                judged = with_opinions(
                    sample.prior, opinion, probe.opinions, number_missing=missing
                )
                found[i] = (sample.prior, judged)
    return np.array([found[i] for i in sorted(found)]).T


def figures(
    samples: Sequence[Sample], found: NDArray[np.float64], least: float
) -> dict[str, dict[str, float]]:
    """Return how well each row of `found` decides, if from `least` on is answered."""
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

    labels = np.array([sample.answerable for sample in samples])
    return {
        name: {
            "AUROC": round(float(roc_auc_score(labels, row)), 3),
            "refused though answerable": round(float((row[labels] < least).mean()), 3),
            "answered though unanswerable": round(float((row[~labels] >= least).mean()), 3),
        }
        for name, row in zip(("hits", "hits and probe"), found, strict=True)
    }


def _folds(samples: Sequence[Sample]) -> list[tuple[list[int], list[int]]]:
    topics = list(dict.fromkeys(sample.topic for sample in samples))
    if len(topics) < 2:
        raise EvalError("cases of several topics are needed, as one at a time is left out.")
    parts = [set(topics[k::_FOLDS]) for k in range(min(_FOLDS, len(topics)))]
    return [
        (
            [i for i, sample in enumerate(samples) if sample.topic not in part],
            [i for i, sample in enumerate(samples) if sample.topic in part],
        )
        for part in parts
    ]


def _fit_states(samples: Sequence[Sample]) -> States:
    """Return weights of states as they are, and the intercept: (width + 1,)."""
    states = np.array([sample.state for sample in samples])
    mean, scale = states.mean(axis=0), states.std(axis=0) + 1e-6
    model = _fitted(_PROBE_STRENGTH, (states - mean) / scale, samples)
    weights = model.coef_[0] / scale
    return np.append(weights, model.intercept_[0] - weights @ mean).astype(np.float32)


def _fitted(strength: float, rows: Any, samples: Sequence[Sample]) -> Any:
    """Return a logistic model of what is answerable, as if as many questions were as not."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    return model.fit(rows, [sample.answerable for sample in samples])


def observe(
    pipeline: RagPipeline,
    llm: LlamaCppLLM,
    case: Case,
    cache: Cache,
    version: Any,
    *,
    ask: bool,
) -> Sample | None:
    """Look at one case, as far as decides whether to answer it; None if nothing is near.

    `ask`: for a yes or no, too.
    """

    def look() -> dict[str, Any]:
        question, found = pipeline.read(case.question)
        return {
            "query": question.repaired,
            "prior": found.extract.answerability,
            "closest": [(passage.heading, unit.plain) for passage, unit in found.closest[:1]],
        }

    seen = cache.get(["abstention", version, case.question], look)
    if not seen["closest"]:
        return None
    sentence = (seen["query"], *seen["closest"][0])
    prompt = state_prompt(*sentence)

    def state() -> str:
        return base64.b64encode(llm.last_state(prompt).astype(np.float16).tobytes()).decode()

    def yes() -> float | None:
        return YesNoJudge(llm).opinion(*sentence)

    kept = base64.b64decode(cache.get(["state", llm.name, prompt], state))
    return Sample(
        case.topic,
        case.answerable,
        seen["prior"],
        lacks_number(seen["query"], sentence[-1]),
        cache.get(["yes", llm.name, *sentence], yes) if ask else None,
        np.frombuffer(kept, dtype=np.float16).astype(np.float32),
    )


def run_abstention(options: argparse.Namespace, opener: Opener) -> None:
    """Fit on the cases, print figures, and write the probe."""
    own = own_settings(options, min_answerability=0.0, probe=False)
    cases = draw(load_cases(options.cases), options.limit, options.seed)
    opened = opener(own, options.docs, True)
    with closing(opened.pipeline) as pipeline:
        if not isinstance(pipeline.llm, LlamaCppLLM):
            raise EvalError("only llama.cpp shows states: unset RAG_LLM_BACKEND.")
        cache = Cache(own.data_dir / "abstention.jsonl")
        used = config(options, own, opened, len(cases))
        version = [code_version(), used["corpus_hash"], used["settings"]]
        seen = []
        drawn = {case.query_id for case in draw(cases, _ASKED, options.seed)}
        with progress("asking", len(cases)) as advance:
            for case in cases:
                ask = case.query_id in drawn
                seen.append(observe(pipeline, pipeline.llm, case, cache, version, ask=ask))
                advance()
    samples = [sample for sample in seen if sample]
    found = asked(samples)
    measured = figures(found, held_out(samples), own.min_answerability_judged)
    fit(samples).save(options.out)
    table = Table(title=f"answerability of {len(found)} questions, topics left out")
    for column in ("", *measured["hits"]):
        table.add_column(column)
    for name, row in measured.items():
        table.add_row(name, *map(str, row.values()))
    result = {"figures": measured, "config": used}
    show(result, options.json, [table, f"probe of {own.llm}: {options.out}"])
