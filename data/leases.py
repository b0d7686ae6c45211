"""Leases: who among several workers does a thing that only one may do at a time."""

import asyncio
from typing import Any, Self

import asyncpg

from data.database import APP_ROLE, asyncpg_url


class Leases:
    """Advisory locks on a connection of their own: whoever dies or is cut off loses its leases at once."""

    def __init__(self, url: str, application: str = "agora leases") -> None:
        self._url = url
        self._application = application
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self.lost = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.lost.clear()
        self._connection = await asyncpg.connect(
            asyncpg_url(self._url), server_settings={"application_name": self._application}
        )
        await self._connection.execute(f"SET ROLE {APP_ROLE}")
        self._connection.add_termination_listener(self._on_end)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.remove_termination_listener(self._on_end)
            await self._connection.close(timeout=2)

    async def take(self, name: str) -> bool:
        """Try to get a lease, held until it is given back or the connection ends; says whether it is ours now."""
        return bool(await self._ask("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name))

    async def give_back(self, name: str) -> None:
        """Let somebody else have a lease."""
        await self._ask("SELECT pg_advisory_unlock(hashtextextended($1, 0))", name)

    async def _ask(self, statement: str, name: str) -> Any:
        if self._connection is None:
            raise RuntimeError("leases are asked for before they were opened")
        async with self._lock:
            return await self._connection.fetchval(statement, f"agora {name}")

    def _on_end(self, _connection: Any) -> None:
        self.lost.set()
