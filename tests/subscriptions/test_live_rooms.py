"""Rooms over several processes: each counts for itself, one tells, and nothing is lost when something is away."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from domain.kernel import uuid7
from domain.live import ReactionKind, RoomPage, room_of
from subscriptions.live import RedisLiveRooms
from subscriptions.presence import RedisPresence

TENANT = uuid7()


@dataclass
class Told:
    """Signals that were sent."""

    sent: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def send(self, _tenant_id: UUID, topic: str, data: Mapping[str, Any]) -> None:
        self.sent.append((topic.partition(":")[0], data))


@dataclass
class Books:
    """Pages that were kept."""

    pages: list[RoomPage] = field(default_factory=list)
    is_away: bool = False

    async def keep(self, pages: Sequence[RoomPage]) -> None:
        if self.is_away:
            raise OSError("the database is away")
        self.pages += pages


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
async def processes(redis: Redis, told: Told, books: Books) -> AsyncIterator[list[RedisLiveRooms]]:
    """Two processes, which tell only when they are asked to."""
    namespace = uuid7().hex
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            presence = await stack.enter_async_context(RedisPresence(redis, namespace))
            rooms = RedisLiveRooms(redis, presence, told, books, namespace, told_every_seconds=3600)
            made.append(await stack.enter_async_context(rooms))
        yield made


class TestRooms:
    async def test_tell_the_viewers_of_all_processes_once_a_second(
        self, processes: list[RedisLiveRooms], told: Told
    ) -> None:
        one, other = processes
        place = room_of(uuid7())
        async with one.enter(TENANT, place, "a"), one.enter(TENANT, place, "b"), other.enter(TENANT, place, "c"):
            assert await one.count(TENANT, [place]) == [3]
            await one.tell()
            await other.tell()
            await one.tell()
        assert told.sent == [("live-count", {"viewers": 3})]

    async def test_add_up_the_reactions_of_all_processes_and_tell_who_came_late_later(
        self, processes: list[RedisLiveRooms], told: Told, redis: Redis
    ) -> None:
        session, (one, other) = uuid7(), processes
        for _ in range(3):
            one.react(TENANT, session, ReactionKind.HEART)
        await one.tell()
        other.react(TENANT, session, ReactionKind.FIRE)
        await other.tell()
        assert told.sent == [("live-reactions", {"totals": {"heart": 3}})]
        assert await one.reactions(TENANT, session) == {"heart": 3, "fire": 1}
        await redis.delete(other._key("teller", (TENANT, session)))
        await other.tell()
        assert told.sent[1:] == [("live-reactions", {"totals": {"heart": 3, "fire": 1}})]

    async def test_keep_each_viewer_once_and_the_most_there_were(
        self, processes: list[RedisLiveRooms], books: Books
    ) -> None:
        session, one = uuid7(), processes[0]
        async with one.enter(TENANT, room_of(session), "a"), one.enter(TENANT, room_of(session), "b"):
            await one.tell()
            await one.keep()
        await one.keep()
        (page,) = books.pages
        assert (page.session_id, set(page.viewers), page.peak) == (session, {"a", "b"}, 2)

    async def test_lose_no_viewer_while_the_database_is_away(
        self, processes: list[RedisLiveRooms], books: Books
    ) -> None:
        session, one = uuid7(), processes[0]
        books.is_away = True
        async with one.enter(TENANT, room_of(session), "a"):
            with pytest.raises(OSError, match="away"):
                await one.keep()
        books.is_away = False
        await one.keep()
        assert [set(page.viewers) for page in books.pages] == [{"a"}]

    async def test_leave_other_places_to_presence_alone(
        self, processes: list[RedisLiveRooms], told: Told, books: Books
    ) -> None:
        one = processes[0]
        async with one.enter(TENANT, "online", "a"):
            assert await one.present(TENANT, "online", ["a", "b"]) == [True, False]
            await one.tell()
            await one.keep()
        assert (told.sent, books.pages) == ([], [])
