"""What is missing on this machine, and the command that fixes it. Changes nothing."""

from __future__ import annotations

import shutil
import sys
from typing import TypedDict

from index.errors import IndexStoreError
from index.storage import GenerationStore, read_manifest
from rag.errors import RagError
from rag.loading import embedder_fingerprints, model_store
from rag.settings import Settings

_FREE_GB = 3.0  # the default models take 1.3 GB, and a download needs room beside them


class Finding(TypedDict):
    """One thing looked at."""

    what: str
    ok: bool
    detail: str
    fix: str


def examine(settings: Settings) -> list[Finding]:
    """Look at Python, disk, models, index and LLM back end; each finding says how to fix it."""
    return [_python(), _disk(settings), *_models(settings), _index(settings), *_endpoint(settings)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        what="Python", ok=sys.version_info >= (3, 11), detail=version, fix="install Python 3.11"
    )


def _disk(settings: Settings) -> Finding:
    folder = model_store(settings).root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        what="disk",
        ok=free > _FREE_GB,
        detail=f"{free:.1f} GB free for models",
        fix=f"free {_FREE_GB:.0f} GB, or set RAG_MODEL_DIR to a folder on another disk",
    )


def _models(settings: Settings) -> list[Finding]:
    store = model_store(settings)
    wanted = [settings.embedder, settings.token_embedder, settings.reranker]
    if settings.llm_backend != "openai":
        wanted.append(settings.llm)
    findings = []
    for name in filter(None, wanted):
        try:
            detail, ok = str(store.resolve(name)), True
        except RagError as error:
            detail, ok = str(error), False
        findings.append(
            Finding(what=f"model {name}", ok=ok, detail=detail, fix=f"rag models pull {name}")
        )
    return findings


def _index(settings: Settings) -> Finding:
    fix = "rag ingest corpus   (or the folder with your documents)"
    try:
        folder = GenerationStore(settings.data_dir / "index").candidates()[0]
        manifest = read_manifest(folder)
        counts = manifest["counts"]
        detail = f"{folder.name}: {counts['documents']} documents, {counts['chunks']} chunks"
        ok = (manifest["embedder"], manifest["token_embedder"]) == embedder_fingerprints(settings)
        if not ok:
            detail += ", made with other embedding models than the ones in use"
    except (IndexStoreError, RagError) as error:
        detail, ok = str(error), False
    return Finding(what="index", ok=ok, detail=detail, fix=fix)


def _endpoint(settings: Settings) -> list[Finding]:
    if settings.llm_backend != "openai":
        return []
    import httpx

    try:
        status = httpx.get(settings.llm_url.rstrip("/") + "/models", timeout=5).status_code
        detail, ok = f"{settings.llm_url} answers {status}", status < 500
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail, ok = f"{settings.llm_url}: {error}", False
    return [
        Finding(what="LLM endpoint", ok=ok, detail=detail, fix="start it, or correct RAG_LLM_URL")
    ]
