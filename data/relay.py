"""The relay: carries the event log to the bus, every event at least once, none skipped, each aggregate's in order.

Sequences are given out before transactions commit, so a gap in what is visible may still be filled. The relay reads the
log by sequence, up to a horizon below which nothing can appear any more: it notes the last sequence given out, then who
is writing to the log at that moment (they hold a lock on the table until they end), and once all of those have ended
every sequence up to the noted one is visible or will never be.

The order of transaction ids would not do: a transaction that began first may well write to an aggregate last.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import asyncpg
import structlog
from redis.exceptions import RedisError
from sqlalchemy import BigInteger, CheckConstraint, Column, SmallInteger, Table, func

from data.bus import Published, RedisBus, encode
from data.database import SYSTEM_ROLE, asyncpg_url
from data.kernel import metadata, timestamp

log = structlog.get_logger(__name__)

LEASE = "relay"
CHUNK = 1_000
BUSY_PAUSE_SECONDS = 0.002
IDLE_PAUSE_SECONDS = 0.05
STANDBY_PAUSE_SECONDS = 0.5
RECOVERY_PAUSE_SECONDS = 1.0
TIDY_EVERY_SECONDS = 5.0
VERIFY_EVERY_SECONDS = 1.0
HORIZONS_KEPT = 64

relay_cursor = Table(
    "relay_cursor",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("handled", BigInteger, nullable=False),
    timestamp("moved_at", server_default=func.now()),
    schema="platform",
)

_ISSUED = "SELECT coalesce(pg_sequence_last_value('platform.event_log_sequence_seq'), 0)"
_WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'platform.event_log'::regclass AND mode = 'RowExclusiveLock' AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_EVENTS = """
SELECT sequence, event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at,
  topics
FROM platform.event_log WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
_MOVE = "UPDATE platform.relay_cursor SET sequence = $1, moved_at = now() WHERE id = 1"
_HANDLED = "UPDATE platform.relay_cursor SET handled = $1 WHERE id = 1 AND handled < $1"
_CURSOR = "SELECT sequence, handled FROM platform.relay_cursor WHERE id = 1"

FAILURES = (OSError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True)
class Progress:
    """What one round published: how many events of which names, and how old the newest of them was."""

    events: int
    lag_seconds: float
    names: Mapping[str, int] = field(default_factory=dict)


def _unobserved(_progress: Progress) -> None:
    """Nobody counts."""


