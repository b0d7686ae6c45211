"""How fast the relay and a batch consumer carry an import's events, and how late a single event reaches the bus.

Run as `python -m benchmarks.relay [events]`; engines are started in a temporary folder, with durable settings.
"""

import asyncio
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter, process_time
from uuid import uuid4

import psycopg
from redis.asyncio import Redis
from sqlalchemy import text

from benchmarks._figures import Figure, load, percentile, table
from data.bus import RedisBus, connect
from data.database import Database
from data.embedded import Engines
from data.inbox import Subscriber
from data.migrations import upgrade
from data.relay import Progress, Relay
from domain.kernel import Envelope
from server.metrics import Metrics
from server.worker import Worker

IMPORT = """
INSERT INTO platform.event_log (event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at)
SELECT gen_random_uuid(), %(tenant)s, gen_random_uuid(), 'Product', 1, 'product.created',
       jsonb_build_object('product_id', gen_random_uuid(), 'sku', 'SKU-' || n, 'category_id', gen_random_uuid(),
                          'name', repeat('a product name ', 4), 'price_minor', n, 'currency', 'CAD'),
       jsonb_build_object('user_id', null, 'correlation_id', %(tenant)s::text), now()
FROM generate_series(1, %(events)s) AS n
"""
ONE = """
INSERT INTO platform.event_log (event_id, tenant_id, aggregate_id, aggregate_type, version, name, occurred_at)
VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'Product', 1, 'product.created', now())
"""
SINGLE_EVENTS = 200
IDLE_SECONDS = 10
PATIENCE_SECONDS = 300


async def relay_import(engines: Engines, redis: Redis, events: int) -> AsyncIterator[Figure]:
    """Measure the relay alone: events of one import that was committed at once."""
    bus = RedisBus(redis, "bench-relay")
    arrived, seen = asyncio.Event(), 0

    def count(progress: Progress) -> None:
        nonlocal seen
        seen += progress.events
        if seen >= events:
            arrived.set()

    relay = Relay(engines.database_url, bus, {"bench": ["product"]}, observe=count)
    stop, begun, cpu = asyncio.Event(), perf_counter(), process_time()
    running = asyncio.ensure_future(relay.run(stop))
    await asyncio.wait_for(arrived.wait(), PATIENCE_SECONDS)
    yield Figure(f"log to bus, {events:,} events", perf_counter() - begun, "s")
    yield Figure("  of it CPU of the relay's process", process_time() - cpu, "s", target=5)
    async for figure in idle(redis, bus, engines):
        yield figure
    stop.set()
    await running


async def idle(redis: Redis, bus: RedisBus, engines: Engines) -> AsyncIterator[Figure]:
    """Measure what a relay costs that has nothing to do, and how late a single event is on the bus."""
    await asyncio.sleep(1)
    cpu = process_time()
    await asyncio.sleep(IDLE_SECONDS)
    yield Figure("relay with nothing to do", (process_time() - cpu) / IDLE_SECONDS * 100, "% of a core", target=2)
    lags = []
    async with await psycopg.AsyncConnection.connect(engines.database_url, autocommit=True) as connection:
        last = (await redis.xinfo_stream(bus.key("product")))["last-generated-id"]
        for number in range(SINGLE_EVENTS):
            await asyncio.sleep(0.03 + number % 7 * 0.02)
            await connection.execute(ONE)
            committed = perf_counter()
            [[_, entries]] = await redis.xread({bus.key("product"): last}, block=5_000)
            lags.append((perf_counter() - committed) * 1000)
            last = entries[-1][0]
    yield Figure("commit to bus, one event, median", percentile(lags, 0.5), "ms")
    yield Figure("commit to bus, one event, p95", percentile(lags, 0.95), "ms", target=100)


async def consume_import(engines: Engines, redis: Redis, events: int) -> AsyncIterator[Figure]:
    """Measure the whole way: relay, group, envelopes, and a batch handler that does nothing."""
    done, seen, calls = asyncio.Event(), 0, 0

    async def count(envelopes: list[Envelope]) -> None:
        nonlocal seen, calls
        seen, calls = seen + len(envelopes), calls + 1
        if seen >= events:
            done.set()

    subscriber = Subscriber("bench.count", "bench", frozenset({"product.created"}), count, batch=True)
    async with Database(engines.database_url) as database:
        async with database.session(None) as session:
            await session.execute(text("UPDATE platform.relay_cursor SET sequence = 0, handled = 0"))
        worker = Worker(database, redis, subscribers=[subscriber], namespace="bench-whole", metrics=Metrics())
        stop, begun, cpu = asyncio.Event(), perf_counter(), process_time()
        running = asyncio.ensure_future(worker.run(stop))
        await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
        note = f"{calls} calls of an empty batch handler"
        yield Figure(f"log to handler, {events:,} events", perf_counter() - begun, "s", note=note)
        yield Figure("  of it CPU of the worker's process", process_time() - cpu, "s")
        stop.set()
        await running


async def main(engines: Engines, events: int) -> None:
    """Run all measurements one after the other."""
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute(IMPORT, {"tenant": uuid4(), "events": events})
    async with connect(engines.redis_url) as redis:
        figures = [each async for each in relay_import(engines, redis, events)]
        figures += [each async for each in consume_import(engines, redis, events)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(Figure("peak resident memory of the process", peak, "MB"))
    print(load())
    print(table(["relay", "value", "target", "", "note"], [each.cells() for each in figures]))


if __name__ == "__main__":
    with Engines(Path(tempfile.mkdtemp())) as running_engines:
        upgrade(running_engines.database_url)
        asyncio.run(main(running_engines, int(sys.argv[1]) if len(sys.argv) > 1 else 111_737))
