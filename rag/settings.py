"""Every tunable, its default and its environment name: `RAG_` and the field's name in capitals.

The only module that reads the environment. A name that is not here fails at load, so that a typo
cannot pass for a setting.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as NotJson

from rag.errors import SettingsError

_PREFIX = "RAG_"


class Settings(BaseSettings):
    """All settings. A model is a name of `rag models list`, a local path, or a hub name."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    # Where things are
    data_dir: Path = Field(Path(".data"), description="index and databases")
    model_dir: Path | None = Field(None, description="models; default: the user's cache folder")

    # Models
    embedder: str = "bge-small-en-v1.5"
    embedder_query_prefix: str = "Represent this sentence for searching relevant passages: "
    query_map: bool = Field(
        True,
        description="map query vectors, where rag/query_maps has a map of the embedder that was "
        "fitted on the field of the documents",
    )
    token_embedder: str = "answerai-colbert-small-v1"
    token_query_prefix: str = "[unused0] "
    token_document_prefix: str = "[unused1] "
    reranker: str = Field("ms-marco-minilm-l12-v2", description='cross-encoder; "" for none')
    entailment: str = Field(
        "", description='model for natural language inference, to prove paraphrases; "" for none'
    )
    threads: int | None = Field(None, ge=1, description="CPU threads a model; default: all cores")

    # LLM
    llm_backend: Literal["llamacpp", "transformers", "openai"] = "llamacpp"
    llm: str = Field("qwen2.5-coder-1.5b", description="model of llamacpp and transformers")
    probe: bool = Field(
        True, description="judge sentences by the LLM's state, where rag/probes has one for it"
    )
    llm_url: str = Field("", description="base URL of an OpenAI-compatible endpoint")
    llm_model: str = Field("", description="model name at that endpoint")
    llm_api_key: SecretStr | None = None
    llm_timeout_s: float = Field(120.0, gt=0)
    llm_context_tokens: int = Field(2048, ge=1024)

    # Ingest
    chunk_tokens: int = Field(200, ge=32, le=480, description="of the embedder, at most a chunk")
    chunk_overlap_tokens: int = Field(40, ge=0)
    max_file_bytes: int = Field(20_000_000, ge=1)

    # Retrieval
    spelling: str = Field(
        "en", description='language whose words are no mistakes in a question; "" repairs none'
    )
    rerank_depth: int = Field(4, ge=0, description="candidates that the cross-encoder scores")
    rerank_budget_ms: float = Field(600.0, gt=0, description="time for scoring them")
    rerank_weights: dict[str, float] = Field(
        {
            "late": 1.0,
            "dense": 0.5,
            "bm25": 0.02,
            "asked_late": 0.75,
            "asked": 0.2,
            "cross_encoder": 0.005,
        },
        description="of the scores that order the reranked hits",
    )

    # Answer
    evidence_tokens: int = Field(330, ge=100, description="of passages in the prompt")
    evidence_passages: int = Field(5, ge=1, le=9, description="looked at for an answer")
    max_sentences: int = Field(3, ge=1, le=8)
    answer_tokens: int = Field(180, ge=32, description="at most written by the LLM")
    min_support: float = Field(0.65, ge=0, le=1, description="below it a sentence is not shown")
    min_answerability: float = Field(0.15, ge=0, le=1, description="below it nobody answers")
    min_answerability_extractive: float = Field(
        0.3, ge=0, le=1, description="the same where no LLM judges the closest sentences, too"
    )
    min_answerability_judged: float = Field(
        0.5, ge=0, le=1, description="the same once the LLM has said whether these answer"
    )
    must_answer_from: float = Field(
        0.8,
        ge=0,
        le=1,
        description="from here it is asked of no further sentence, and may not refuse to write",
    )
    min_relevance: float = Field(
        0.69, ge=0, le=1, description="of a sentence to the question, by late interaction"
    )

    # Practice
    practice_llm: bool = Field(
        False, description="let the LLM judge what the grader is unsure of; seconds a point"
    )

    # Service
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    ingest_token: SecretStr | None = Field(None, description="enables POST /v1/ingest")
    max_body_bytes: int = Field(1_000_000, ge=1)
    max_upload_bytes: int = Field(50_000_000, ge=1)
    max_question_chars: int = Field(2_000, ge=1)
    max_concurrency: int = Field(2, ge=1)
    max_queue: int = Field(16, ge=0)
    deadline_s: float = Field(120.0, gt=0)
    heartbeat_s: float = Field(15.0, gt=0)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` win. Raises SettingsError, which names the setting."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]}?" if near else "; see rag/settings.py for all of them"
            raise SettingsError(f"{name} is not a setting{hint}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']} (got {first['input']!r})") from error
    except NotJson as error:
        raise SettingsError(f"a list or table is written in JSON: {error}") from error
