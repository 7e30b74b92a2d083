"""/v1/practice: interviews on the corpus. Views hold nothing of a rubric before its time."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from sse_starlette import EventSourceResponse

from api.errors import DeadlineExceeded, Overloaded, Problem, problem_for
from api.practice import PracticeService
from api.practice_schemas import (
    AnswerRequest,
    BankBody,
    CorpusQuestion,
    OverrideRequest,
    ReportFormat,
    StartRequest,
)
from api.routes import PracticeDep, ServiceDep, problem_body, problems
from api.schemas import EXAMPLE_ANSWER, AskResponse
from rag.errors import RagError
from rag.practice.bank import Bank
from rag.practice.listing import SessionLine
from rag.practice.report import Report
from rag.practice.report_html import CSP, to_html
from rag.practice.report_markdown import to_markdown
from rag.practice.reviews import ReviewCard
from rag.practice.rows import EventRow
from rag.practice.sessions import Practice
from rag.practice.views import SessionView, TurnView

router = APIRouter(prefix="/v1/practice", tags=["practice"])

SessionId = Annotated[str, Path(max_length=64)]
TurnNumber = Annotated[int, Path(ge=1, le=10**6)]
_POLL_S = 0.5  # the command line may write to the same session, so that the store is what to watch
_SLOW = (404, 409, 422, 429, 503, 504)


def _sends(model: Any, description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "description": description}}


@router.get(
    "/bank",
    summary="List what can be asked",
    responses={**_sends(BankBody, "Ids and prompts; no rubric"), **problems(503)},
)
async def read_bank(practice: PracticeDep) -> Response:
    """Return the questions, the estimation exercises and the phase clocks of the corpus."""
    return JSONResponse(await practice.read(lambda p: _bank(p.bank)))


@router.post(
    "/sessions",
    summary="Start a session",
    status_code=201,
    responses={
        201: {"model": SessionView, "description": "The session with its first question"},
        **problems(404, 409, 422, 503),
    },
)
async def start_session(body: StartRequest, practice: PracticeDep) -> Response:
    """Start a drill, a mock interview, a review, a calibration or an estimation exercise."""
    view = await practice.read(lambda p: p.start(**body.model_dump()))
    location = f"{router.prefix}/sessions/{view.id}"
    return JSONResponse(asdict(view), 201, headers={"Location": location})


@router.get(
    "/sessions",
    summary="List the sessions",
    responses={**_sends(list[SessionLine], "The newest first"), **problems(422, 503)},
)
async def list_practice_sessions(
    practice: PracticeDep, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> Response:
    """Return the newest sessions, those of the command line too."""
    return JSONResponse([asdict(line) for line in await practice.list(limit)])


@router.get(
    "/sessions/{session_id}",
    summary="Read a session",
    responses={**_sends(SessionView, "What may be seen of it"), **problems(404, 503)},
)
async def read_session(session_id: SessionId, practice: PracticeDep) -> Response:
    """Return the session; what a stopped service left ungraded is graded first."""
    return JSONResponse(asdict(await practice.read(lambda p: p.view(session_id))))


@router.post(
    "/sessions/{session_id}/turns",
    summary="Answer a question",
    responses={
        **_sends(TurnView, "The graded turn; the next question is in the session"),
        202: {
            "model": TurnView,
            "description": "Stored, not graded yet: too much runs. Reading the session grades",
        },
        **problems(404, 409, 413, 422, 503),
    },
)
async def answer_turn(
    session_id: SessionId, body: AnswerRequest, practice: PracticeDep
) -> Response:
    """Store the answer, then grade it. The same body again changes nothing."""
    given = session_id, body.client_turn_id, body.text, body.elapsed_ms
    # It is stored before it waits for a slot: whatever happens then, nothing answered is lost.
    turn = await practice.read(lambda p: p.answer(*given, turn=body.turn, grade=False))
    if turn.state == "answered":
        try:
            turn = await practice.grade(lambda p: p.answer(*given, turn=body.turn))
        except (Overloaded, DeadlineExceeded):
            return JSONResponse(asdict(turn), 202)
    return JSONResponse(asdict(turn))


@router.post(
    "/sessions/{session_id}/turns/{n}/override",
    summary="Correct a verdict",
    responses={**_sends(SessionView, "The session"), **problems(404, 409, 422, 503)},
)
async def override_verdict(
    session_id: SessionId, n: TurnNumber, body: OverrideRequest, practice: PracticeDep
) -> Response:
    """Log the user's decision on a point of turn `n`; scores and review dates follow it."""
    view = await practice.read(lambda p: p.override(session_id, n, body.point_id, body.covered))
    return JSONResponse(asdict(view))


@router.post(
    "/sessions/{session_id}/turns/{n}/{move}",
    summary="Take a hint, skip, or give up",
    responses={**_sends(TurnView, "The turn, with its hints"), **problems(404, 409, 422, 503)},
)
async def move_turn(
    session_id: SessionId,
    n: TurnNumber,
    move: Literal["hint", "skip", "reveal"],
    practice: PracticeDep,
) -> Response:
    """Do something else than answer.

    Each hint goes further, and the fourth reveals; `skip` leaves the question out, unrated;
    `reveal` ends the attempt and shows its feedback, and counts as not known.
    """
    moves = {"hint": Practice.hint, "skip": Practice.skip, "reveal": Practice.reveal}
    return JSONResponse(asdict(await practice.read(lambda p: moves[move](p, session_id, n))))


