"""The event log: audit trail, outbox and, for event-sourced aggregates, the store."""

from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import TENANT_OWNED, json_column, metadata, refuses, timestamp
from domain.codec import from_json, to_json
from domain.kernel import EVENTS, Aggregate, ConcurrentModification, EventSourced, Recorded, Work, uuid7

A = TypeVar("A", bound=EventSourced)
_TRACKED = "event_sourced"
_VERSION = "uq_event_log_aggregate_id_version"


event_log = Table(
    "event_log",
    metadata,
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    json_column("data"),
    json_column("metadata"),
    timestamp("occurred_at"),
    UniqueConstraint("aggregate_id", "version", name=_VERSION),
    Index("ix_event_log_tenant_id_name_occurred_at", "tenant_id", "name", "occurred_at"),
    schema="platform",
    info={TENANT_OWNED: True},
)

aggregate_snapshot = Table(
    "aggregate_snapshot",
    metadata,
    Column("aggregate_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    json_column("data"),
    timestamp("created_at", server_default=func.now()),
    schema="platform",
    info={TENANT_OWNED: True},
)

refuses(_VERSION, lambda _: ConcurrentModification(kind="Aggregate", id=""))


async def append(session: AsyncSession, aggregates: Iterable[Aggregate], work: Work) -> int:
    """Write the aggregates' buffered events in the transaction that changes them; gives how many.

    Raises: ConcurrentModification.
    """
    rows = [_row(aggregate, recorded, work) for aggregate in aggregates for recorded in aggregate.release_events()]
    if rows:
        try:
            await session.execute(insert(event_log), rows)
        except IntegrityError as error:
            if getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) != _VERSION:
                raise
            # Row-level security keeps the violated key to itself; of one aggregate's events it is known all the same.
            subjects = {(row["aggregate_type"], str(row["aggregate_id"])) for row in rows}
            kind, id_ = subjects.pop() if len(subjects) == 1 else ("Aggregate", "")
            raise ConcurrentModification(kind=kind, id=id_) from error
    return len(rows)


def _row(aggregate: Aggregate, recorded: Recorded, work: Work) -> dict[str, Any]:
    return {
        "event_id": uuid7(),
        "tenant_id": aggregate.tenant_id,
        "aggregate_id": aggregate.id,
        "aggregate_type": type(aggregate).__name__,
        "version": recorded.version,
        "name": recorded.event.name,
        "data": to_json(recorded.event),
        "metadata": event_metadata(work),
        "occurred_at": work.now,
    }


def event_metadata(work: Work) -> dict[str, str | None]:
    """Say on whose behalf and in which request an event came to be."""
    user = work.actor.user_id
    return {"user_id": str(user) if user else None, "correlation_id": work.correlation_id}


class EventStore:
    """Loads event-sourced aggregates and tracks them, so that the transaction saves them: a snapshot, then events."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, aggregate: EventSourced) -> None:
        """Track an aggregate: its new events are saved with the transaction."""
        self._session.info.setdefault(_TRACKED, []).append(aggregate)

    async def load(self, blank: A) -> A | None:
        """Bring a blank aggregate (its id set) to its present state; None where nothing ever happened to it."""
        for known in self._session.info.get(_TRACKED, ()):
            # Two objects of one aggregate would each save the next version.
            if known.id == blank.id and isinstance(known, type(blank)):
                return known
        aggregate = await self._snapshot(blank) or blank
        table = event_log.c
        newer = select(table.name, table.version, table.data).where(
            table.aggregate_id == aggregate.id, table.version > aggregate.version
        )
        rows = await self._session.execute(newer.order_by(table.version))
        aggregate.replay(Recorded(from_json(row.data, EVENTS[row.name]), row.version) for row in rows)
        if not aggregate.version:
            return None
        self.add(aggregate)
        return aggregate

    async def save(self, work: Work) -> None:
        """Append the new events of all tracked aggregates, and a snapshot whenever another ten have come together."""
        for aggregate in self._session.info.pop(_TRACKED, []):
            before = aggregate.version
            written = await append(self._session, [aggregate], work)
            if (before - written) // aggregate.SNAPSHOT_EVERY < before // aggregate.SNAPSHOT_EVERY:
                await self._keep_snapshot(aggregate)

    async def _snapshot(self, blank: A) -> A | None:
        table = aggregate_snapshot.c
        found = await self._session.execute(select(table.data).where(table.aggregate_id == blank.id))
        data = found.scalar_one_or_none()
        return None if data is None else from_json(data, type(blank))

    async def _keep_snapshot(self, aggregate: EventSourced) -> None:
        values = {
            "aggregate_id": aggregate.id,
            "tenant_id": aggregate.tenant_id,
            "aggregate_type": type(aggregate).__name__,
            "version": aggregate.version,
            "data": to_json(aggregate),
        }
        statement = upsert(aggregate_snapshot).values(values)
        newer = aggregate_snapshot.c.version < aggregate.version
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["aggregate_id"], set_=values, where=newer)
        )
