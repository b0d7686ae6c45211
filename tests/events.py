"""An example context for the tests of events: a tally that is nothing but its events, and handlers with countable effects."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from data.event_log import EventStore
from data.kernel import implements
from domain.kernel import Envelope, Event, EventSourced, InvalidInput, NotFound, Work, event

PATIENCE_SECONDS = 15.0


@event("tally.raised")
@dataclass(frozen=True, kw_only=True)
class TallyRaised(Event):
    tally_id: UUID
    amount: int


@event("tally.closed")
@dataclass(frozen=True, kw_only=True)
class TallyClosed(Event):
    tally_id: UUID


@dataclass(eq=False, kw_only=True)
class Tally(EventSourced):
    total: int = 0
    closed: bool = False

    def raise_by(self, amount: int) -> None:
        if amount <= 0:
            raise InvalidInput(field="amount", reason="it must be positive")
        self.record(TallyRaised(tally_id=self.id, amount=amount))

    def apply(self, fact: Event) -> None:
        match fact:
            case TallyRaised():
                self.total += fact.amount
            case TallyClosed():
                self.closed = True


class Tallies(Protocol):
    async def get(self, tally_id: UUID) -> Tally | None: ...

    def add(self, tally: Tally) -> None: ...


@implements(Tallies)
class SqlTallies:
    def __init__(self, session: AsyncSession) -> None:
        self._store = EventStore(session)
        self._session = session

    async def get(self, tally_id: UUID) -> Tally | None:
        tenant_id = (await self._session.execute(text("SELECT platform.tenant_id()"))).scalar_one()
        return await self._store.load(Tally(id=tally_id, tenant_id=tenant_id))

    def add(self, tally: Tally) -> None:
        self._store.add(tally)


@dataclass(frozen=True, kw_only=True)
class OpenTally:
    amount: int = 1
    id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class RaiseTally:
    id: UUID
    amount: int = 1
    times: int = 1


async def open_tally(command: OpenTally, work: Work, tallies: Tallies) -> Tally:
    tally = Tally(tenant_id=work.tenant_id) if command.id is None else Tally(id=command.id, tenant_id=work.tenant_id)
    tally.raise_by(command.amount)
    tallies.add(tally)
    return tally


async def raise_tally(command: RaiseTally, tallies: Tallies) -> Tally:
    tally = await tallies.get(command.id)
    if tally is None:
        raise NotFound(kind="Tally", id=str(command.id))
    for _ in range(command.times):
        tally.raise_by(command.amount)
    return tally


class Effects(Protocol):
    """What handlers did, as rows of a table: rolled back with them, and countable."""

    async def add(self, envelope: Envelope, work: Work) -> None: ...


@implements(Effects)
class SqlEffects:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, envelope: Envelope, work: Work) -> None:
        await self._session.execute(
            text(
                "INSERT INTO example.effect (tenant_id, event_id, aggregate_id, version, user_id, correlation_id) "
                "VALUES (:tenant_id, :event_id, :aggregate_id, :version, :user_id, :correlation_id)"
            ),
            {
                "tenant_id": work.tenant_id,
                "event_id": envelope.event_id,
                "aggregate_id": envelope.aggregate_id,
                "version": envelope.version,
                "user_id": work.actor.user_id,
                "correlation_id": work.correlation_id,
            },
        )


def create_effects(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS example")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS example.effect (id bigserial PRIMARY KEY, tenant_id uuid, event_id uuid, "
            "aggregate_id uuid, version int, user_id uuid, correlation_id text)"
        )
        connection.execute("GRANT USAGE ON SCHEMA example TO agora_app, agora_system")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA example TO agora_app, agora_system")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA example TO agora_app, agora_system")


def skip_history(url: str) -> int:
    """Let the relay begin after everything that other tests wrote; gives the last sequence that was given out."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "UPDATE platform.relay_cursor SET (sequence, handled) = "
            "(SELECT coalesce(pg_sequence_last_value('platform.event_log_sequence_seq'), 0), "
            "coalesce(pg_sequence_last_value('platform.event_log_sequence_seq'), 0)) RETURNING sequence"
        ).fetchone()
    assert row is not None
    return int(row[0])


@asynccontextmanager
async def running(part: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[asyncio.Event]:
    """Run a relay, consumer or worker beside the test, and stop it gracefully at the end."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(part(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until a condition holds, and give what it gave."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := await condition()):
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return found
