"""Read replicas: snapshots for reads that tolerate lag, on servers that follow the primary closely enough for who asks.

Nobody reads on a replica what is older than his own last change: a change leaves a mark, the place in the write-ahead log up to which a
replica must have come to be asked by the same caller.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self
from uuid import UUID

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from data.database import Database, Reads, connected
from data.outages import FAILURES
from data.snapshots import Snapshots
from domain.kernel import Unavailable

log = structlog.get_logger("agora.replicas")

LAG_SECONDS = 5.0
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 2.0
KEPT_SAMPLES = 4_096
# What is committed may not be written yet; what is not written cannot have arrived anywhere.
_COMMITTED = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
_WRITTEN = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
_REPLAYED = "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint WHERE pg_is_in_recovery()"
# A query that stands in the way of the replay is cancelled; a server that stops says so; a connection breaks.
_REFUSED = ("40001", "40P01", "57P", "08", "53300", "25006")
Observer = Callable[[str, str], None]
"""Told where a snapshot for reads that tolerate lag was opened, `replica` or `primary`, and why."""


def _unheard(_place: str, _reason: str) -> None:
    """Let nobody know."""


@dataclass
class Replica:
    """One server that follows the primary, and how far it has come."""

    name: str
    snapshots: Snapshots
    replayed: int = 0
    lag_seconds: float = float("inf")
    asked: int = 0

    def serves(self, mark: int, limit_seconds: float) -> bool:
        """Say whether somebody who must see everything up to a mark may be asked here."""
        return self.lag_seconds <= limit_seconds and self.replayed >= mark

    def leave_out(self) -> None:
        """Ask it nothing more until it was found well again."""
        self.lag_seconds = float("inf")


class LaggingReads(Reads):
    """The reads of one operation on a replica; when it is lost, the operation is run again on the primary."""

    def __init__(self, replica: Replica, primary: Snapshots, tenant_id: UUID | None) -> None:
        super().__init__(replica.snapshots, tenant_id)
        self._replica: Replica | None = replica
        self._primary = primary
        self.lost = False

    async def text(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a select; whatever the replica's end does to it is noted."""
        try:
            return await super().text(statement, *arguments)
        except (*FAILURES, Unavailable) as error:
            self._note(error)
            raise

    def _note(self, error: BaseException) -> None:
        sqlstate = getattr(error, "sqlstate", None)
        if self._replica is not None and (sqlstate is None or sqlstate.startswith(_REFUSED)):
            self.lost = True
            if sqlstate is None or not sqlstate.startswith("40"):
                self._replica.leave_out()

    async def return_to_primary(self) -> None:
        """Read on the primary from now on: an answer that is half of one and half of the other would be of no moment."""
        await self.close()
        self._snapshots, self._replica, self.lost = self._primary, None, False


@dataclass
class Marks:
    """How far the log had come when a caller last changed something; shared by all processes, and forgotten in seconds.

    A replica that lags for longer than a mark is kept is not asked by anybody.
    """

    redis: Redis
    namespace: str
    seconds: float

    async def leave(self, caller: str, place: int) -> None:
        """Note a caller's change; where that cannot be noted, the caller is refused nothing and may read a moment behind."""
        try:
            await self.redis.set(self._key(caller), place, px=int(self.seconds * 1000))
        except RedisError as error:
            log.warning("replicas.mark_not_kept", reason=repr(error))

    async def of(self, caller: str) -> int | None:
        """Give the place of a caller's last change, 0 where there is none; None where that is not known."""
        try:
            return int(await self.redis.get(self._key(caller)) or 0)
        except RedisError:
            return None

    def _key(self, caller: str) -> str:
        return f"{self.namespace}:wrote:{{{caller}}}"


@dataclass
class Replicas:
    """The replicas of a database, watched all the time."""

    database: Database
    urls: Sequence[str]
    marks: Marks
    pool: int = 8
    limit_seconds: float = LAG_SECONDS
    observe: Observer = _unheard
    all: list[Replica] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))

    async def __aenter__(self) -> Self:
        for number, url in enumerate(self.urls, 1):
            snapshots = Snapshots(lambda url=url: connected(url, "agora replica reads"), self.pool)  # type: ignore[misc]
            self.all.append(Replica(f"replica {number}", snapshots))
        self._tasks = [asyncio.create_task(self._watch_primary())]
        self._tasks += [
            asyncio.create_task(self._watch(replica, url)) for replica, url in zip(self.all, self.urls, strict=True)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for replica in self.all:
            await replica.snapshots.__aexit__()

    async def reads(self, tenant_id: UUID | None, caller: str) -> Reads:
        """Give an operation that tolerates lag its reads: on the replica that is asked least, or on the primary."""
        near = [each for each in self.all if each.lag_seconds <= self.limit_seconds]
        mark = await self.marks.of(caller) if near else None
        good = [each for each in near if mark is not None and each.serves(mark, self.limit_seconds)]
        if not good:
            self.observe("primary", "own change" if near else "lag")
            return self.database.reads(tenant_id)
        chosen = min(good, key=lambda each: each.asked)
        chosen.asked += 1
        self.observe("replica", "")
        return LaggingReads(chosen, self.database.snapshots, tenant_id)

    async def changed(self, caller: str) -> None:
        """Note that a caller has changed something, once it is committed."""
        reads = self.database.system_reads()
        try:
            ((place,),) = await reads.text(_COMMITTED)
        finally:
            await reads.close()
        await self.marks.leave(caller, place)

    async def _watch_primary(self) -> None:
        """Note when the log had come how far, which is what a replica's lag in seconds is read off."""
        await self._keep(self.database.url, self._look_at_primary, lambda: None)

    async def _look_at_primary(self, connection: asyncpg.Connection) -> None:
        self._samples.append((monotonic(), await connection.fetchval(_WRITTEN, timeout=PATIENCE_SECONDS)))

    async def _watch(self, replica: Replica, url: str) -> None:
        async def look(connection: asyncpg.Connection) -> None:
            replayed = await connection.fetchval(_REPLAYED, timeout=PATIENCE_SECONDS)
            if replayed is None:
                # What is no replica any more may take writes of its own.
                replica.leave_out()
                return
            replica.replayed = replayed
            replica.lag_seconds = self._lag(replayed)

        await self._keep(url, look, replica.leave_out)

    def _lag(self, replayed: int) -> float:
        """Give the age of the oldest place of the log that is known and not replayed; an idle primary lets nobody lag."""
        behind = next((at for at, place in self._samples if place > replayed), None)
        return float("inf") if not self._samples else 0.0 if behind is None else monotonic() - behind

    @staticmethod
    async def _keep(url: str, look: Callable[[asyncpg.Connection], Any], lost: Callable[[], None]) -> None:
        """Look again and again, over a connection that is made anew when it breaks."""
        while True:
            connection: asyncpg.Connection | None = None
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    connection = await connected(url, "agora replica watch")
                while True:
                    await look(connection)
                    await asyncio.sleep(POLL_SECONDS)
            except (*FAILURES, TimeoutError) as error:
                lost()
                log.warning("replicas.lost", reason=repr(error))
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(POLL_SECONDS)
