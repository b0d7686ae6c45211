"""A bus of its own for every test, on the shared server; the relay begins after what other tests wrote."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from data.bus import RedisBus
from data.database import Database
from tests.events import create_effects, skip_history


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[RedisBus]:
    async with Redis.from_url(redis_url) as redis:
        yield RedisBus(redis, namespace=uuid4().hex)


@pytest.fixture
def fresh_log(database: Database, database_url: str) -> int:
    create_effects(database_url)
    return skip_history(database_url)
