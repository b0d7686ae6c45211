"""What the processes of an installation tell each other of themselves, for a person who looks at all of them at once.

Each leaves its figures in Redis every few seconds, where they are forgotten when it does so no more.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import time
from typing import Any

import orjson
import structlog
from prometheus_client.metrics import MetricWrapperBase
from redis.exceptions import RedisError

from data.bus import RedisBus
from server.metrics import METRICS, Metrics

log = structlog.get_logger("agora.figures")

TELL_SECONDS = 2.0
KEPT_SECONDS = 10
MOST_PROCESSES = 200


class Figures:
    """The figures of this process, and of the others."""

    def __init__(self, bus: RedisBus, process: str, metrics: Metrics = METRICS) -> None:
        self._bus = bus
        self._metrics = metrics
        self._process = process
        self._started = time()
        self.member = f"{socket.gethostname()}-{os.getpid()}"

    def own(self) -> dict[str, Any]:
        """Give this process's figures: totals since it began, by label, and what it is like at the moment."""
        metrics = self._metrics
        return {
            "member": self.member,
            "process": self._process,
            "at": time(),
            "started": self._started,
            "operations": totals(metrics.operations, "outcome"),
            "kinds": totals(metrics.operations, "kind"),
            "names": totals(metrics.operations, "operation"),
            "latency": buckets(metrics.operation_seconds),
            "calls": totals(metrics.calls, "subgraph"),
            "batches": {
                name: buckets(metrics.batch_seconds, "subgraph", name) for name in totals(metrics.calls, "subgraph")
            },
            "errors": totals(metrics.errors, "context"),
            "internal": totals(metrics.errors, "nature").get("internal", 0.0),
            "statements": _only(metrics.statements, "_sum"),
            "handled": totals(metrics.events_handled, "handler"),
            "failed": totals(metrics.events_handled, "handler", outcome="failed"),
            "relayed": _only(metrics.events_relayed, "_total"),
            "orders": totals(metrics.orders, "status"),
            "sockets": _only(metrics.sockets, ""),
            "subscriptions": _only(metrics.subscriptions, ""),
            "frames": _only(metrics.frames, "_total"),
            "loop": buckets(metrics.loop_lag),
            "resident": metrics.registry.get_sample_value("process_resident_memory_bytes") or 0,
            "cpu": metrics.registry.get_sample_value("process_cpu_seconds_total") or 0,
            "books": totals(metrics.imbalances, "book"),
            "books_checked": _only(metrics.books_checked, ""),
            "stuck": totals(metrics.sagas, "state").get("stuck", 0.0),
        }

    async def all(self) -> list[dict[str, Any]]:
        """Give the figures of all processes, the own ones as they are now."""
        own = self.own()
        told = await self._bus.told(MOST_PROCESSES)
        others = [found for text in told if (found := orjson.loads(text))["member"] != self.member]
        return sorted([own, *others], key=lambda each: (each["process"], each["member"]))

    @asynccontextmanager
    async def published(self) -> AsyncIterator[None]:
        """Tell the others for as long as the block runs."""
        telling = asyncio.ensure_future(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    async def run(self, stop: asyncio.Event) -> None:
        """Tell the others until told to stop, as a part of a worker."""
        async with self.published():
            await stop.wait()

    async def _tell(self) -> None:
        while True:
            try:
                await self._bus.tell(self.member, orjson.dumps(self.own()), KEPT_SECONDS)
            except RedisError as error:
                log.debug("figures.not_told", reason=repr(error))
            await asyncio.sleep(TELL_SECONDS)


def totals(metric: MetricWrapperBase, label: str, **only: str) -> dict[str, float]:
    """Sum a metric by one of its labels, over those samples that have the given values of others."""
    found: dict[str, float] = {}
    for sample in _samples(metric):
        if sample.name.endswith("_created") or any(sample.labels.get(name) != value for name, value in only.items()):
            continue
        found[sample.labels[label]] = found.get(sample.labels[label], 0.0) + sample.value
    return found


def buckets(metric: MetricWrapperBase, label: str = "", value: str = "") -> dict[str, float]:
    """Sum a histogram's buckets, by their upper bounds."""
    found: dict[str, float] = {}
    for sample in _samples(metric):
        if sample.name.endswith("_bucket") and (not label or sample.labels[label] == value):
            found[sample.labels["le"]] = found.get(sample.labels["le"], 0.0) + sample.value
    return found


def _only(metric: MetricWrapperBase, suffix: str) -> float:
    wanted = [sample for sample in _samples(metric) if not sample.name.endswith(("_created", "_bucket"))]
    return float(sum(sample.value for sample in wanted if sample.name.endswith(suffix)))


def _samples(metric: MetricWrapperBase) -> Sequence[Any]:
    return [sample for family in metric.collect() for sample in family.samples]
