"""GET /v1/documents: what is indexed, and the texts that offsets refer to."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from api.errors import NotFound
from api.routes import ServiceDep, problems
from api.schemas import EXAMPLE_DOCUMENT, DocumentLine, DocumentText

router = APIRouter(prefix="/v1/documents", tags=["documents"])


@router.get(
    "",
    summary="List the documents",
    responses={
        200: {
            "model": list[DocumentLine],
            "description": "The documents of the index, by path",
            "content": {"application/json": {"example": [EXAMPLE_DOCUMENT]}},
        },
        **problems(503),
    },
)
def list_documents(service: ServiceDep) -> Response:
    """Return each document with the number of its passages."""
    return JSONResponse(_lines(service))


@router.get(
    "/{document_id}",
    summary="Read a document",
    responses={
        200: {
            "model": DocumentText,
            "description": "The document with its text",
            "content": {
                "application/json": {
                    "example": EXAMPLE_DOCUMENT
                    | {"text": "# Position bias\n...", "offset_unit": "unicode_code_point"}
                }
            },
        },
        **problems(404, 503),
    },
)
def read_document(document_id: str, service: ServiceDep) -> Response:
    """Return the exact text that `start` and `end` of passages and citations refer to.

    They are half-open ranges in Unicode code points, so that `text[start:end]` is the quote in
    Python; clients that count UTF-16 units must convert.
    """
    document = service.pipeline.document(document_id)
    line = next((line for line in _lines(service) if line["id"] == document_id), None)
    if document is None or line is None:
        raise NotFound("There is no such document; GET /v1/documents lists all.")
    return JSONResponse(line | {"text": document.text, "offset_unit": "unicode_code_point"})


def _lines(service: ServiceDep) -> list[dict[str, Any]]:
    return [
        {
            "id": info.id,
            "doc": info.uri,
            "title": info.title,
            "chunks": info.chunks,
            "sha256": info.sha256,
        }
        for info in service.pipeline.documents()
    ]
