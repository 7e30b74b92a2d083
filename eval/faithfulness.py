"""RAGAS scores for answers that were recorded, with the local LLM as the judge.

Starts `eval.ragas_judge` as a process and caches every score. A judge that is not measured is not
believed: the same judge also gets labelled claims.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.answers import SUPPORTED, Judge, Record
from eval.cache import Cache
from eval.cases import Case
from eval.claims import Claim
from eval.errors import JudgeError
from eval.estimates import mean, rate
from eval.grounding import kappa
from eval.retrieval import Advance
from rag.llm import LLM
from rag.llm.openai import OpenAILLM

TIMEOUT_S = 240.0  # a sample is up to nine calls of a small model on a laptop
METRICS = (
    "faithfulness",
    "faithfulness, verdicts by the support check",
    "context_precision_with_reference",
    "context_recall",
)
Job = Mapping[str, Any]


def ragas_scores(
    jobs: Sequence[Job], endpoint: Mapping[str, str], cache: Cache, advance: Advance
) -> dict[str, dict[str, Any]]:
    """Return the scores of each job by its id; what failed has an "error" and is not cached."""
    known: dict[str, dict[str, Any]] = {}
    waiting = []
    for job in jobs:
        found = cache.find(_key(job, endpoint))
        if found is None:
            waiting.append(job)
        else:
            known[job["id"]] = found
            advance()
    for job, scores in _judged(waiting, endpoint):
        if "error" not in scores:
            cache.put(_key(job, endpoint), scores)
        known[job["id"]] = scores
        advance()
    return known


def samples(cases: Sequence[Case], records: Sequence[Record], judge: Judge) -> list[dict[str, Any]]:
    """Return a job for each answered question, with the support check's verdict a sentence."""
    return [
        {
            "id": case.query_id,
            "user_input": case.question,
            "response": record.text,
            "retrieved_contexts": record.contexts(),
            "reference": case.reference,
            "sentences": [sentence["text"] for sentence in record.sentences],
            "support": [
                int(any(judge(sentence["text"], c) >= SUPPORTED for c in record.contexts()))
                for sentence in record.sentences
            ],
        }
        for case, record in zip(cases, records, strict=True)
        if record.answered
    ]


def summarise(
    jobs: Sequence[Job],
    claims: Sequence[Claim],
    scores: Mapping[str, Mapping[str, Any]],
    *,
    seed: int,
) -> dict[str, Any]:
    """Return each metric with n and failures, the judges' agreement and the LLM's accuracy."""
    metrics = {}
    for name in METRICS:
        values = [scores[job["id"]].get(name) for job in jobs]
        good = [float(v) for v in values if v is not None and not math.isnan(v)]
        metrics[name] = {**asdict(mean(good, seed)), "failed": len(values) - len(good)}
    judged = [job for job in jobs if "sentence_verdicts" in scores[job["id"]]]
    by_llm = [bool(v) for job in judged for v in scores[job["id"]]["sentence_verdicts"]]
    by_check = [bool(v) for job in judged for v in job["support"]]
    verdicts = [(c, scores[c.id]["verdicts"][0]) for c in claims if "verdicts" in scores[c.id]]
    return {
        "metrics": metrics,
        "agreement": {
            "sentences": len(by_llm),
            "kappa": kappa(by_llm, by_check),
            "same": asdict(rate([float(a == b) for a, b in zip(by_llm, by_check, strict=True)])),
        },
        "accuracy of the RAGAS judge on labelled claims": asdict(
            rate([float(bool(v) == claim.supported) for claim, v in verdicts])
        ),
        "supported, as the RAGAS judge sees it, of claims that are not": asdict(
            rate([float(v) for claim, v in verdicts if not claim.supported])
        ),
        "errors": {name: s["error"] for name, s in scores.items() if "error" in s},
    }


def endpoint_of(llm: LLM | None) -> dict[str, str]:
    """Return where the process reaches `llm`; raise JudgeError where it has no address."""
    if not isinstance(llm, OpenAILLM):
        raise JudgeError(f"RAGAS needs llama.cpp or an OpenAI-compatible endpoint, not {llm}.")
    return {"url": llm.url, "key": llm.api_key or "", "model": llm.name}


def claim_jobs(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return a job for each labelled claim."""
    return [{"id": c.id, "claim": c.claim, "source": c.source} for c in claims]


def _key(job: Job, endpoint: Mapping[str, str]) -> list[Any]:
    return ["ragas-0.4.3", endpoint["model"], {k: v for k, v in job.items() if k != "id"}]


def _judged(
    jobs: Sequence[Job], endpoint: Mapping[str, str]
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield each job with its scores as the process prints them."""
    if not jobs:
        return
    request = json.dumps({**endpoint, "timeout_s": TIMEOUT_S, "jobs": list(jobs)})
    with subprocess.Popen(
        [sys.executable, "-m", "eval.ragas_judge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request)
            process.stdin.close()
            for job, line in zip(jobs, process.stdout, strict=False):
                scores = json.loads(line)
                del scores["id"]
                yield job, scores
        finally:
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.terminate()
    if process.returncode:
        raise JudgeError(
            f"RAGAS ended with {process.returncode}: see above; is `pip install -e .[eval]` done?"
        )
