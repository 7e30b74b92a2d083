"""What keeps one client from taking everything: body size, slots for questions, a queue, deadlines.

Knows nothing of what runs in a slot.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BodyTooLarge, DeadlineExceeded, Overloaded, problem_response

T = TypeVar("T")
PIPELINE_SHARE = 0.9
"""Of the deadline; the rest is for an answer that gave up in time to reach the client."""


class BodyLimit:
    """Refuses bodies over the limit: at once if they are announced, else while they arrive."""

    def __init__(self, app: ASGIApp, limit: int, by_path: Mapping[str, int]) -> None:
        self.app = app
        self.limit = limit
        self.by_path = by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that ends in BodyTooLarge if it is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.by_path.get(scope["path"], self.limit)
        too_large = BodyTooLarge(f"The body may have at most {limit} bytes.")
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
            await problem_response(too_large, scope)(scope, receive, send)
            return
        arrived = 0

        async def receive_limited() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:
                raise too_large
            return message

        await self.app(scope, receive_limited, send)


class Gate:
    """Lets `slots` questions run in threads and `queue` more wait; refuses the rest.

    A slot is free again when its thread has ended, not when its client has left. anyio's limiter
    gives the token back as soon as the waiting task is cancelled, while the thread goes on, so
    that abandoned generations would pile up.
    """

    def __init__(self, slots: int, queue: int, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.capacity = slots + queue
        self.slots = asyncio.Semaphore(slots)
        self.threads = ThreadPoolExecutor(slots, thread_name_prefix="question")
        self.admitted = 0
        self.running = 0
        self.last_s = 1.0

    @property
    def depth(self) -> int:
        """How many questions wait for a slot."""
        return self.admitted - self.running

    def admit(self) -> Ticket:
        """Return a place; its holder must `leave` it. Raises Overloaded."""
        if self.admitted >= self.capacity:
            raise Overloaded(
                f"{self.admitted} questions are running or waiting; try again later.",
                headers={"Retry-After": str(math.ceil(self.last_s))},
            )
        return Ticket(self)

    def close(self) -> None:
        """Wait for the running threads; start no more."""
        self.threads.shutdown(cancel_futures=True)


class Ticket:
    """The place of one question, first in the queue, then in a slot, with its deadline."""

    def __init__(self, gate: Gate) -> None:
        now = time.monotonic()
        self.deadline = now + gate.deadline_s
        self.pipeline_deadline = now + gate.deadline_s * PIPELINE_SHARE
        self._gate = gate
        self._held = True
        self._started: float | None = None
        gate.admitted += 1

    def remaining(self) -> float:
        """Return the seconds until the deadline, at least 0."""
        return max(0.0, self.deadline - time.monotonic())

    def expired(self) -> DeadlineExceeded:
        """Return the error for a question that was not answered in time."""
        waited = "in the queue" if self._started is None else "on the answer"
        return DeadlineExceeded(
            f"{self._gate.deadline_s:g} s have passed {waited}; "
            "try again, or ask with mode extractive, which takes a second."
        )

    async def submit(self, work: Callable[[], T]) -> Future[T]:
        """Wait for a slot and start `work` in a thread. Raises DeadlineExceeded."""
        gate = self._gate
        try:
            async with asyncio.timeout(self.remaining()):
                await gate.slots.acquire()
        except TimeoutError:
            raise self.expired() from None
        loop = asyncio.get_running_loop()
        gate.running += 1
        self._started = time.monotonic()
        future = gate.threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end))
        return future

    def leave(self) -> None:
        """Give the place up, unless a thread works in it: then it does so at its end."""
        if self._held and self._started is None:
            self._held = False
            self._gate.admitted -= 1

    def _end(self) -> None:
        if self._started is not None:
            self._gate.last_s = time.monotonic() - self._started
        self._held = False
        self._gate.admitted -= 1
        self._gate.running -= 1
        self._gate.slots.release()
