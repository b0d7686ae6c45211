"""Who is where at the moment, over all processes: each says it for its own people, again and again while it lives."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import time
from typing import Self
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

BEAT_SECONDS = 10.0
MISSED_BEATS = 3

Place = tuple[UUID, str]


class RedisPresence:
    """Counts people in places; implements the domain's `Presence`.

    A place is a sorted set of people by when their presence is to be believed no longer. Somebody who is there by two
    processes and leaves one of them is missed until the other says so again.
    """

    def __init__(self, redis: Redis, namespace: str = "agora", *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._redis = redis
        self._namespace = namespace
        self._beat_seconds = beat_seconds
        self._here: dict[Place, Counter[str]] = {}
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating

    @asynccontextmanager
    async def enter(self, tenant_id: UUID, place: str, who: str) -> AsyncIterator[None]:
        """Count somebody as present; twice in one process is once."""
        there = (tenant_id, place)
        people = self._here.setdefault(there, Counter())
        people[who] += 1
        if people[who] == 1:
            await self._say({there: [who]})
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            people[who] -= 1
            if not people[who]:
                await self._leave(there, people, who)

    async def count(self, tenant_id: UUID, places: Sequence[str]) -> list[int]:
        """Give how many people are in each place."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for place in places:
                pipe.zcount(self._key((tenant_id, place)), time(), "+inf")
            return [int(each) for each in await pipe.execute()]

    async def present(self, tenant_id: UUID, place: str, people: Sequence[str]) -> list[bool]:
        """Say of each person whether he is there."""
        if not people:
            return []
        now = time()
        scores = await self._redis.zmscore(self._key((tenant_id, place)), list(people))
        return [score is not None and score >= now for score in scores]

    async def _leave(self, there: Place, people: Counter[str], who: str) -> None:
        del people[who]
        if not people and self._here.get(there) is people:
            del self._here[there]
        with suppress(RedisError, OSError):
            await self._redis.zrem(self._key(there), who)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            await self._say({there: list(people) for there, people in self._here.items()})

    async def _say(self, present: Mapping[Place, Sequence[str]]) -> None:
        """Say that people are here; whoever Redis was away for is there again with the next beat."""
        now, lasting = time(), self._beat_seconds * MISSED_BEATS
        with suppress(RedisError, OSError):
            async with self._redis.pipeline(transaction=False) as pipe:
                for there, people in present.items():
                    key = self._key(there)
                    pipe.zremrangebyscore(key, "-inf", now)
                    pipe.zadd(key, dict.fromkeys(people, now + lasting))
                    pipe.expire(key, int(lasting) + 1)
                await pipe.execute()

    def _key(self, there: Place) -> str:
        return f"{{{self._namespace}:{there[0]}}}:presence:{there[1]}"
