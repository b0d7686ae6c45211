"""The way from a change to what a search finds, as the worker goes it: relay, bus, consumer, index."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from redis.asyncio import Redis

from data.declarations import subscribers_of
from domain import discovery
from domain.catalog import hearing
from domain.processes import indexing
from server.index_keeper import IndexKeeper
from server.services import Services
from server.worker import Worker
from tests.events import running, skip_history


@asynccontextmanager
async def index_fed(services: Services, redis_url: str) -> AsyncIterator[Worker]:
    """Let a worker feed the index with what happens from now on."""
    skip_history(services.database.url)
    keeper = IndexKeeper(services, poll_seconds=0.05, look_seconds=0.2, retry_seconds=0.1)
    async with Redis.from_url(redis_url) as redis:
        worker = Worker(
            services.database,
            redis,
            subscribers=subscribers_of([indexing.subscriptions, hearing.subscriptions]),
            jobs=discovery.jobs.entries,
            services=services.by_port,
            parts=[keeper.run],
            namespace=uuid4().hex,
        )
        async with running(worker.run):
            yield worker
