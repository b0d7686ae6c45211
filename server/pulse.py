"""How long the event loop keeps others waiting, and what the garbage collector takes of that."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from data.database import Database
from server.metrics import METRICS, Metrics

PULSE_SECONDS = 0.5


@contextmanager
def measured(metrics: Metrics = METRICS) -> Iterator[None]:
    """Measure the running loop and the collector for as long as the block runs."""
    begun = 0.0

    def collected(phase: str, info: dict[str, Any]) -> None:
        nonlocal begun
        if phase == "start":
            begun = perf_counter()
        else:
            metrics.gc_pause.labels(str(info["generation"])).observe(perf_counter() - begun)

    beating = asyncio.ensure_future(_beat(metrics))
    gc.callbacks.append(collected)
    try:
        yield
    finally:
        gc.callbacks.remove(collected)
        beating.cancel()


async def _beat(metrics: Metrics) -> None:
    while True:
        due = perf_counter() + PULSE_SECONDS
        await asyncio.sleep(PULSE_SECONDS)
        metrics.loop_lag.observe(max(0.0, perf_counter() - due))


def watch_pools(database: Database, metrics: Metrics = METRICS) -> None:
    """Have the gauges of connections read what the database knows of them."""
    reads, writes = database.snapshots, database.engine.sync_engine.pool
    metrics.pool.labels("read", "in_use").set_function(lambda: reads.in_use)
    metrics.pool.labels("read", "idle").set_function(lambda: reads.idle)
    metrics.pool.labels("read", "limit").set(reads.size)
    metrics.pool_waiting.labels("read").set_function(lambda: reads.waiting)
    pool: Any = writes
    checked_out, checked_in = pool.checkedout, pool.checkedin
    metrics.pool.labels("write", "limit").set(pool.size())
    metrics.pool.labels("write", "in_use").set_function(checked_out)
    metrics.pool.labels("write", "idle").set_function(checked_in)
