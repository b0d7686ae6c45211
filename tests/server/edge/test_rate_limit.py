"""Rate limits, against a real Valkey."""

import asyncio
import contextlib

import httpx
import pytest
from edge_shop import shop_app
from redis.asyncio import Redis

from server.edge.executor import Bucket
from server.edge.rate_limit import RateLimited, ValkeyRateLimiter
from server.edge.sessions import AnonymousSession
from server.edge.settings import EdgeSettings


@pytest.fixture
async def redis(valkey_url):
    client = Redis.from_url(valkey_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def limiter(redis) -> ValkeyRateLimiter:
    return ValkeyRateLimiter(redis)


async def level(redis: Redis, key: str) -> float:
    (found,) = [each async for each in redis.scan_iter(f"agora:rate:*}}:{key}")]
    return float(await redis.hget(found, "level"))


USER = Bucket("user:1", capacity=100, refill_per_second=1)
TENANT = Bucket("tenant:1", capacity=1000, refill_per_second=1)


class TestCharge:
    async def test_takes_the_cost_from_every_bucket(self, redis, limiter):
        await limiter.charge([USER, TENANT], 30)
        assert await level(redis, "user:1") == 70
        assert await level(redis, "tenant:1") == 970

    async def test_refuses_when_one_bucket_has_too_little_and_takes_from_none(self, redis, limiter):
        await limiter.charge([TENANT, USER], 90)
        with pytest.raises(RateLimited) as refused:
            await limiter.charge([TENANT, USER], 30)
        assert refused.value.retry_after_seconds in (19, 20)
        assert refused.value.extensions["bucket"] == "user"
        assert refused.value.headers["retry-after"] == str(refused.value.retry_after_seconds)
        assert await level(redis, "user:1") == 10
        assert await level(redis, "tenant:1") == 910

    async def test_admits_as_many_as_the_bucket_holds_under_concurrency(self, limiter):
        async def once() -> int:
            with contextlib.suppress(RateLimited):
                await limiter.charge([USER], 10)
                return 1
            return 0

        assert sum(await asyncio.gather(*(once() for _ in range(50)))) == 10

    async def test_refills_with_time(self, limiter):
        fast = Bucket("user:2", capacity=10, refill_per_second=100)
        await limiter.charge([fast], 10)
        with pytest.raises(RateLimited):
            await limiter.charge([fast], 10)
        await asyncio.sleep(0.12)
        await limiter.charge([fast], 10)

    async def test_lets_a_full_bucket_pay_for_what_is_larger_than_it(self, redis, limiter):
        await limiter.charge([USER], 500)
        assert await level(redis, "user:1") == 0

    async def test_forgets_buckets_that_would_be_full(self, redis, limiter):
        await limiter.charge([USER], 1)
        assert 100_000 < await redis.pttl("agora:rate:{user:1}:user:1") <= 101_000

    async def test_admits_when_valkey_is_gone(self):
        gone = ValkeyRateLimiter(Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2))
        await gone.charge([USER], 10)


class TestRefund:
    async def test_lowers_the_next_charge(self, redis, limiter):
        await limiter.charge([USER], 50)
        limiter.refund([USER], 45)
        await limiter.charge([USER], 10)
        assert 85 <= await level(redis, "user:1") < 86

    async def test_is_not_lost_in_a_refusal(self, redis, limiter):
        await limiter.charge([USER], 95)
        limiter.refund([USER], 5)
        with pytest.raises(RateLimited):
            await limiter.charge([USER], 50)
        await limiter.charge([USER], 10)
        assert await level(redis, "user:1") < 1

    async def test_never_fills_a_bucket_over_its_brim(self, redis, limiter):
        limiter.refund([USER], 80)
        await limiter.charge([USER], 10)
        assert await level(redis, "user:1") == 100


class TestRequests:
    async def test_are_charged_their_actual_cost_and_refused_beyond(self, redis, limiter):
        bucket = Bucket("address:x", capacity=60, refill_per_second=0.001)

        async def context(connection):
            return {}

        async def sessions(connection, params):
            return AnonymousSession(connection, context, "address:x", (bucket,))

        app = shop_app(EdgeSettings(), sessions=sessions, limiter=limiter)
        ask = {"json": {"query": "{ products(first: 50) { nodes { sku } } }"}, "headers": {"graphql-cost": "report"}}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            first = await http.post("/graphql", **ask)
            refused = await http.post("/graphql", **ask)
            small = await http.post("/graphql", json={"query": "{ hello }"})
        assert first.json()["extensions"]["cost"] == {"requested": 53, "actual": 8}
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert small.status_code == 200
