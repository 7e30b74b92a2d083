"""Prometheus metrics of one application, in a registry of their own.

Labels come from small sets: no question, name or id of a document ever becomes one. Knows nothing
of how an answer was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rag.answers import Answer

_MAX_VALUES = 24  # of one open label: the next names are counted as "other"
_CLASS = re.compile(r"[a-z][a-z0-9_ -]{0,47}", re.IGNORECASE)
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)


class OpenLabel:
    """A label whose values the pipeline names; keeps their number bounded."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def value(self, text: str) -> str:
        """Return the class in front of the first colon of `text`, or "other"."""
        match = _CLASS.match(text.split(":", 1)[0])
        name = "_".join(re.split(r"[ _-]+", match[0].strip().lower())) if match else "other"
        if name not in self._seen and len(self._seen) >= _MAX_VALUES:
            return "other"
        self._seen.add(name)
        return name


class Metrics:
    """Counts requests, citations and degraded parts, and times the stages."""

    def __init__(self, depth: Callable[[], int], generation: Callable[[], str | None]) -> None:
        self.registry = CollectorRegistry()
        self._generation = generation
        self._stages = OpenLabel()
        self._reasons = OpenLabel()
        self._components = OpenLabel()
        self._stage_seconds = Histogram(
            "rag_stage_duration_seconds",
            "Time of one stage of a question",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._requests = Counter(
            "rag_requests",
            "HTTP requests by route and outcome",
            ["endpoint", "outcome"],
            registry=self.registry,
        )
        self._citations = Counter(
            "rag_citations",
            "Citations that reached a reader, and rejected ones by class of reason",
            ["result"],
            registry=self.registry,
        )
        self._degraded = Counter(
            "rag_degraded",
            "Answers and searches made without a component",
            ["component"],
            registry=self.registry,
        )
        queue = Gauge("rag_queue_depth", "Questions that wait for a slot", registry=self.registry)
        queue.set_function(depth)
        self._index = Gauge(
            "rag_index_info", "1 for the index in use", ["generation"], registry=self.registry
        )

    def count_request(self, endpoint: str, outcome: str) -> None:
        """Count one request; `endpoint` is the route's template, `outcome` one word."""
        self._requests.labels(endpoint, outcome).inc()

    def record_answer(self, answer: Answer) -> None:
        """Record an answer's stages, citations and degraded parts."""
        self.record_stages(answer.timings_ms, answer.degraded)
        self._citations.labels("valid").inc(len(answer.citations))
        for rejected in answer.rejected:
            self._citations.labels(self._reasons.value(rejected.reason)).inc()

    def record_stages(self, timings_ms: Mapping[str, float], degraded: Sequence[str]) -> None:
        """Record how long each stage took and what was missing."""
        for stage, milliseconds in timings_ms.items():
            self._stage_seconds.labels(self._stages.value(stage)).observe(milliseconds / 1000)
        for component in degraded:
            self._degraded.labels(self._components.value(component)).inc()

    def render(self) -> bytes:
        """Return the text exposition format."""
        self._index.clear()
        if generation := self._generation():
            self._index.labels(generation).set(1)
        return generate_latest(self.registry)


def outcome_of(status: int) -> str:
    """Return the outcome of a response without one of its own; 0 is none sent."""
    if status == 0:
        return "cancelled"
    if status < 400:
        return "ok"
    named = {429: "overloaded", 503: "unavailable", 504: "timeout"}
    return named.get(status, "rejected" if status < 500 else "error")
