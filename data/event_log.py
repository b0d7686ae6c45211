"""The event log: audit trail, outbox and, for event-sourced aggregates, the store."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import UUID

import orjson
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
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.kernel import TENANT_OWNED, json_column, metadata, refuses, timestamp
from domain.codec import from_json, to_json
from domain.kernel import EVENTS, Aggregate, ConcurrentModification, EventSourced, Recorded, Work, uuid7
from domain.topics import topics_of

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

_FACT = "event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at"
_APPEND = f"""
INSERT INTO platform.event_log ({_FACT})
SELECT {_FACT} FROM jsonb_populate_recordset(NULL::platform.event_log, $1::text::jsonb)
"""  # noqa: S608 — made of our own columns only.
_APPEND_FOLLOWED = f"""
WITH fact AS (
  INSERT INTO platform.event_log ({_FACT})
  SELECT {_FACT} FROM jsonb_populate_recordset(NULL::platform.event_log, $1::text::jsonb)
  RETURNING event_id, tenant_id, sequence)
INSERT INTO platform.topic_entry (tenant_id, topic, sequence)
SELECT fact.tenant_id, entry.topic, fact.sequence
FROM jsonb_to_recordset($2::text::jsonb) AS entry (event_id uuid, topic text) JOIN fact USING (event_id)
"""  # noqa: S608 — see above.
# The snapshot has no event's name, and comes first.
_LOAD = """
WITH kept AS (SELECT version, data FROM platform.aggregate_snapshot WHERE aggregate_id = $1)
SELECT NULL AS name, version, data FROM kept
UNION ALL
(SELECT name, version, data FROM platform.event_log
 WHERE aggregate_id = $1 AND version > coalesce((SELECT version FROM kept), 0) ORDER BY version)
"""

refuses(_VERSION, lambda _: ConcurrentModification(kind="Aggregate", id=""))


async def append(session: AsyncSession, aggregates: Iterable[Aggregate], work: Work) -> Counter[UUID]:
    """Write the aggregates' buffered events in the transaction that changes them; gives how many of each.

    Raises: ConcurrentModification.
    """
    rows = [_row(aggregate, recorded, work) for aggregate in aggregates for recorded in aggregate.release_events()]
    if rows:
        try:
            await _insert(session, rows)
        except IntegrityError as error:
            if getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) != _VERSION:
                raise
            # Row-level security keeps the violated key to itself; of one aggregate's events it is known all the same.
            subjects = {(row["aggregate_type"], str(row["aggregate_id"])) for row in rows}
            kind, id_ = subjects.pop() if len(subjects) == 1 else ("Aggregate", "")
            raise ConcurrentModification(kind=kind, id=id_) from error
    return Counter(row["aggregate_id"] for row in rows)


async def _insert(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    facts = orjson.dumps(rows, default=str).decode()
    entries = [
        {"event_id": row["event_id"], "topic": topic}
        for row in rows
        for topic in topics_of(row["name"], row["aggregate_id"], row["data"])
    ]
    if entries:
        await direct(session, _APPEND_FOLLOWED, facts, orjson.dumps(entries, default=str).decode())
    else:
        await direct(session, _APPEND, facts)


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
        rows = await direct(self._session, _LOAD, blank.id)
        kept = next((row["data"] for row in rows if row["name"] is None), None)
        aggregate = blank if kept is None else from_json(kept, type(blank))
        aggregate.replay(
            Recorded(from_json(row["data"], EVENTS[row["name"]]), row["version"]) for row in rows if row["name"]
        )
        if not aggregate.version:
            return None
        self.add(aggregate)
        return aggregate

    async def save(self, work: Work, others: Iterable[Aggregate] = ()) -> None:
        """Append the new events of all tracked aggregates and of others, and a snapshot whenever another ten have come together."""
        tracked: list[EventSourced] = self._session.info.pop(_TRACKED, [])
        written = await append(self._session, [*others, *tracked], work)
        for aggregate in tracked:
            before = aggregate.version - written[aggregate.id]
            if before // aggregate.SNAPSHOT_EVERY < aggregate.version // aggregate.SNAPSHOT_EVERY:
                await self._keep_snapshot(aggregate)

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
