"""GET /healthz, /readyz and /metrics: for whoever runs the service."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.routes import ServiceDep, problems

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Answer at once, whatever the models do."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can it answer?", responses=problems(503))
async def readyz(service: ServiceDep) -> Response:
    """Answer 200 when models and index are loaded; before, say what is missing."""
    return JSONResponse({"status": "ready", "generation": service.pipeline.generation})


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceDep) -> Response:
    """Return durations by stage, outcomes, citations by result, and the queue's depth."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)
