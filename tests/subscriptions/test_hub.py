import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest
from redis.asyncio import Redis

from data.bus import Published, channel_of, tidings
from data.embedded.binaries import valkey_program
from data.embedded.processes import launch, stop
from domain.kernel import uuid7
from domain.topics import TopicEvent
from subscriptions.hub import RedisHub
from subscriptions.presence import RedisPresence
from tests.conftest import NOW
from tests.events import eventually


class Log:
    """The log as a list of events, settled as far as it was told."""

    def __init__(self) -> None:
        self.events: list[TopicEvent] = []
        self.until = 0
        self.away = False

    def write(self, tenant_id: UUID, *topics: str) -> Published:
        """Write an event and give it as the relay publishes it."""
        sequence, aggregate_id = len(self.events) + 1, uuid7()
        data: Mapping[str, Any] = {}
        event = TopicEvent(
            tenant_id=tenant_id,
            topics=topics,
            name="hub_test.happened",
            data=data,
            sequence=sequence,
            aggregate_id=aggregate_id,
            occurred_at=NOW,
        )
        self.events.append(event)
        envelope = {
            "sequence": sequence,
            "tenant_id": tenant_id,
            "aggregate_id": aggregate_id,
            "name": event.name,
            "topics": event.topics,
            "data": data,
            "occurred_at": NOW,
            "metadata": {},
        }
        return Published(sequence, event.name, orjson.dumps(envelope), followed=True)

    async def settled(self) -> int:
        if self.away:
            raise ConnectionError("the database is away")
        return self.until

    async def entries(
        self, tenant_id: UUID, topics: Sequence[str], after: int, until: int, limit: int
    ) -> list[TopicEvent]:
        own = [each for each in self.events if each.tenant_id == tenant_id and set(each.topics) & set(topics)]
        return [each for each in own if after < (each.sequence or 0) <= until][:limit]

    async def between(self, after: int, until: int, limit: int) -> list[TopicEvent]:
        if self.away:
            raise ConnectionError("the database is away")
        return [each for each in self.events if after < (each.sequence or 0) <= until][:limit]

    async def readable(self, events: Sequence[TopicEvent]) -> list[TopicEvent]:
        return [*events]


class Listener:
    """Somebody who writes down what he hears."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.signals: list[Mapping[str, Any]] = []

    def hear(self, event: TopicEvent) -> None:
        if event.sequence is None:
            self.signals.append(event.data)
        else:
            self.heard.append(event.sequence)

    async def has_heard(self, *sequences: int) -> bool:
        return self.heard == list(sequences)


class Town:
    """A hub on a channel of its own, and the relay that talks on it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.namespace = uuid7().hex
        self.channel = channel_of(self.namespace)
        self.log = Log()
        self.told = 0
        self.hub = RedisHub(redis, self.log, self.channel, self.namespace)

    async def listening(self) -> None:
        async def somebody() -> bool:
            ((_, listeners),) = await self.redis.pubsub_shardnumsub(self.channel)
            return bool(listeners)

        await eventually(somebody)

    async def tell(self, *events: Published) -> None:
        """Publish events as the relay does, after what it published before."""
        reached = events[-1].sequence
        await self.redis.spublish(self.channel, tidings(self.told, reached, events))
        self.told = self.log.until = reached


@pytest.fixture
async def town(redis_url: str) -> AsyncIterator[Town]:
    async with Redis.from_url(redis_url) as redis:
        made = Town(redis)
        async with made.hub:
            yield made


class TestDurableTopics:
    async def test_are_heard_in_order_by_those_who_follow_them(self, town: Town) -> None:
        tenant, here, there = uuid7(), Listener(), Listener()
        await town.hub.follow(tenant, here, ["a", "b"])
        await town.hub.follow(tenant, there, ["b"])
        await town.listening()
        await town.tell(town.log.write(tenant, "a", "b"), town.log.write(uuid7(), "a"), town.log.write(tenant, "c"))
        await town.tell(town.log.write(tenant, "b"))
        await eventually(lambda: here.has_heard(1, 4))
        assert there.heard == [1, 4]
        assert town.hub.position == 4

    async def test_are_read_from_the_log_where_a_piece_was_not_heard(self, town: Town) -> None:
        tenant, listener = uuid7(), Listener()
        await town.hub.follow(tenant, listener, ["a"])
        await town.listening()
        missed = [town.log.write(tenant, "a") for _ in range(1_200)]
        town.told = missed[-1].sequence
        await town.tell(town.log.write(tenant, "a"))
        await eventually(lambda: listener.has_heard(*range(1, 1_202)))

    async def test_are_told_once_when_the_relay_repeats_itself(self, town: Town) -> None:
        tenant, listener = uuid7(), Listener()
        await town.hub.follow(tenant, listener, ["a"])
        await town.listening()
        first, second = town.log.write(tenant, "a"), town.log.write(tenant, "a")
        await town.tell(first, second)
        town.told = 0
        await town.tell(first, second, town.log.write(tenant, "a"))
        await eventually(lambda: listener.has_heard(1, 2, 3))

    async def test_are_caught_up_with_after_the_server_hung_up(self, town: Town) -> None:
        tenant, listener = uuid7(), Listener()
        await town.hub.follow(tenant, listener, ["a"])
        await town.listening()
        town.log.write(tenant, "a")
        town.log.until = town.told = 1
        await town.redis.client_kill_filter(_type="pubsub")
        await eventually(lambda: listener.has_heard(1))

    async def test_wait_for_a_database_that_is_away(self, town: Town) -> None:
        tenant, listener = uuid7(), Listener()
        await town.hub.follow(tenant, listener, ["a"])
        await town.listening()
        town.log.away = True
        town.log.write(tenant, "a")
        town.told = 1
        await town.tell(town.log.write(tenant, "a"))
        town.log.away = False
        await eventually(lambda: listener.has_heard(1, 2))

    async def test_are_not_heard_by_who_has_left(self, town: Town) -> None:
        tenant, gone, stays = uuid7(), Listener(), Listener()
        leave = await town.hub.follow(tenant, gone, ["a"], ["s"])
        await town.hub.follow(tenant, stays, ["a"])
        await town.listening()
        leave()
        leave()
        await town.tell(town.log.write(tenant, "a"))
        await eventually(lambda: stays.has_heard(1))
        assert gone.heard == []
        assert (tenant, "s") not in town.hub._followers

    async def test_give_what_was_missed_page_by_page_up_to_the_seam(self, town: Town) -> None:
        tenant = uuid7()
        for _ in range(1_100):
            town.log.write(tenant, "a")
        pages = [page async for page in town.hub.missed(tenant, ["a"], 50, 1_090)]
        assert [each.sequence for page in pages for each in page] == list(range(51, 1_091))
        assert [len(page) for page in pages] == [500, 500, 40]