@router.post(
    "/sessions/{session_id}/ask",
    summary="Ask the corpus between two attempts",
    responses={
        200: {
            "model": AskResponse,
            "description": "A cited answer, as /v1/ask gives it",
            "content": {"application/json": {"example": EXAMPLE_ANSWER}},
        },
        **problems(*_SLOW),
    },
)
async def ask_corpus(
    session_id: SessionId, body: CorpusQuestion, practice: PracticeDep, service: ServiceDep
) -> Response:
    """Answer from the corpus, once an attempt is over: before, it would give the answer away."""
    service.check_question(body.question)
    answer = await practice.grade(lambda p: p.ask(session_id, body.question))
    return JSONResponse(answer.to_dict())


@router.post(
    "/sessions/{session_id}/next",
    summary="Ask for the next question",
    responses={**_sends(SessionView, "The session"), **problems(404, 503)},
)
async def next_question(session_id: SessionId, practice: PracticeDep) -> Response:
    """Go on in a session that waits between two attempts; else it changes nothing."""
    return JSONResponse(asdict(await practice.read(lambda p: p.go_on(session_id))))


@router.post(
    "/sessions/{session_id}/end",
    summary="End a session",
    responses={**_sends(SessionView, "The session"), **problems(*_SLOW)},
)
async def end_session(session_id: SessionId, practice: PracticeDep) -> Response:
    """Grade what was answered, and end; ending twice changes nothing."""
    return JSONResponse(asdict(await practice.grade(lambda p: p.end(session_id))))


@router.get(
    "/sessions/{session_id}/report",
    summary="Read the report on a session",
    responses={
        200: {
            "model": Report,
            "description": "The report",
            "content": {
                "text/markdown": {"schema": {"type": "string"}},
                "text/html": {"schema": {"type": "string"}},
            },
        },
        **problems(*_SLOW),
    },
)
async def read_report(
    session_id: SessionId,
    practice: PracticeDep,
    form: Annotated[ReportFormat, Query(alias="format")] = "json",
) -> Response:
    """Return what a session amounts to, once it is over."""
    report = await practice.grade(lambda p: p.report(session_id))
    if form == "json":
        return JSONResponse(report.to_dict())
    if form == "md":
        return PlainTextResponse(to_markdown(report), media_type="text/markdown")
    policy = {"Content-Security-Policy": f"{CSP}; frame-ancestors 'none'"}
    return HTMLResponse(to_html(report), headers=policy)


@router.get(
    "/reviews/due",
    summary="List what is due for review",
    responses={**_sends(list[ReviewCard], "The longest overdue first"), **problems(503)},
)
async def due_reviews(practice: PracticeDep) -> Response:
    """Return the cards that a review session would ask now."""
    return JSONResponse([asdict(card) for card in await practice.read(lambda p: p.due())])


@router.get(
    "/sessions/{session_id}/events",
    summary="Follow a session",
    responses={
        200: {
            "description": "Server-sent events `question`, `answered`, `graded`, `hint`, "
            "`skipped`, `revealed`, `feedback`, `override`, `asked`, `done`; `Last-Event-ID` "
            "takes the stream up again.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "The session is over and every event was sent"},
        **problems(404, 422, 503),
    },
)
async def follow_session(
    request: Request,
    session_id: SessionId,
    practice: PracticeDep,
    service: ServiceDep,
    last_event_id: Annotated[int, Header(ge=0, le=2**53)] = 0,
) -> Response:
    """Send what has happened, then what happens, until the session is over."""
    rows = await practice.read(lambda p: p.events(session_id))
    new = [row for row in rows if row.seq > last_event_id]
    if not new and _is_done(rows):
        return Response(status_code=204)  # tells an EventSource not to come again
    messages = _messages(request, practice, session_id, rows, last_event_id)
    return EventSourceResponse(messages, ping=service.settings.heartbeat_s, sep="\n")


async def _messages(
    request: Request,
    practice: PracticeService,
    session_id: str,
    rows: list[EventRow],
    after: int,
) -> AsyncGenerator[dict[str, str], None]:
    """Yield the events after number `after`: those of `rows`, then new ones as they come."""
    seen, done = 0, False
    while True:
        for row in rows:
            seen, done = row.seq, done or row.name == "done"
            if row.seq > after:
                yield {"id": str(row.seq), "event": row.name, "data": json.dumps(row.data)}
        if done:
            return
        await anyio.sleep(_POLL_S)
        try:
            rows = await practice.read(lambda p: p.events(session_id, seen))  # noqa: B023
        except (Problem, RagError) as error:  # the response has begun
            problem = problem_for(error, request.state.request_id)
            yield {"event": "error", "data": json.dumps(problem_body(request, problem))}
            return


def _is_done(rows: list[EventRow]) -> bool:
    return any(row.name == "done" for row in rows)


def _bank(bank: Bank) -> dict[str, Any]:
    """Return what a client may know of the bank."""
    names = ("id", "kind", "prompt", "topics", "companies", "difficulty", "seconds")
    return {
        "hash": bank.hash,
        "probes": [
            {**{name: getattr(probe, name) for name in names}, "doc": probe.span.doc}
            for probe in bank.probes
        ],
        "estimates": [{"id": one.id, "title": one.title} for one in bank.estimates],
        "clocks": [
            {
                "id": clock.id,
                "doc": clock.span.doc,
                "phases": [(phase.name, phase.end - phase.start) for phase in clock.phases],
            }
            for clock in bank.clocks
        ],
    }
