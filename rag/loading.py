"""Settings -> loaded models: embedders, cross-encoder, LLM.

The only module that knows which class serves which setting. Imports are late: torch alone takes
seconds.
"""

from __future__ import annotations

import logging
from pathlib import Path

from index.embedding import (
    Embedder,
    LateInteractionEmbedder,
    SentenceEmbedder,
    TokenCounter,
    TokenEmbedder,
)
from index.query_map import QueryMap
from rag.entailment import Entailment
from rag.errors import LLMError, SettingsError
from rag.judging import Judge, Probe, ProbeJudge
from rag.llm import LLM
from rag.models import ModelStore
from rag.prompts import answer_prefix
from rag.reranking import CrossEncoderReranker, Reranker
from rag.settings import Settings

logger = logging.getLogger(__name__)

QUERY_MAPS = Path(__file__).with_name("query_maps")
PROBES = Path(__file__).with_name("probes")


def model_store(settings: Settings) -> ModelStore:
    """Return the store in the folder that the settings name."""
    return ModelStore(settings.model_dir)


def embedder_fingerprints(settings: Settings) -> tuple[str, str]:
    """Return the fingerprints of both embedding models, prefixes included, without loading them."""
    store = model_store(settings)
    late_prefixes = settings.token_query_prefix + "|" + settings.token_document_prefix
    return (
        f"{settings.embedder}@{store.fingerprint(settings.embedder)}"
        f"|{settings.embedder_query_prefix}",
        f"{settings.token_embedder}@{store.fingerprint(settings.token_embedder)}|{late_prefixes}",
    )


def load_embedders(settings: Settings) -> tuple[Embedder, TokenEmbedder]:
    """Load the embedder and the token embedder; raises ModelError."""
    store = model_store(settings)
    dense, late = embedder_fingerprints(settings)
    return (
        SentenceEmbedder(
            store.resolve(settings.embedder),
            fingerprint=dense,
            query_prefix=settings.embedder_query_prefix,
            threads=settings.threads,
        ),
        LateInteractionEmbedder(
            store.resolve(settings.token_embedder),
            fingerprint=late,
            query_prefix=settings.token_query_prefix,
            document_prefix=settings.token_document_prefix,
            threads=settings.threads,
        ),
    )


def load_query_map(settings: Settings) -> QueryMap | None:
    """Return the map that was fitted for the embedder (eval.query_map), if there is one."""
    path = QUERY_MAPS / f"{settings.embedder}.npz"
    return QueryMap.load(path) if settings.query_map and path.is_file() else None


def token_counter(settings: Settings) -> TokenCounter:
    """Return the embedder's token counter; raises ModelError."""
    return TokenCounter(model_store(settings).resolve(settings.embedder))


def load_reranker(settings: Settings) -> Reranker | None:
    """Load the cross-encoder; None where the settings name none."""
    if not settings.reranker:
        return None
    return CrossEncoderReranker(
        model_store(settings).resolve(settings.reranker), threads=settings.threads
    )


def load_entailment(settings: Settings) -> Entailment | None:
    """Load the entailment model; None where the settings name none. Raises ModelError."""
    if not settings.entailment:
        return None
    from rag.entailment import CrossEncoderEntailment

    reference = model_store(settings).resolve(settings.entailment)
    return CrossEncoderEntailment(reference, name=settings.entailment)


def load_judge(settings: Settings, llm: LLM | None) -> Judge | None:
    """Return the probe that was fitted for the LLM (eval.abstention), if there is one."""
    path = PROBES / f"{settings.llm}.npz"
    if not (settings.probe and settings.llm_backend == "llamacpp" and llm and path.is_file()):
        return None
    from rag.llm.llamacpp import LlamaCppLLM

    assert isinstance(llm, LlamaCppLLM)  # load_llm made it
    judge = ProbeJudge(llm, Probe.load(path))
    try:
        judge.opinion("", "", "")  # loads what shows states, reads the prefix: no question waits
    except LLMError as error:
        logger.warning("the LLM is asked yes or no, without its probe: %s", error)
        return None
    return judge


def load_llm(settings: Settings) -> LLM:
    """Load or reach the language model; raises ModelError or LLMError."""
    if settings.llm_backend == "openai":
        from rag.llm.openai import OpenAILLM

        if not settings.llm_url or not settings.llm_model:
            raise SettingsError("RAG_LLM_BACKEND=openai needs RAG_LLM_URL and RAG_LLM_MODEL")
        key = settings.llm_api_key
        return OpenAILLM(
            settings.llm_url,
            model=settings.llm_model,
            api_key=key.get_secret_value() if key else None,
            timeout=settings.llm_timeout_s,
        )
    reference = model_store(settings).resolve(settings.llm)
    if settings.llm_backend == "transformers":
        from rag.llm.transformers import TransformersLLM

        return TransformersLLM(reference, name=settings.llm)
    from rag.llm.llamacpp import LlamaCppLLM

    llm = LlamaCppLLM(
        Path(reference),
        name=settings.llm,
        context_tokens=settings.llm_context_tokens,
        threads=settings.threads,
        slots=2,  # one keeps the prefix of answers, the other that of yes-or-no questions
    )
    # Every later prompt starts with these 300 tokens: 4 s that no question has to wait for.
    llm.complete(answer_prefix(settings.max_sentences), max_tokens=1)
    return llm
