"""Graceful shutdown: operations finish, sockets and streams are told, then the server stops."""

import asyncio
from collections.abc import Awaitable, Callable

LINGER_SECONDS = 1.0
"""How long closed sockets may take to say goodbye."""


class Drain:
    """Counts operations in flight, and knows how to end what would never end by itself.

    `leaving` says that load balancers are to send nobody here any more, `draining` that nothing new is begun.
    """

    def __init__(self) -> None:
        self.leaving = False
        self.draining = False
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._goodbyes: set[Callable[[], Awaitable[None]]] = set()

    def __enter__(self) -> None:
        self._in_flight += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    def on_shutdown(self, goodbye: Callable[[], Awaitable[None]]) -> None:
        self._goodbyes.add(goodbye)

    def forget(self, goodbye: Callable[[], Awaitable[None]]) -> None:
        self._goodbyes.discard(goodbye)

    async def hand_over(self, seconds: float) -> None:
        """Serve on for so many seconds while load balancers notice, and ask every client that comes to connect anew."""
        self.leaving = True
        await asyncio.sleep(seconds)

    async def run(self, grace_seconds: float) -> None:
        """Let queries and mutations finish for at most `grace_seconds`, then close sockets (1001) and end streams."""
        self.leaving = self.draining = True
        try:
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        except TimeoutError:
            pass
        farewells = [goodbye() for goodbye in list(self._goodbyes)]
        if farewells:
            await asyncio.wait([asyncio.ensure_future(each) for each in farewells], timeout=LINGER_SECONDS)
