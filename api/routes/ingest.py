"""POST /v1/ingest: upload files, or read the sources again. Exists only where a token is set."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import UploadFile

from api.errors import BadRequest, Busy, Unauthorized
from api.routes import ServiceDep, problems
from api.uploads import safe_name, save_uploads
from ingest.errors import IngestError

if TYPE_CHECKING:
    from rag.settings import Settings

PATH = "/v1/ingest"
MAX_FILES = 200
Update = Callable[["Settings", Sequence[Path]], dict[str, Any]]
"""Updates the index from its sources and these further paths; returns the report."""

_bearer = HTTPBearer(auto_error=False, description="RAG_INGEST_TOKEN")
_MULTIPART = {
    "requestBody": {
        "required": False,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}


def make_router(token: str, update: Update) -> APIRouter:
    """Return the router of a service that ingests for whoever has `token`."""
    router = APIRouter(tags=["documents"])

    def check_token(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        offered = given.credentials if given else ""
        if not hmac.compare_digest(offered.encode(), token.encode()):
            raise Unauthorized(
                "Send the header `Authorization: Bearer` with the token of RAG_INGEST_TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    @router.post(
        PATH,
        summary="Add files, or read the sources again",
        dependencies=[Depends(check_token)],
        openapi_extra=_MULTIPART,
        responses={
            200: {"description": "The report of `rag ingest --json`, and the names of the uploads"},
            **problems(401, 409, 413, 422, 503),
        },
    )
    async def ingest(request: Request, service: ServiceDep) -> Response:
        """Save uploads, bring the index up to date, and answer from it from then on."""
        if service.ingesting.locked():
            raise Busy("Another ingest is running; wait for its end.")
        async with service.ingesting:
            names = await _receive(request, service.settings.data_dir / "uploads")
            added = [service.settings.data_dir / "uploads"] if names else []
            try:
                report = await anyio.to_thread.run_sync(
                    functools.partial(update, service.settings, added)
                )
            except IngestError as error:
                raise BadRequest(str(error)) from error
            changed = await service.refresh()
        return JSONResponse(report | {"uploaded": names, "reloaded": changed})

    return router


async def _receive(request: Request, folder: Path) -> list[str]:
    """Save the files of a multipart body; a body that is not one must be empty."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if (await request.body()).strip():
            raise BadRequest("Send files as multipart/form-data, or no body at all.")
        return []
    async with request.form(max_files=MAX_FILES, max_fields=0) as form:
        files: dict[str, BinaryIO] = {}
        for _, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise BadRequest("Every part must be a file.")
            name = safe_name(part.filename or "")
            if name in files:
                raise BadRequest(f"Two files are named {name!r}.")
            files[name] = part.file
        if not files:
            raise BadRequest("There is no file in the body.")
        return await anyio.to_thread.run_sync(save_uploads, folder, files)
