"""RAGAS in a process of its own: samples come on stdin, one JSON line a score goes to stdout.

`python -m eval.ragas_judge` is started by `eval.faithfulness`; the LLM that judges is reached at
an OpenAI-compatible address, and decodes under the JSON schema that RAGAS expects. RAGAS costs
2 s and 200 MB to import and posts telemetry unless told otherwise, hence the process.
"""

# ruff: noqa: E402  (the environment variable comes before the imports)

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # must be set before the import, and be this word
warnings.simplefilter("ignore")

import httpx
from pydantic import BaseModel, create_model
from pydantic.types import conlist
from ragas.llms.base import InstructorBaseRagasLLM
from ragas.metrics.collections import (
    ContextPrecisionWithReference,
    ContextRecall,
    Faithfulness,
)
from ragas.metrics.collections.faithfulness.util import (
    NLIStatementInput,
    NLIStatementOutput,
    StatementFaithfulnessAnswer,
)

MAX_TOKENS = 700
Model = TypeVar("Model", bound=BaseModel)
Score = Callable[[], Awaitable[Mapping[str, Any]]]


class SchemaLLM(InstructorBaseRagasLLM):
    """A chat endpoint whose decoding follows the response model's JSON schema."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self._model = model
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=None,  # the caller sets one around each score
            trust_env=False,
        )

    def generate(self, prompt: str, response_model: type[Model]) -> Model:
        """Refuse: every metric here is asynchronous."""
        raise NotImplementedError("use agenerate")

    async def agenerate(self, prompt: str, response_model: type[Model]) -> Model:
        """Return the answer to `prompt` as a `response_model`."""
        schema = {"name": "answer", "strict": True, "schema": response_model.model_json_schema()}
        response = await self._client.post(
            "chat/completions",
            json={
                "model": self._model,
                "messages": [{"role": "user", "content": prompt}],
                "temperature": 0,
                "max_tokens": MAX_TOKENS,
                "response_format": {"type": "json_schema", "json_schema": schema},
            },
        )
        response.raise_for_status()
        content = response.json()["choices"][0]["message"]["content"]
        return response_model.model_validate_json(content)


class CountedFaithfulness(Faithfulness):
    """The stock metric, but with one verdict a statement: it divides by those that come back."""

    async def _create_verdicts(self, statements: Sequence[str], context: str) -> NLIStatementOutput:
        n = len(statements)
        counted = create_model(
            "NLIStatementOutput",
            statements=(conlist(StatementFaithfulnessAnswer, min_length=n, max_length=n), ...),
        )
        asked = NLIStatementInput(context=context, statements=list(statements))
        answer: Any = await self.llm.agenerate(self.nli_statement_prompt.to_string(asked), counted)
        self.verdicts = [int(verdict.verdict == 1) for verdict in answer.statements]
        return NLIStatementOutput(statements=answer.statements)


class CheckedFaithfulness(Faithfulness):
    """The stock metric with the sentences as statements and the support check's verdicts."""

    def __init__(self, llm: SchemaLLM, sentences: Sequence[str], verdicts: Sequence[int]) -> None:
        super().__init__(llm=llm, name="faithfulness, verdicts by the support check")
        self._sentences, self._verdicts = sentences, verdicts

    async def _create_statements(self, question: str, response: str) -> list[str]:
        return list(self._sentences)

    async def _create_verdicts(self, statements: Sequence[str], context: str) -> NLIStatementOutput:
        return NLIStatementOutput(
            statements=[
                StatementFaithfulnessAnswer(statement=statement, reason="", verdict=verdict)
                for statement, verdict in zip(statements, self._verdicts, strict=True)
            ]
        )


def scores(job: Mapping[str, Any], llm: SchemaLLM) -> Score:
    """Return what computes the scores of one job: a sample, or a labelled claim."""

    async def claim() -> Mapping[str, Any]:
        metric = CountedFaithfulness(llm=llm)
        await metric._create_verdicts([job["claim"]], job["source"])
        return {"verdicts": metric.verdicts}

    async def sample() -> Mapping[str, Any]:
        asked = {name: job[name] for name in ("user_input", "retrieved_contexts")}
        stock = CountedFaithfulness(llm=llm)
        faithful = await stock.ascore(**asked, response=job["response"])
        checked = CheckedFaithfulness(llm, job["sentences"], job["support"])
        by_check = await checked.ascore(**asked, response=job["response"])
        found: dict[str, Any] = {
            "faithfulness": faithful.value,
            "faithfulness, verdicts by the support check": by_check.value,
        }
        sentences = CountedFaithfulness(llm=llm)
        await sentences._create_verdicts(job["sentences"], "\n".join(job["retrieved_contexts"]))
        found["sentence_verdicts"] = sentences.verdicts
        if job["reference"]:
            for metric in (ContextPrecisionWithReference(llm=llm), ContextRecall(llm=llm)):
                score = await metric.ascore(**asked, reference=job["reference"])
                found[metric.name] = score.value
        return found

    return claim if "claim" in job else sample


async def main() -> None:
    """Score the jobs of stdin one after the other: the local LLM has one slot to spare."""
    request = json.load(sys.stdin)
    llm = SchemaLLM(request["url"], request["key"], request["model"])
    for job in request["jobs"]:
        try:
            result = await asyncio.wait_for(scores(job, llm)(), request["timeout_s"])
        except (TimeoutError, httpx.HTTPError, ValueError) as error:
            result = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps({"id": job["id"], **result}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