class Relay:
    """One of possibly many relays; only the one that holds the lease publishes, the others stand by.

    `groups` are the consumers with the prefixes they read: their groups exist before the first event is published.
    """

    def __init__(
        self,
        url: str,
        bus: RedisBus,
        groups: Mapping[str, Sequence[str]],
        *,
        observe: Callable[[Progress], None] = _unobserved,
        tidy_seconds: float = TIDY_EVERY_SECONDS,
    ) -> None:
        self._tidy_seconds = tidy_seconds
        self._url = url
        self._bus = bus
        self._groups = groups
        self._observe = observe
        self._cursor = 0
        self._settled = 0
        self._horizons: deque[tuple[int, set[str]]] = deque(maxlen=HORIZONS_KEPT)
        self.leading = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until told to stop; lost servers are waited for."""
        while not stop.is_set():
            connection: asyncpg.Connection | None = None
            try:
                connection = await asyncpg.connect(
                    asyncpg_url(self._url), server_settings={"application_name": "agora relay"}
                )
                await connection.execute(f"SET ROLE {SYSTEM_ROLE}")
                # The bus says where it is; a cursor that a crash sets back by a moment is moved forward to that.
                await connection.execute("SET synchronous_commit = off")
                if await self._stand_by(connection, stop):
                    await self._lead(connection, stop)
            except FAILURES as failure:
                log.warning("relay.interrupted", reason=repr(failure))
                await pause(stop, RECOVERY_PAUSE_SECONDS)
            finally:
                self.leading.clear()
                if connection is not None:
                    with suppress(*FAILURES, TimeoutError):
                        await connection.close(timeout=2)

    async def _stand_by(self, connection: asyncpg.Connection, stop: asyncio.Event) -> bool:
        statement = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
        while not await connection.fetchval(statement, f"agora {LEASE}"):
            await pause(stop, STANDBY_PAUSE_SECONDS)
            if stop.is_set():
                return False
        return True

    async def _lead(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        self._cursor, _ = await connection.fetchrow(_CURSOR)
        self._settled = 0
        self._horizons.clear()
        await self.align(connection)
        self.leading.set()
        log.info("relay.leading", sequence=self._cursor)
        wait, tidy_at, verify_at = BUSY_PAUSE_SECONDS, monotonic(), monotonic() + VERIFY_EVERY_SECONDS
        while not stop.is_set():
            busy = await self.advance(connection)
            wait = BUSY_PAUSE_SECONDS if busy else min(wait * 2, IDLE_PAUSE_SECONDS)
            if monotonic() >= verify_at:
                # A server that lost its last second must be noticed even if nothing new happens.
                verify_at = monotonic() + VERIFY_EVERY_SECONDS
                await self.align(connection)
            if monotonic() >= tidy_at:
                tidy_at = monotonic() + self._tidy_seconds
                await self.tidy(connection)
            await pause(stop, wait)

    async def advance(self, connection: asyncpg.Connection) -> bool:
        """Publish what can be published now; says whether anything was, or is waited for."""
        safe = await self._horizon(connection)
        while self._cursor < safe:
            rows = await connection.fetch(_EVENTS, max(self._cursor, self._settled), safe, CHUNK)
            if not rows:
                break
            events = [Published(row["sequence"], row["name"], encode(row), row["topics"] is not None) for row in rows]
            reached = await self._bus.publish(self._cursor, events)
            if reached != events[-1].sequence:
                await self.align(connection)
                return True
            await self._move(connection, reached)
            age = datetime.now(UTC) - rows[-1]["occurred_at"]
            self._observe(Progress(len(rows), max(age.total_seconds(), 0), Counter(each.name for each in events)))
        moved, self._settled = safe > self._settled, max(safe, self._settled)
        return moved or bool(self._horizons)

    async def _horizon(self, connection: asyncpg.Connection) -> int:
        """Give the sequence up to which every event is visible or will never be."""
        issued: int = await connection.fetchval(_ISSUED)
        if issued <= self._settled and not self._horizons:
            return self._settled
        writers = {row["virtualtransaction"] for row in await connection.fetch(_WRITERS)}
        # A full row of horizons keeps its oldest ones: they are the first to be reached.
        if len(self._horizons) < HORIZONS_KEPT and (not self._horizons or self._horizons[-1][0] < issued):
            self._horizons.append((issued, writers))
        safe = self._settled
        while self._horizons and not self._horizons[0][1] & writers:
            safe = self._horizons.popleft()[0]
        return safe

    async def align(self, connection: asyncpg.Connection) -> None:
        """Make the cursor and the bus agree: on what the bus holds, or, if it holds nothing, on what was handled.

        A bus that is ahead of the log belongs to another log, such as one from before a backup was restored.
        """
        held = await self._bus.position()
        issued: int = await connection.fetchval(_ISSUED)
        if held is None or held > issued:
            handled: int = (await connection.fetchrow(_CURSOR))["handled"]
            if self._cursor:
                log.warning("relay.bus_is_empty", held=held, sequence=self._cursor, republish_after=handled)
            await self._bus.begin(handled)
            held = handled
        elif held == self._cursor and self.leading.is_set():
            return
        await self._join()
        if held != self._cursor:
            log.warning("relay.moved", sequence=self._cursor, to=held)
            self._settled = min(self._settled, held)
            await self._move(connection, held)

    async def tidy(self, connection: asyncpg.Connection) -> None:
        """Note up to where every consumer is done, from where an emptied bus would be filled again, and trim the bus."""
        handled, found = self._cursor, await self._bus.backlogs()
        missing = {(consumer, prefix) for consumer in self._groups for prefix in self._groups[consumer]}
        for each in found:
            missing.discard((each.consumer, each.stream))
            if not each.caught_up:
                handled = min(handled, each.handled_to)
        # Emptied in the meantime, the bus would seem to have nothing left to do.
        if missing or await self._bus.position() != self._cursor:
            await self._join()
            return
        await connection.execute(_HANDLED, handled)
        await self._bus.trim()

    async def _join(self) -> None:
        for consumer, prefixes in self._groups.items():
            await self._bus.join(consumer, prefixes)

    async def _move(self, connection: asyncpg.Connection, sequence: int) -> None:
        await connection.execute(_MOVE, sequence)
        self._cursor = sequence


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until told to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
