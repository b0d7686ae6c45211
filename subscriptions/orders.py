"""Who watches an order or a store is told over Redis that there is something new, and looks for himself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

IDLE_SECONDS = 30.0
RECOVERY_SECONDS = 1.0
READ_WAIT_SECONDS = 5.0


class RedisOrderFeed:
    """Passes signs between processes; implements the domain's `OrderFeed`.

    All signs go over one channel, and every process wakes those of its watchers that one concerns: a sign is some fifty
    bytes, and a watcher costs the server nothing. While Redis is away, watchers look every `idle_seconds`.
    """

    def __init__(self, redis: Redis, namespace: str = "agora", *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._redis = redis
        self._channel = f"{{{namespace}}}:signs"
        self._idle_seconds = idle_seconds
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener

    async def announce(self, tenant_id: UUID, topic: str) -> None:
        await self._redis.publish(self._channel, _name(tenant_id, topic))

    async def follow(self, tenant_id: UUID, topic: str) -> AsyncIterator[None]:
        """Give a sign at first, at every announcement, and after a while without any."""
        name, sign = _name(tenant_id, topic), asyncio.Event()
        self._watchers.setdefault(name, set()).add(sign)
        try:
            while True:
                yield None
                with suppress(TimeoutError):
                    await asyncio.wait_for(sign.wait(), self._idle_seconds)
                sign.clear()
        finally:
            self._watchers[name].discard(sign)
            if not self._watchers[name]:
                del self._watchers[name]

    async def _listen(self) -> None:
        while True:
            with suppress(RedisError, OSError):
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(self._channel)
                    while True:
                        # A blocking read would run into the client's own time limit, as if the server were gone.
                        self._hear(await channel.get_message(timeout=READ_WAIT_SECONDS))
            await asyncio.sleep(RECOVERY_SECONDS)

    def _hear(self, message: dict[str, object] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            # Nobody heard what was announced before.
            names = list(self._watchers)
        else:
            data = message["data"]
            names = [data.decode() if isinstance(data, bytes) else str(data)]
        for name in names:
            for sign in self._watchers.get(name, ()):
                sign.set()


def _name(tenant_id: UUID, topic: str) -> str:
    return f"{tenant_id}:{topic}"
