"""The pipeline of one application: it loads in the background, answers within limits, and closes.

Knows nothing of HTTP beyond the problems that it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from api.errors import SELF_EXPLAINED, BadRequest, NotReady, Problem, log, problem_for
from api.limits import Gate, Ticket
from api.metrics import Metrics
from index.hits import Filters, Stage
from rag.answers import Answer, Done, Event, Mode, Retrieval
from rag.chat import Chat
from rag.conversations import FILE_NAME, ConversationStore

if TYPE_CHECKING:  # its import brings torch, which the thread that loads the models pays for
    from rag.pipeline import RagPipeline
    from rag.settings import Settings

T = TypeVar("T")
Load = Callable[[], "RagPipeline"]


class Service:
    """Holds the pipeline and the gate that every question passes."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self.settings = settings
        self.gate = Gate(settings.max_concurrency, settings.max_queue, settings.deadline_s)
        self.metrics = Metrics(lambda: self.gate.depth, self._generation)
        self.ingesting = asyncio.Lock()
        self.conversations = ConversationStore(settings.data_dir / FILE_NAME)
        self._load = load
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._loading: Future[RagPipeline] | None = None
        self._since = time.monotonic()

    def start(self) -> None:
        """Begin to load, or begin again after a failure."""
        self._since = time.monotonic()
        self._loading = self._loader.submit(self._load)
        self._loading.add_done_callback(_log_failure)

    @property
    def pipeline(self) -> RagPipeline:
        """The loaded pipeline. Raises NotReady, which says what it waits for or what to do."""
        if self._loading is None or not self._loading.done():
            seconds = time.monotonic() - self._since
            raise NotReady(
                f"The models and the index have been loading for {seconds:.0f} s; try again soon.",
                headers={"Retry-After": "2"},
                waiting_for=["models", "index"],
            )
        error = self._loading.exception()
        if error is None:
            return self._loading.result()
        if isinstance(error, SELF_EXPLAINED):
            raise NotReady(f"Loading failed: {error}. Then restart the service.")
        raise NotReady("Loading failed inside the service: see its log, then restart it.")

    async def refresh(self) -> bool:
        """Take up a new index; True if the service now answers from another generation."""
        try:
            pipeline = self.pipeline
        except NotReady:
            if self._loading is None or not self._loading.done():
                return False
            self.start()
            await asyncio.wait([asyncio.wrap_future(self._loading)])
            return self._generation() is not None
        return await anyio.to_thread.run_sync(pipeline.reload)

    def check_question(self, question: str) -> None:
        """Raise BadRequest if the question is over the limit."""
        limit = self.settings.max_question_chars
        if len(question) > limit:
            raise BadRequest(f"The question has {len(question)} characters; at most {limit}.")

    async def search(self, question: str, k: int, stage: Stage, filters: Filters) -> Retrieval:
        """Search in a slot. Raises Problem or what the pipeline raises."""
        self.check_question(question)
        retrieval = await self.run(
            lambda pipeline, _: pipeline.retrieve(question, k=k, stage=stage, filters=filters)
        )
        self.metrics.record_stages(retrieval.timings_ms, retrieval.degraded)
        return retrieval

    async def answer(
        self, question: str, mode: Mode, filters: Filters, conversation: str | None = None
    ) -> Answer:
        """Answer in a slot. Raises Problem or what the pipeline raises."""
        self.check_question(question)

        def work(pipeline: RagPipeline, deadline: float) -> Answer:
            if conversation is None:
                return pipeline.answer(question, mode=mode, filters=filters, deadline=deadline)
            chat = Chat(pipeline, self.conversations)
            return chat.answer(
                conversation, question, mode=mode, filters=filters, deadline=deadline
            )

        answer = await self.run(work)
        self.metrics.record_answer(answer)
        return answer

    async def run(self, work: Callable[[RagPipeline, float], T]) -> T:
        """Run `work(pipeline, deadline)` in a slot. Raises Problem or what it raises."""
        pipeline = self.pipeline
        ticket = self.gate.admit()
        try:
            future = await ticket.submit(lambda: work(pipeline, ticket.pipeline_deadline))
            return await asyncio.wait_for(asyncio.wrap_future(future), ticket.remaining())
        except TimeoutError:
            raise ticket.expired() from None
        finally:
            ticket.leave()

    def admit(self, question: str) -> Ticket:
        """Return a place for a stream that can begin. Raises Problem."""
        self.check_question(question)
        _ = self.pipeline
        return self.gate.admit()

    async def events(
        self,
        ticket: Ticket,
        question: str,
        mode: Mode,
        filters: Filters,
        request_id: str,
        conversation: str | None = None,
    ) -> AsyncGenerator[Event | Problem, None]:
        """Yield what the pipeline yields; a Problem, if any, comes last.

        Closing this iterator stops the LLM at its next token.
        """
        arrived: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        left = threading.Event()
        pipeline = self.pipeline
        stream = pipeline.stream
        if conversation is not None:
            stream = functools.partial(Chat(pipeline, self.conversations).stream, conversation)

        def produce() -> None:
            events = stream(
                question,
                mode=mode,
                filters=filters,
                deadline=ticket.pipeline_deadline,
                cancelled=left.is_set,
            )
            with contextlib.closing(events):
                for event in events:
                    if left.is_set():
                        return
                    loop.call_soon_threadsafe(arrived.put_nowait, event)

        def finish(_: Future[None]) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, None)

        try:
            work = await ticket.submit(produce)
            work.add_done_callback(finish)
            while event := await asyncio.wait_for(arrived.get(), ticket.remaining()):
                if isinstance(event, Done):
                    self.metrics.record_answer(event.answer)
                yield event
            if error := work.exception():
                yield problem_for(error, request_id)
        except TimeoutError:
            yield ticket.expired()
        except Problem as problem:
            yield problem
        finally:
            left.set()

    async def close(self) -> None:
        """Wait for the threads and close the pipeline."""
        await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        self.gate.close()
        self._loader.shutdown()
        if self._generation() is not None:
            self.pipeline.close()

    def _generation(self) -> str | None:
        try:
            return self.pipeline.generation
        except NotReady:
            return None


def _log_failure(loading: Future[RagPipeline]) -> None:
    error = loading.exception()
    if isinstance(error, SELF_EXPLAINED):
        log.error("loading failed: %s", error)
    elif error is not None:
        log.error("loading failed", exc_info=error)
