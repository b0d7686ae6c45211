"""Everything that is kept in Redis, on a real cluster of three masters, one of which loses a slot while everybody works."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from data.bus import Published, RedisBus, connect
from data.replicas import Marks
from domain.delivery.geography import Ping, Position
from domain.kernel import uuid7
from server.edge.executor import Bucket
from server.edge.rate_limit import RateLimited, ValkeyRateLimiter
from subscriptions.hub import RedisHub
from subscriptions.pace import SIGNALS_PER_WINDOW, RedisTypingPace
from subscriptions.positions import RedisPositions
from subscriptions.presence import RedisPresence
from tests.conftest import NOW
from tests.events import eventually
from tests.subscriptions.test_hub import Listener, Log
from tests.valkey_cluster import ValkeyCluster

EVENTS = 300


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
async def redis(cluster: ValkeyCluster) -> AsyncIterator[Redis]:
    async with connect(cluster.url) as client:
        yield client


def event(sequence: int, prefix: str) -> Published:
    return Published(sequence, f"{prefix}.happened", b"{}")


class TestTheBus:
    async def test_publishes_to_several_streams_at_once_and_is_read_and_acknowledged(self, redis: Redis) -> None:
        bus = RedisBus(redis, uuid4().hex)
        await bus.begin(0)
        await bus.join("shop", ["a", "b"])
        assert await bus.publish(0, [event(1, "a"), event(2, "b"), event(3, "a")]) == 3
        assert await bus.publish(1, [event(2, "b")]) == 3
        found = await bus.read("shop", "me", ["a", "b"], count=10, wait_ms=1)
        assert [(each.stream, each.sequence) for each in found] == [("a", 1), ("b", 2), ("a", 3)]
        assert [each.sequence for each in await bus.reclaim("shop", "you", ["a", "b"], idle_ms=0)] == [1, 2, 3]
        await bus.acknowledge("shop", found)
        assert [(each.stream, each.pending) for each in sorted(await bus.backlogs(), key=str)] == [("a", 0), ("b", 0)]
        await bus.beat("me", 5)
        assert await bus.workers() == ["me"]
        await bus.begin(7)
        assert (await bus.position(), await bus.backlogs()) == (7, [])


class TestTheHub:
    async def test_loses_nothing_while_the_slot_of_the_bus_moves_to_another_master(
        self, redis: Redis, cluster: ValkeyCluster
    ) -> None:
        namespace, tenant_id, log, listener = uuid4().hex, uuid7(), Log(), Listener()
        bus = RedisBus(redis, namespace)
        await bus.begin(0)
        await bus.join("shop", ["hub_test"])
        async with RedisHub(redis, log, f"{{{namespace}}}:followed", namespace) as hub:
            await hub.follow(tenant_id, listener, ["order"], ["typing"])
            moving: asyncio.Task[None] | None = None
            for number in range(EVENTS):
                if number == EVENTS // 3:
                    moving = asyncio.create_task(asyncio.to_thread(cluster.move, f"{{{namespace}}}"))
                published = log.write(tenant_id, "order")
                log.until = published.sequence
                assert await bus.publish(number, [published]) == published.sequence
            assert moving is not None
            await moving
            published = log.write(tenant_id, "order")
            log.until = published.sequence
            await bus.publish(EVENTS, [published])

            async def heard_all() -> bool:
                return len(listener.heard) == EVENTS + 1

            await eventually(heard_all)
            assert listener.heard == list(range(1, EVENTS + 2))

            async def hears_signals() -> bool:
                await hub.send(tenant_id, "typing", {"who": "me"})
                return bool(listener.signals)

            await eventually(hears_signals)
        found = await bus.read("shop", "me", ["hub_test"], count=EVENTS * 2, wait_ms=1)
        assert [each.sequence for each in found] == list(range(1, EVENTS + 2))


class TestTheRest:
    async def test_counts_who_is_there_in_several_tenants(self, redis: Redis) -> None:
        here, there = uuid7(), uuid7()
        async with RedisPresence(redis, uuid4().hex) as presence:
            async with presence.enter(here, "room", "ann"), presence.enter(there, "room", "bob"):
                assert await presence.count(here, ["room", "hall"]) == [1, 0]
                assert await presence.present(there, "room", ["ann", "bob"]) == [False, True]
            assert await presence.count(here, ["room"]) == [0]

    async def test_charges_a_caller_and_his_tenant_together(self, redis: Redis) -> None:
        tenant = uuid4().hex
        buckets = [Bucket(f"user:{uuid4().hex}", 100, 1), Bucket(f"tenant:{tenant}", 150, 1)]
        limiter = ValkeyRateLimiter(redis)
        await limiter.charge(buckets, 90)
        with pytest.raises(RateLimited):
            await limiter.charge(buckets, 90)
        assert len({key_slot(key.encode()) for key in limiter._keys(buckets)}) == 1

    async def test_spreads_tenants_over_the_masters(self) -> None:
        keys = [RedisPresence(None, "agora")._key((uuid7(), "room")) for _ in range(200)]  # type: ignore[arg-type]
        assert {key_slot(key.encode()) * 3 // 16_384 for key in keys} == {0, 1, 2}

    async def test_keeps_positions_paces_typing_and_marks_changes(self, redis: Redis) -> None:
        namespace, tenants = uuid4().hex, [uuid7(), uuid7()]
        positions, driver = RedisPositions(redis, namespace), uuid7()
        ping = Ping(position=Position(latitude=45.0, longitude=-75.0), at=NOW)
        kept = await asyncio.gather(*(positions.keep(each, driver, ping) for each in tenants))
        assert kept == [True, True]
        assert await positions.last(tenants[0], [driver, uuid7()]) == [ping, None]
        pace = RedisTypingPace(redis, namespace)
        assert [await pace.admit(tenants[0], driver) for _ in range(SIGNALS_PER_WINDOW + 1)][-2:] == [True, False]
        marks = Marks(redis, namespace, seconds=5)
        await marks.leave("user:1", 42)
        assert (await marks.of("user:1"), await marks.of("user:2")) == (42, 0)

    async def test_leaves_no_key_without_a_hash_tag(self, redis: Redis) -> None:
        found = [key async for key in redis.scan_iter(count=1_000)]
        assert found
        assert [key for key in found if b"{" not in key] == []
