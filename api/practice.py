"""Practice within the service: over the pipeline's models, and over its current index.

Made at the first request, and again when the index is another one. Knows nothing of routes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from api.service import Service
from rag.practice.listing import SessionLine, list_sessions
from rag.practice.loading import DATABASE
from rag.practice.sessions import Practice
from rag.practice.store import PracticeStore

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline

T = TypeVar("T")
OpenPractice = Callable[["RagPipeline", PracticeStore], Practice]


class PracticeService:
    """Runs what practice is asked in threads; what may grade takes a slot like a question."""

    def __init__(self, service: Service, open_practice: OpenPractice) -> None:
        self._service, self._open = service, open_practice
        self._lock = threading.RLock()
        self._store: PracticeStore | None = None
        self._current: tuple[str, Practice] | None = None  # generation of the index, practice

    async def read(self, work: Callable[[Practice], T]) -> T:
        """Run what takes milliseconds. Raises NotReady or what practice raises."""
        pipeline = self._service.pipeline
        return await anyio.to_thread.run_sync(lambda: work(self._practice(pipeline)))

    async def list(self, limit: int) -> list[SessionLine]:
        """Return the newest sessions. Raises NotReady or StoreError."""
        _ = self._service.pipeline
        return await anyio.to_thread.run_sync(lambda: list_sessions(self._opened(), limit))

    async def grade(self, work: Callable[[Practice], T]) -> T:
        """Run what may grade or generate, in a slot. Raises Problem or what practice raises."""
        return await self._service.run(lambda pipeline, _: work(self._practice(pipeline)))

    def close(self) -> None:
        """Close the database; call it when no request is left."""
        with self._lock:
            self._current = None
            if self._store is not None:
                self._store.close()
                self._store = None

    def _opened(self) -> PracticeStore:
        with self._lock:
            if self._store is None:
                self._store = PracticeStore(self._service.settings.data_dir / DATABASE)
            return self._store

    def _practice(self, pipeline: RagPipeline) -> Practice:
        with self._lock:
            generation = pipeline.generation
            if self._current is None or self._current[0] != generation:
                self._current = generation, self._open(pipeline, self._opened())
            return self._current[1]
