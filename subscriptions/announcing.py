"""Presence that is told of: whoever follows somebody hears when he comes and when he goes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from redis.exceptions import RedisError

from domain.topics import Presence, Signals, presence_topic


class AnnouncedPresence:
    """Sends a signal whenever somebody enters or leaves one of some places; implements the domain's `Presence` on another one."""

    def __init__(self, presence: Presence, signals: Signals, places: Collection[str]) -> None:
        self._presence = presence
        self._signals = signals
        self._places = places

    @asynccontextmanager
    async def enter(self, tenant_id: UUID, place: str, who: str) -> AsyncIterator[None]:
        """Count somebody as present, and say so."""
        try:
            async with self._presence.enter(tenant_id, place, who):
                await self._tell(tenant_id, place, who)
                yield
        finally:
            await self._tell(tenant_id, place, who)

    async def count(self, tenant_id: UUID, places: Sequence[str]) -> list[int]:
        """Give how many people are in each place."""
        return await self._presence.count(tenant_id, places)

    async def present(self, tenant_id: UUID, place: str, people: Sequence[str]) -> list[bool]:
        """Say of each person whether he is there."""
        return await self._presence.present(tenant_id, place, people)

    async def _tell(self, tenant_id: UUID, place: str, who: str) -> None:
        if place not in self._places:
            return
        # Those who follow ask again when they come back; nobody's subscription ends for this.
        with suppress(RedisError, OSError):
            await self._signals.send(tenant_id, presence_topic(place, who), {})
