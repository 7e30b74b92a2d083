"""The application factory: routes, limits and error handling around a pipeline that it is given.

`create_app` takes its parts; only `app_from_environment` reads settings.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from api.context import DOCS_PATH, AllowedHosts, RequestContext
from api.errors import CrashGuard, install_error_handlers
from api.limits import BodyLimit
from api.practice import OpenPractice, PracticeService
from api.routes import ask, chat, conversations, documents, health, ingest, practice, search
from api.service import Load, Service
from index.errors import IndexMissing
from index.storage import GenerationStore, read_manifest
from rag.practice.loading import practice_over

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline
    from rag.settings import Settings

_DESCRIPTION = """Answers over a study corpus, with citations that a reader can check.

Offsets are half-open ranges in Unicode code points of the text that `/v1/documents/{id}` returns.
Errors are `application/problem+json` with a `request_id`, which is also in `X-Request-ID`.
"""


def create_app(
    settings: Settings,
    load: Load | None = None,
    update: ingest.Update | None = None,
    open_practice: OpenPractice | None = None,
) -> FastAPI:
    """Return the service.

    `load` runs in a thread once it starts, `update` on each ingest, `open_practice` when practice
    is first asked for, and with each new index.
    """
    service = Service(settings, load or functools.partial(_load_pipeline, settings))
    desk = PracticeService(service, open_practice or practice_over)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.close()
        desk.close()

    app = FastAPI(
        title="study-rag",
        version="1",
        description=_DESCRIPTION,
        docs_url=DOCS_PATH,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        middleware=[
            Middleware(RequestContext, metrics=service.metrics),
            Middleware(CrashGuard),
            Middleware(AllowedHosts, hosts=settings.allowed_hosts),
            Middleware(
                BodyLimit,
                limit=settings.max_body_bytes,
                by_path={ingest.PATH: settings.max_upload_bytes},
            ),
        ],
    )
    app.state.service, app.state.practice = service, desk
    install_error_handlers(app)
    for module in (ask, conversations, search, documents, chat, practice, health):
        app.include_router(module.router)
    if settings.ingest_token is not None:
        token = settings.ingest_token.get_secret_value()
        app.include_router(ingest.make_router(token, update or _update_index))
    _describe_problems(app)
    return app


def app_from_environment() -> FastAPI:
    """Return the service with the settings of the environment: the factory for uvicorn."""
    from rag.settings import load_settings

    return create_app(load_settings())


def _load_pipeline(settings: Settings) -> RagPipeline:
    from rag.pipeline import build_pipeline  # seconds of imports, in the loading thread

    return build_pipeline(settings)


def _update_index(settings: Settings, added: Sequence[Path]) -> dict[str, Any]:
    from rag.indexing import update_index

    if not added:
        return update_index(settings, None)
    store = GenerationStore(settings.data_dir / "index")
    try:
        known = read_manifest(store.candidates()[0])["sources"]
    except IndexMissing:
        known = []
    # What update_index is not given disappears from the index, so that it gets the old sources too.
    paths = dict.fromkeys([*map(Path, known), *(path.resolve() for path in added)])
    return update_index(settings, list(paths))


def _operation_id(route: APIRoute) -> str:
    return route.name


def _describe_problems(app: FastAPI) -> None:
    """Give errors their media type in the schema; FastAPI puts every model under JSON."""
    plain = app.openapi

    @functools.cache
    def openapi() -> dict[str, Any]:
        schema = plain()
        for path in schema["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if status >= "400" and "application/json" in content:
                        content["application/problem+json"] = content.pop("application/json")
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
