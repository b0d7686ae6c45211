"""Connections that go from one read-only snapshot to the next in a single round trip.

A snapshot that is given back is not ended at once: its COMMIT travels with the BEGIN of the next one on that connection, or
by itself when there is none for a moment.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Self

import asyncpg

from data.outages import FAILURES, is_outage

LINGER_SECONDS = 0.05
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Snapshots:
    """At most `size` connections, made when they are needed; who finds none waits for one."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, linger_seconds: float | None = None
    ) -> None:
        self._connect = connect
        self._linger_seconds = LINGER_SECONDS if linger_seconds is None else linger_seconds
        self.size = self._free = size
        self._idle: list[tuple[asyncpg.Connection, float | None]] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._sweeping: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        # Whoever cannot be reached at the start is said so at the start.
        connection = await self._connect()
        self._free -= 1
        self._idle.append((connection, None))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*self._sweeping, return_exceptions=True)
        for connection, _since in self._idle:
            with suppress(*FAILURES, TimeoutError):
                await connection.close(timeout=2)

    @property
    def idle(self) -> int:
        """How many connections wait for somebody."""
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """How many connections somebody holds."""
        return self.size - self._free - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return sum(not each.done() for each in self._waiting)

    async def begin(self, scope: str) -> asyncpg.Connection:
        """Give a connection with a fresh snapshot, and `scope`, statements of SQL, done in it.

        Connections that the server has ended since they were last used are replaced.
        Raises: asyncpg.PostgresError, OSError.
        """
        while True:
            connection, lingers, kept = await self._take()
            try:
                await connection.execute(f"COMMIT;{BEGIN};{scope}" if lingers else f"{BEGIN};{scope}")
            except FAILURES as error:
                if is_outage(error):
                    # The driver notices a moment later than the server says so.
                    connection.terminate()
                await self.give_back(connection)
                if not (kept and is_outage(error)):
                    raise
            except BaseException:
                await self.give_back(connection)
                raise
            else:
                return connection

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """Take back a connection whose snapshot is over, in whatever state."""
        if self._closed or connection.is_closed():
            self._drop(connection)
        elif not self._linger_seconds:
            await self._commit(connection)
        else:
            self._offer(connection, monotonic())
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._linger_seconds, self._end_lingering)

    async def _take(self) -> tuple[asyncpg.Connection, bool, bool]:
        """Give a connection, whether a snapshot lingers on it, and whether it was used before."""
        while True:
            while self._idle:
                connection, since = self._idle.pop()
                if not connection.is_closed():
                    return connection, since is not None, True
                self._free += 1
            if self._free:
                return await self._another(), False, False
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                # Woken and cancelled at once: the next in the row gets the turn.
                if turn.done() and not turn.cancelled():
                    self._wake()
                raise

    async def _another(self) -> asyncpg.Connection:
        self._free -= 1
        try:
            return await self._connect()
        except BaseException:
            self._free += 1
            self._wake()
            raise

    def _offer(self, connection: asyncpg.Connection, since: float | None) -> None:
        self._idle.append((connection, since))
        self._wake()

    def _drop(self, connection: asyncpg.Connection) -> None:
        connection.terminate()
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _end_lingering(self) -> None:
        self._sweep = None
        due = monotonic() - self._linger_seconds
        lingering = [each for each in self._idle if each[1] is not None]
        for each in lingering:
            if each[1] is not None and each[1] <= due:
                self._idle.remove(each)
                task = asyncio.ensure_future(self._commit(each[0]))
                self._sweeping.add(task)
                task.add_done_callback(self._sweeping.discard)
        if any(since is not None for _, since in self._idle):
            self._sweep = asyncio.get_running_loop().call_later(self._linger_seconds, self._end_lingering)

    async def _commit(self, connection: asyncpg.Connection) -> None:
        try:
            # After a failed statement PostgreSQL takes it for a rollback.
            await connection.execute("COMMIT")
        except FAILURES:
            self._drop(connection)
        else:
            self._offer(connection, None)
