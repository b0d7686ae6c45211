"""The audit trail, dead letters and replays in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Text, bindparam, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.dead_letters import dead_letter, requeue
from data.declarations import declared, subscribers_of
from data.event_log import event_log
from data.inbox import Subscriber
from data.kernel import implements
from data.paging import Listing, equals
from data.relay import relay_cursor
from data.statements import Statement
from domain.kernel import Subscriptions
from domain.paging import Page, PageRequest
from domain.platform import AuditFilter, DeadLetter, DeadLetters, PlatformReads, Projections

_user_id = event_log.c.metadata["user_id"].astext
_api_key_id = event_log.c.metadata["api_key_id"].astext
_correlation_id = event_log.c.metadata["correlation_id"].astext
_entry = select(
    event_log.c.event_id.label("id"),
    event_log.c.sequence,
    event_log.c.name,
    event_log.c.aggregate_id,
    event_log.c.aggregate_type,
    event_log.c.version,
    event_log.c.data,
    cast(_user_id, PG_UUID).label("user_id"),
    cast(_api_key_id, PG_UUID).label("api_key_id"),
    _correlation_id.label("correlation_id"),
    event_log.c.occurred_at,
)
_published = select(relay_cursor.c.sequence).scalar_subquery()
_oldest = (
    select(event_log.c.occurred_at)
    .where(event_log.c.sequence > _published)
    .order_by(event_log.c.sequence)
    .limit(1)
    .subquery()
)
_LAG = Statement(select(cast(func.extract("epoch", func.now() - _oldest.c.occurred_at), Float).label("seconds")))
_DEAD = Statement(select(func.count().label("total")).where(dead_letter.c.requeued_at.is_(None)))
_SETTLED = Statement(select(relay_cursor.c.sequence))
_ENTRIES = Listing(
    _entry,
    [event_log.c.sequence.desc()],
    **equals(event_log.c.name, event_log.c.aggregate_id),
    user_id=_user_id == bindparam("user_id"),
    api_key_id=_api_key_id == bindparam("api_key_id"),
    correlation_id=_correlation_id == bindparam("correlation_id"),
    context=func.split_part(event_log.c.name, ".", 1) == bindparam("context"),
    since=event_log.c.occurred_at >= bindparam("since"),
    until=event_log.c.occurred_at < bindparam("until"),
)
_STREAM = Listing(
    _entry.where(
        event_log.c.aggregate_id == bindparam("aggregate_id"), event_log.c.version >= bindparam("from_version")
    ),
    [event_log.c.version],
)
_DEAD_LETTERS = Listing(
    select(dead_letter),
    [dead_letter.c.id.desc()],
    **equals(dead_letter.c.handler),
    waiting=dead_letter.c.requeued_at.is_(None),
)


@implements(PlatformReads)
class SqlPlatformReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def audit_log(self, wanted: AuditFilter, page: PageRequest) -> Page[Any]:
        by = {name: str(value) if (value := getattr(wanted, name)) else None for name in ("user_id", "api_key_id")}
        return await _ENTRIES.page(self._reads, page, **(vars(wanted) | by))

    async def event_stream(self, aggregate_id: UUID, from_version: int, page: PageRequest) -> Page[Any]:
        return await _STREAM.page(self._reads, page, aggregate_id=aggregate_id, from_version=from_version)

    async def dead_letters(self, handler: str | None, requeued: bool, page: PageRequest) -> Page[Any]:
        return await _DEAD_LETTERS.page(self._reads, page, handler=handler, waiting=None if requeued else True)

    async def outbox_lag_seconds(self) -> float:
        oldest = await self._reads.row(_LAG)
        return max(0.0, float(oldest.seconds)) if oldest else 0.0

    async def dead_letter_count(self) -> int:
        counted = await self._reads.row(_DEAD)
        return int(counted.total) if counted else 0

    async def live_cursor(self) -> int:
        row = await self._reads.row(_SETTLED)
        return int(row.sequence) if row else 0


@implements(DeadLetters)
class SqlDeadLetters:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def requeue(self, letter_id: UUID, now: datetime) -> DeadLetter | None:
        row = await requeue(self._session, letter_id, now)
        return (
            None if row is None else DeadLetter(**{each.name: getattr(row, each.name) for each in fields(DeadLetter)})
        )


# What is replayed waits like a failed event does: in order, over restarts, and in portions.
_REPLAY = text("""
INSERT INTO platform.event_retry
  (handler, event_id, tenant_id, aggregate_id, sequence, envelope, attempts, due_at, error)
SELECT :handler, event_id, tenant_id, aggregate_id, sequence, jsonb_build_object(
    'sequence', sequence, 'event_id', event_id, 'tenant_id', tenant_id, 'aggregate_id', aggregate_id,
    'aggregate_type', aggregate_type, 'version', version, 'name', name, 'occurred_at', occurred_at,
    'data', data, 'metadata', metadata),
  0, :now, 'replay'
FROM platform.event_log
WHERE name = ANY(:names) AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)
ON CONFLICT DO NOTHING
""").bindparams(bindparam("names", type_=ARRAY(Text)))


@implements(Projections)
class SqlProjections:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def names(self) -> Sequence[str]:
        return sorted(_projections())

    async def replay(self, projection: str, since: datetime | None, now: datetime) -> int:
        names = sorted(_projections()[projection].names)
        arguments = {"handler": projection, "names": names, "since": since, "now": now}
        result: Any = await self._session.execute(_REPLAY, arguments)
        return int(result.rowcount)


def _projections() -> dict[str, Subscriber]:
    return {each.key: each for each in subscribers_of(declared(Subscriptions)) if each.batch}
