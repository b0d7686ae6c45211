import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from domain.kernel import uuid7
from subscriptions.orders import RedisOrderFeed


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as connected:
        yield connected


async def subscribed(redis: Redis, namespace: str, processes: int = 1) -> None:
    """Wait until the channel has that many listeners."""
    for _ in range(500):
        ((_, listeners),) = await redis.pubsub_numsub(f"{{{namespace}}}:signs")
        if listeners >= processes:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody listens")


async def sign(watching: AsyncIterator[None], seconds: float = 5.0) -> bool:
    """Say whether a sign comes in time; a watcher that was given up is not asked again."""
    try:
        await asyncio.wait_for(anext(watching), seconds)
    except TimeoutError:
        return False
    return True


class TestRedisOrderFeed:
    async def test_wakes_the_watchers_of_a_topic_in_every_process(self, redis: Redis) -> None:
        namespace, tenant = uuid7().hex, uuid7()
        async with RedisOrderFeed(redis, namespace) as here, RedisOrderFeed(redis, namespace) as there:
            await subscribed(redis, namespace, 2)
            watchers = [feed.follow(tenant, "order:1") for feed in (here, there, there)]
            assert all([await sign(each) for each in watchers])
            await asyncio.sleep(0.05)
            waiting = [asyncio.ensure_future(sign(each)) for each in watchers]
            await asyncio.sleep(0.05)
            await here.announce(tenant, "order:1")
            assert all(await asyncio.gather(*waiting))

    async def test_wakes_nobody_for_other_topics_and_tenants(self, redis: Redis) -> None:
        namespace, tenant = uuid7().hex, uuid7()
        async with RedisOrderFeed(redis, namespace) as feed:
            await subscribed(redis, namespace)
            watching = feed.follow(tenant, "order:1")
            assert await sign(watching)
            await feed.announce(tenant, "order:2")
            await feed.announce(uuid7(), "order:1")
            assert not await sign(watching, 0.3)

    async def test_makes_one_sign_of_many_that_nobody_has_looked_at(self, redis: Redis) -> None:
        namespace, tenant = uuid7().hex, uuid7()
        async with RedisOrderFeed(redis, namespace) as feed:
            await subscribed(redis, namespace)
            watching = feed.follow(tenant, "order:1")
            assert await sign(watching)
            for _ in range(20):
                await feed.announce(tenant, "order:1")
            await asyncio.sleep(0.3)
            assert await sign(watching)
            assert not await sign(watching, 0.3)

    async def test_has_watchers_look_now_and_then_while_nothing_is_heard(self, redis: Redis) -> None:
        feed = RedisOrderFeed(redis, uuid7().hex, idle_seconds=0.05)
        watching = feed.follow(uuid7(), "order:1")
        assert [await sign(watching) for _ in range(3)] == [True] * 3

    async def test_keeps_nothing_of_those_who_left(self, redis: Redis) -> None:
        feed, tenant = RedisOrderFeed(redis, uuid7().hex), uuid7()
        watchers: list[Any] = [feed.follow(tenant, "order:1") for _ in range(2)]
        for each in watchers:
            await anext(each)
        for each in watchers:
            await each.aclose()
        assert feed._watchers == {}

    async def test_listens_again_when_the_server_hung_up(self, redis: Redis, tenant_id: UUID) -> None:
        namespace = uuid7().hex
        async with RedisOrderFeed(redis, namespace) as feed:
            await subscribed(redis, namespace)
            watching = feed.follow(tenant_id, "order:1")
            assert await sign(watching)
            await redis.client_kill_filter(_type="pubsub")
            # To begin to listen is a sign by itself: something may have been missed.
            assert await sign(watching)
            await subscribed(redis, namespace)
