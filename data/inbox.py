"""Effects exactly once: an event is marked as handled in the transaction of what its handler did."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, Uuid, func, text
from sqlalchemy.ext.asyncio import AsyncSession

from data.bus import decode
from data.dead_letters import Failure, Retries
from data.direct import direct
from data.kernel import TENANT_OWNED, metadata, timestamp
from data.sealing import opened
from data.transactions import SqlTransactions
from domain.kernel import SYSTEM, Envelope, Principal, Work, uuid7

inbox = Table(
    "inbox",
    metadata,
    Column("handler", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    timestamp("handled_at", server_default=func.now()),
    PrimaryKeyConstraint("handler", "event_id", "tenant_id"),
    Index("ix_inbox_handled_at", "handled_at"),
    schema="platform",
    info={TENANT_OWNED: True},
)

_CLAIM = text("""
WITH waiting AS (
  SELECT event_id = :event_id AS itself FROM platform.event_retry
  WHERE handler = :handler AND aggregate_id = :aggregate_id AND sequence <= :sequence
), dead AS (
  SELECT FROM platform.dead_letter WHERE handler = :handler AND event_id = :event_id
), claimed AS (
  INSERT INTO platform.inbox (handler, event_id, tenant_id) SELECT :handler, :event_id, :tenant_id
  WHERE NOT EXISTS (SELECT FROM waiting) AND NOT EXISTS (SELECT FROM dead)
  ON CONFLICT DO NOTHING RETURNING 1
)
SELECT EXISTS (SELECT FROM claimed) AS claimed,
       EXISTS (SELECT FROM waiting) AND NOT EXISTS (SELECT FROM waiting WHERE itself)
       AND NOT EXISTS (SELECT FROM dead)
       AND NOT EXISTS (SELECT FROM platform.inbox WHERE handler = :handler AND event_id = :event_id) AS behind
""")
_MARK = (
    "INSERT INTO platform.inbox (handler, event_id, tenant_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1"
)


async def mark(session: AsyncSession, handler: str, event_id: UUID, tenant_id: UUID) -> bool:
    """Mark something as done in the transaction that does it; says whether it is the first time."""
    return bool(await direct(session, _MARK, handler, event_id, tenant_id))


class Outcome(StrEnum):
    """What became of a delivery."""

    HANDLED = "handled"
    KNOWN = "known"
    BEHIND = "behind"


@dataclass(frozen=True)
class Subscriber:
    """A handler of a context, under the name that inboxes, retries and dead letters know it by."""

    key: str
    consumer: str
    names: frozenset[str]
    handler: Callable[..., Awaitable[Any]]
    batch: bool


def _now() -> datetime:
    return datetime.now(UTC)


class Deliveries:
    """Calls handlers in the tenant of their events; a tenant that may not be changed hears of its events all the same."""

    def __init__(self, transactions: SqlTransactions, now: Callable[[], datetime] = _now) -> None:
        self._transactions = transactions
        self._now = now

    async def first(self, subscriber: Subscriber, raw: dict[str, Any]) -> Outcome:
        """Handle an event as it comes from the bus, unless that was done before or an older one of its aggregate waits."""
        envelope = decode(raw)

        async def steps(session: AsyncSession, _writable: bool) -> Outcome:
            found = (await session.execute(_CLAIM, slot)).one()
            if not found.claimed:
                return Outcome.BEHIND if found.behind else Outcome.KNOWN
            await self._transactions.perform(session, subscriber.handler, await _readable(session, envelope), work)
            return Outcome.HANDLED

        work = self._work([envelope])
        slot = {
            "handler": subscriber.key,
            "event_id": envelope.event_id,
            "tenant_id": envelope.tenant_id,
            "aggregate_id": envelope.aggregate_id,
            "sequence": raw["sequence"],
        }
        return await self._transactions.transaction(steps, work)

    async def again(self, subscriber: Subscriber, failure: Failure) -> Outcome:
        """Handle an event that waited for another try."""
        envelope = decode(failure.envelope)

        async def steps(session: AsyncSession, _writable: bool) -> Outcome:
            claimed = await mark(session, subscriber.key, envelope.event_id, envelope.tenant_id)
            if claimed:
                await self._transactions.perform(session, subscriber.handler, await _readable(session, envelope), work)
            await Retries(session).settle([failure])
            return Outcome.HANDLED if claimed else Outcome.KNOWN

        work = self._work([envelope])
        return await self._transactions.transaction(steps, work)

    async def batch(
        self, subscriber: Subscriber, raws: Sequence[dict[str, Any]], settled: Sequence[Failure] = ()
    ) -> None:
        """Hand many events of one tenant to a handler that is idempotent by nature; no inbox is kept for it."""
        envelopes = [decode(raw) for raw in raws]

        async def steps(session: AsyncSession, _writable: bool) -> None:
            said = await opened(session, [each.data for each in envelopes])
            read = [replace(each, data=data) for each, data in zip(envelopes, said, strict=True)]
            await self._transactions.perform(session, subscriber.handler, read, work)
            await Retries(session).settle(settled)

        work = self._work(envelopes)
        await self._transactions.transaction(steps, work)

    def _work(self, envelopes: Sequence[Envelope]) -> Work:
        first = envelopes[0]
        correlations = {each.correlation_id for each in envelopes}
        users = {each.user_id for each in envelopes}
        return Work(
            tenant_id=first.tenant_id,
            actor=_on_behalf_of(first.user_id if len(users) == 1 else None, first.tenant_id),
            now=self._now(),
            correlation_id=first.correlation_id if len(correlations) == 1 else str(uuid7()),
        )


async def _readable(session: AsyncSession, envelope: Envelope) -> Envelope:
    (said,) = await opened(session, [envelope.data])
    return replace(envelope, data=said)


def _on_behalf_of(user_id: UUID | None, tenant_id: UUID) -> Principal:
    """Give the system's rights under the name of whoever caused the event."""
    return Principal(user_id=user_id, tenant_id=tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions)
