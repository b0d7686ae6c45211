"""Events that a handler failed on: waiting for another try, or, after the last one, laid down for people to look at."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import TENANT_OWNED, metadata, timestamp
from domain.kernel import uuid7

LONGEST_ERROR = 4_000

event_retry = Table(
    "event_retry",
    metadata,
    Column("handler", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("envelope", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False),
    timestamp("due_at"),
    Column("error", Text, nullable=False),
    PrimaryKeyConstraint("handler", "event_id", "tenant_id"),
    Index("ix_event_retry_aggregate_id", "handler", "aggregate_id", "sequence"),
    schema="platform",
    info={TENANT_OWNED: True},
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("handler", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("envelope", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    timestamp("failed_at"),
    timestamp("requeued_at", nullable=True),
    UniqueConstraint("tenant_id", "handler", "event_id"),
    Index("ix_dead_letter_tenant_id_id", "tenant_id", "id"),
    schema="platform",
    info={TENANT_OWNED: True},
)


@dataclass(frozen=True)
class Backoff:
    """How often and how patiently a failed event is tried again: the pauses double, with jitter, up to a cap."""

    attempts: int = 12
    base_seconds: float = 1.0
    cap_seconds: float = 300.0

    def pause(self, attempts: int) -> timedelta:
        """Give the pause after so many failed attempts.

        Source: M. Brooker, "Exponential Backoff And Jitter", the "equal jitter" form.
        """
        whole = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempts - 1, 30))
        return timedelta(seconds=whole * random.uniform(0.5, 1))  # noqa: S311 — spreads load, guards nothing.


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One event that one handler did not get done, with the envelope as the bus brought it."""

    handler: str
    envelope: dict[str, Any]
    attempts: int
    due_at: datetime
    error: str

    @property
    def event_id(self) -> UUID:
        return UUID(self.envelope["event_id"])

    @property
    def sequence(self) -> int:
        return int(self.envelope["sequence"])


class Retries:
    """The waiting events; works in a transaction of the platform's role, for failures of all tenants."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def park(self, failures: Sequence[Failure], *, anew: bool = True) -> None:
        """Let events wait for their next try, over restarts; those that wait already are left alone unless `anew`."""
        if not failures:
            return
        rows = [
            {
                "handler": each.handler,
                "event_id": each.event_id,
                "tenant_id": UUID(each.envelope["tenant_id"]),
                "aggregate_id": UUID(each.envelope["aggregate_id"]),
                "sequence": each.sequence,
                "envelope": each.envelope,
                "attempts": each.attempts,
                "due_at": each.due_at,
                "error": each.error[:LONGEST_ERROR],
            }
            for each in failures
        ]
        fresh, key = insert(event_retry), ["handler", "event_id", "tenant_id"]
        later = {name: fresh.excluded[name] for name in ("attempts", "due_at", "error")}
        kept = fresh.on_conflict_do_update(index_elements=key, set_=later) if anew else fresh.on_conflict_do_nothing()
        await self._session.execute(kept, rows)

    async def heads(self, handlers: Sequence[str], limit: int) -> list[Failure]:
        """Give the events that are due next, of each aggregate only the oldest: the others wait behind it."""
        oldest = (
            select(event_retry)
            .where(event_retry.c.handler == func.any(bindparam("handlers", list(handlers), ARRAY(Text))))
            .ext(distinct_on(event_retry.c.handler, event_retry.c.aggregate_id))
            .order_by(event_retry.c.handler, event_retry.c.aggregate_id, event_retry.c.sequence)
            .subquery()
        )
        rows = await self._session.execute(select(oldest).order_by(oldest.c.due_at, oldest.c.sequence).limit(limit))
        return [
            Failure(
                handler=row.handler, envelope=row.envelope, attempts=row.attempts, due_at=row.due_at, error=row.error
            )
            for row in rows
        ]

    async def waiting(self, handler: str, aggregates: Collection[str]) -> set[str]:
        """Say which aggregates, by their ids as text, have an event waiting for this handler."""
        wanted = bindparam("wanted", [UUID(each) for each in aggregates], ARRAY(Uuid))
        found = select(event_retry.c.aggregate_id).where(
            event_retry.c.handler == handler, event_retry.c.aggregate_id == func.any(wanted)
        )
        return {str(each) for each in await self._session.scalars(found)}

    async def settle(self, failures: Sequence[Failure]) -> None:
        """Forget events that were handled after all, in the transaction that handled them."""
        for handler in {each.handler for each in failures}:
            events = [each.event_id for each in failures if each.handler == handler]
            own = (
                event_retry.c.handler == handler,
                event_retry.c.event_id == func.any(bindparam("events", events, ARRAY(Uuid))),
            )
            await self._session.execute(delete(event_retry).where(*own))

    async def bury(self, failure: Failure, now: datetime) -> None:
        """Give up on an event: it becomes a dead letter, and what waited behind it may go on."""
        envelope = failure.envelope
        values = {
            "id": uuid7(),
            "tenant_id": UUID(envelope["tenant_id"]),
            "handler": failure.handler,
            "event_id": failure.event_id,
            "name": envelope["name"],
            "aggregate_id": UUID(envelope["aggregate_id"]),
            "sequence": failure.sequence,
            "envelope": envelope,
            "attempts": failure.attempts,
            "error": failure.error[:LONGEST_ERROR],
            "failed_at": now,
            "requeued_at": None,
        }
        again = {name: values[name] for name in ("attempts", "error", "failed_at", "requeued_at")}
        statement = insert(dead_letter).values(values)
        key = ["tenant_id", "handler", "event_id"]
        await self._session.execute(statement.on_conflict_do_update(index_elements=key, set_=again))
        await self.settle([failure])


async def requeue(session: AsyncSession, letter_id: UUID, now: datetime) -> Any | None:
    """Give a dead letter another full round of attempts; None where no such letter lies there.

    The event is then handled out of its aggregate's order: what came after it may have been handled before.
    """
    claimed = update(dead_letter).where(dead_letter.c.id == letter_id, dead_letter.c.requeued_at.is_(None))
    row = (await session.execute(claimed.values(requeued_at=now).returning(dead_letter))).one_or_none()
    if row is not None:
        again = Failure(handler=row.handler, envelope=row.envelope, attempts=0, due_at=now, error=row.error)
        await Retries(session).park([again])
    return row