class TestSignals:
    async def test_reach_those_who_follow_in_every_process_and_nobody_else(self, town: Town) -> None:
        tenant, here, there, other = uuid7(), Listener(), Listener(), Listener()
        async with RedisHub(town.redis, town.log, town.channel, town.namespace) as second:
            await town.hub.follow(tenant, here, [], ["s"])
            await second.follow(tenant, there, [], ["s"])
            await second.follow(uuid7(), other, [], ["s"])
            await second.send(tenant, "s", {"n": 1})
            await eventually(lambda: _are(here.signals, [{"n": 1}]))
            await eventually(lambda: _are(there.signals, [{"n": 1}]))
            assert other.signals == []

    async def test_are_heard_again_when_the_last_follower_left_and_another_came(self, town: Town) -> None:
        tenant = uuid7()
        for number in range(3):
            listener = Listener()
            leave = await town.hub.follow(tenant, listener, [], ["s"])
            await town.hub.send(tenant, "s", {"n": number})
            await eventually(lambda heard=listener.signals, number=number: _are(heard, [{"n": number}]))
            leave()

        async def nobody() -> bool:
            return not town.hub._channels

        await eventually(nobody)


async def _are(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return list(found) == list(wanted)


@asynccontextmanager
async def restarting() -> AsyncIterator[tuple[Redis, Callable[[], None]]]:
    """A server of one's own that forgets everything when it is started anew."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        for process in running:
            stop(process, [(signal.SIGKILL, 10.0)])
        command = [str(valkey_program()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
        running[:] = [launch(command, output=subprocess.DEVNULL)]

    restart()
    async with Redis.from_url(f"redis://127.0.0.1:{port}/0") as redis:
        try:
            yield redis, restart
        finally:
            stop(running[0], [(signal.SIGKILL, 10.0)])


class TestRestartOfTheServer:
    async def test_loses_no_durable_event_and_hears_signals_again(self) -> None:
        async with restarting() as (redis, restart):
            town, tenant, listener = Town(redis), uuid7(), Listener()
            async with town.hub, RedisPresence(redis, town.namespace, beat_seconds=0.05) as presence:
                await town.hub.follow(tenant, listener, ["a"], ["s"])
                await town.listening()
                async with presence.enter(tenant, "room", "anna"):
                    await town.tell(town.log.write(tenant, "a"))
                    await eventually(lambda: listener.has_heard(1))
                    await asyncio.to_thread(restart)
                    await redis.connection_pool.disconnect()
                    town.log.write(tenant, "a")
                    town.log.until = town.told = 2
                    await eventually(lambda: listener.has_heard(1, 2))
                    await town.tell(town.log.write(tenant, "a"))
                    await eventually(lambda: listener.has_heard(1, 2, 3))

                    async def heard() -> bool:
                        await town.hub.send(tenant, "s", {"n": 1})
                        return bool(listener.signals)

                    await eventually(heard)

                    async def present() -> bool:
                        return await presence.present(tenant, "room", ["anna", "bert"]) == [True, False]

                    await eventually(present)


class TestPresence:
    async def test_counts_everybody_once_and_until_he_leaves(self, town: Town) -> None:
        tenant = uuid7()
        async with RedisPresence(town.redis, town.namespace) as presence:
            async with presence.enter(tenant, "room", "anna"), presence.enter(tenant, "room", "anna"):
                async with presence.enter(tenant, "room", "bert"):
                    assert await presence.count(tenant, ["room", "elsewhere"]) == [2, 0]
                    assert await presence.count(uuid7(), ["room"]) == [0]
                assert await presence.present(tenant, "room", ["bert", "anna"]) == [False, True]
            assert await presence.count(tenant, ["room"]) == [0]
            assert await presence.present(tenant, "room", []) == []

    async def test_forgets_those_of_a_process_that_died(self, town: Town) -> None:
        tenant = uuid7()
        presence = RedisPresence(town.redis, town.namespace, beat_seconds=0.05)
        entered = presence.enter(tenant, "room", "anna")
        await entered.__aenter__()
        assert await presence.count(tenant, ["room"]) == [1]
        assert presence._beating is not None
        presence._beating.cancel()

        async def empty() -> bool:
            return await presence.count(tenant, ["room"]) == [0]

        await eventually(empty)
        await entered.__aexit__(None, None, None)
