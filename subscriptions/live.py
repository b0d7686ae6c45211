"""The rooms of live sessions: how many people are in each, and what they feel, told to all of them once a second at most.

Every process counts its own people and reactions. What is to be told is worked out by whichever process comes first in a
second, for a short lease in Redis keeps the others from doing the same; who has something new and came late tries again.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.live import PLACE, ReactionKind, RoomBooks, RoomPage, count_signal, reactions_signal, room_of
from domain.topics import Presence, Signals

log = structlog.get_logger("agora.live")

TOLD_EVERY_SECONDS = 1.0
LEASE_MILLISECONDS = 900
KEPT_EVERY_TICKS = 3
FORGOTTEN_AFTER_SECONDS = 2 * 86_400

Key = tuple[UUID, UUID]
_ROOM = re.compile(re.escape(PLACE) + r"([0-9a-f-]{36})")


@dataclass(eq=False)
class _Room:
    """What one process knows of a room and has not passed on yet."""

    people: int = 0
    came: set[str] = field(default_factory=set)
    felt: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    told_count: int | None = None
    totals: dict[str, int] = field(default_factory=dict)
    count_is_new: bool = False
    feelings_are_new: bool = False
    is_unkept: bool = False

    @property
    def is_idle(self) -> bool:
        return not (self.people or self.came or self.felt or self.feelings_are_new or self.is_unkept)


class RedisLiveRooms:
    """Implements the domain's `LiveRooms`, and `Presence` for everybody: whoever enters a room's place is seen here."""

    def __init__(
        self,
        redis: Redis,
        presence: Presence,
        signals: Signals,
        books: RoomBooks,
        namespace: str = "agora",
        *,
        told_every_seconds: float = TOLD_EVERY_SECONDS,
    ) -> None:
        self._redis = redis
        self._presence = presence
        self._signals = signals
        self._books = books
        self._prefix = f"{{{namespace}}}:live"
        self._pause = told_every_seconds
        self._rooms: dict[Key, _Room] = {}
        self._telling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._telling is not None:
            self._telling.cancel()
            with suppress(asyncio.CancelledError):
                await self._telling
        with suppress(Exception):
            await self._keep()

    @asynccontextmanager
    async def enter(self, tenant_id: UUID, place: str, who: str) -> AsyncIterator[None]:
        """Count somebody as present, and as a viewer where the place is a room."""
        found = _ROOM.fullmatch(place)
        async with self._presence.enter(tenant_id, place, who):
            if found is None:
                yield
                return
            room = self._room((tenant_id, UUID(found[1])))
            room.people += 1
            room.came.add(who)
            room.count_is_new = room.is_unkept = True
            try:
                yield
            finally:
                room.people -= 1
                room.count_is_new = True

    async def count(self, tenant_id: UUID, places: Sequence[str]) -> list[int]:
        return await self._presence.count(tenant_id, places)

    async def present(self, tenant_id: UUID, place: str, people: Sequence[str]) -> list[bool]:
        return await self._presence.present(tenant_id, place, people)

    def react(self, tenant_id: UUID, session_id: UUID, kind: ReactionKind) -> None:
        """Count a reaction; it is told with all others of its second."""
        self._room((tenant_id, session_id)).felt[kind] += 1

    async def reactions(self, tenant_id: UUID, session_id: UUID) -> Mapping[str, int]:
        found: dict[Any, Any] = await self._redis.hgetall(self._key("reactions", (tenant_id, session_id)))
        return {kind.decode(): int(number) for kind, number in found.items()}

    async def tell(self) -> None:
        """Pass on what is new in all rooms, as far as this process is the first to do so in this second."""
        for key, room in list(self._rooms.items()):
            await self._add_up(key, room)
            if (room.people or room.feelings_are_new) and await self._leads(key):
                if room.people:
                    await self._tell_count(key, room)
                await self._tell_feelings(key, room)

    async def keep(self) -> None:
        """Write down what has come together, and forget rooms where nothing happens any more."""
        await self._keep()
        for key in [key for key, room in self._rooms.items() if room.is_idle]:
            del self._rooms[key]

    async def _add_up(self, key: Key, room: _Room) -> None:
        felt, room.felt = room.felt, Counter()
        if not felt:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for kind, number in felt.items():
                    pipe.hincrby(self._key("reactions", key), kind, number)
                pipe.expire(self._key("reactions", key), FORGOTTEN_AFTER_SECONDS)
                await pipe.execute()
        except (RedisError, OSError):
            room.felt += felt
            raise
        room.feelings_are_new = True

    async def _leads(self, key: Key) -> bool:
        """Say whether nobody else tells this room anything in this second."""
        return bool(await self._redis.set(self._key("teller", key), b"", nx=True, px=LEASE_MILLISECONDS))

    async def _tell_count(self, key: Key, room: _Room) -> None:
        tenant_id, session_id = key
        (viewers,) = await self._presence.count(tenant_id, [room_of(session_id)])
        if viewers != room.told_count or room.count_is_new:
            room.told_count, room.count_is_new = viewers, False
            await self._signals.send(tenant_id, count_signal(session_id), {"viewers": viewers})
        if viewers > room.peak:
            room.peak, room.is_unkept = viewers, True

    async def _tell_feelings(self, key: Key, room: _Room) -> None:
        if not room.feelings_are_new:
            return
        room.feelings_are_new = False
        totals = dict(await self.reactions(*key))
        await self._signals.send(key[0], reactions_signal(key[1]), {"totals": totals})
        room.totals, room.is_unkept = totals, True

    async def _keep(self) -> None:
        unkept = {key: room for key, room in self._rooms.items() if room.is_unkept or room.came}
        if not unkept:
            return
        came = {key: room.came for key, room in unkept.items()}
        for room in unkept.values():
            room.came, room.is_unkept = set(), False
        pages = [
            RoomPage(tenant_id=key[0], session_id=key[1], viewers=came[key], peak=room.peak, reactions=room.totals)
            for key, room in unkept.items()
        ]
        try:
            await self._books.keep(pages)
        except BaseException:
            for key, room in unkept.items():
                room.came |= came[key]
                room.is_unkept = True
            raise

    def _room(self, key: Key) -> _Room:
        if self._telling is None:
            self._telling = asyncio.create_task(self._run())
        return self._rooms.setdefault(key, _Room())

    async def _run(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(self._pause)
            ticks += 1
            try:
                await self.tell()
                if ticks % KEPT_EVERY_TICKS == 0:
                    await self.keep()
            except Exception as failure:  # noqa: BLE001 — whatever is away comes back, and what was counted is still here.
                log.warning("live.rooms_interrupted", reason=repr(failure))

    def _key(self, name: str, key: Key) -> str:
        return f"{self._prefix}:{name}:{key[0]}:{key[1]}"
