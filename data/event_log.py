"""The event log: audit trail, outbox and, for event-sourced aggregates, the store."""

from collections import Counter
from collections.abc import Callable, Iterable
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
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import PERSON_KEYS
from data.direct import direct
from data.kernel import TENANT_OWNED, json_column, metadata, refuses, timestamp
from data.sealing import PersonKeys, opened
from data.writes import later
from domain import tracing
from domain.codec import from_json, to_json
from domain.kernel import EVENTS, Aggregate, ConcurrentModification, Event, EventSourced, Recorded, Work, uuid7
from domain.topics import topics_of
from domain.tracing import TRACEPARENT

A = TypeVar("A", bound=EventSourced)
_TRACKED = "event_sourced"
_VERSION = "uq_event_log_tenant_id_aggregate_id_version"


event_log = Table(
    "event_log",
    metadata,
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, primary_key=True),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    json_column("data"),
    json_column("metadata"),
    timestamp("occurred_at"),
    Column("topics", ARRAY(Text)),
    UniqueConstraint("tenant_id", "aggregate_id", "version", name=_VERSION),
    Index("ix_event_log_tenant_id_name_occurred_at", "tenant_id", "name", "occurred_at"),
    schema="platform",
    info={TENANT_OWNED: True},
)

aggregate_snapshot = Table(
    "aggregate_snapshot",
    metadata,
    Column("aggregate_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    json_column("data"),
    timestamp("created_at", server_default=func.now()),
    schema="platform",
    info={TENANT_OWNED: True},
)

_FACT = "event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at, topics"
_APPEND = f"""
INSERT INTO platform.event_log ({_FACT})
SELECT {_FACT} FROM jsonb_populate_recordset(NULL::platform.event_log, $1::text::jsonb)
"""  # noqa: S608 — made of our own columns only.
# The snapshot has no event's name, and comes first.
_LOAD = """
WITH kept AS (SELECT version, data FROM platform.aggregate_snapshot WHERE aggregate_id = $1 AND tenant_id = :tenant)
SELECT NULL AS name, version, data FROM kept
UNION ALL
(SELECT name, version, data FROM platform.event_log
 WHERE aggregate_id = $1 AND tenant_id = :tenant AND version > coalesce((SELECT version FROM kept), 0) ORDER BY version)
"""
_KEEP = """
INSERT INTO platform.aggregate_snapshot (aggregate_id, tenant_id, aggregate_type, version, data)
VALUES ($1, $2, $3, $4, $5::text::jsonb)
ON CONFLICT (aggregate_id, tenant_id) DO UPDATE SET version = excluded.version, data = excluded.data
WHERE aggregate_snapshot.version < excluded.version
"""

refuses(_VERSION, lambda _: ConcurrentModification(kind="Aggregate", id=""))


def append(session: AsyncSession, aggregates: Iterable[Aggregate], work: Work) -> Counter[UUID]:
    """Have the aggregates' buffered events written in the transaction that changes them; gives how many of each.

    What was changed by somebody else meanwhile is refused then, as ConcurrentModification.
    """
    rows = [
        _row(session, aggregate, recorded, work) for aggregate in aggregates for recorded in aggregate.release_events()
    ]
    if rows:
        # Row-level security keeps the violated key to itself; of one aggregate's events it is known all the same.
        subjects = {(row["aggregate_type"], str(row["aggregate_id"])) for row in rows}
        kind, id_ = subjects.pop() if len(subjects) == 1 else ("Aggregate", "")
        refusals = {_VERSION: ConcurrentModification(kind=kind, id=id_)}
        later(session, _APPEND, orjson.dumps(rows, default=str).decode(), refusals=refusals)
    return Counter(row["aggregate_id"] for row in rows)


def _row(session: AsyncSession, aggregate: Aggregate, recorded: Recorded, work: Work) -> dict[str, Any]:
    name, data = recorded.event.name, to_json(recorded.event)
    return {
        "event_id": uuid7(),
        "tenant_id": aggregate.tenant_id,
        "aggregate_id": aggregate.id,
        "aggregate_type": type(aggregate).__name__,
        "version": recorded.version,
        "name": name,
        "data": _sealed(session, recorded.event, aggregate, data),
        "metadata": event_metadata(work),
        "occurred_at": work.now,
        "topics": topics_of(name, aggregate.id, data) or None,
    }


def _sealed(session: AsyncSession, said: Event | EventSourced, aggregate: Aggregate, data: Any) -> Any:
    """Seal what is personal of an event or a snapshot; where the process holds no keys it stays as it is."""
    keys: PersonKeys | None = session.info.get(PERSON_KEYS)
    if not said.personal or keys is None:
        return data
    person = data.get(said.person) or aggregate.id
    return keys.seal(session, (aggregate.tenant_id, UUID(str(person))), data, said.personal)


def event_metadata(work: Work) -> dict[str, str | None]:
    """Say on whose behalf and in which request an event came to be, with which API key, and who acted as that person."""
    user, key, impersonator = work.actor.user_id, work.actor.api_key_id, work.actor.impersonator_id
    by_key = {"api_key_id": str(key)} if key else {}
    by_another = {"impersonator_id": str(impersonator)} if impersonator else {}
    said = {"user_id": str(user) if user else None, "correlation_id": work.correlation_id}
    parent = tracing.traceparent()
    traced = {TRACEPARENT: parent} if parent is not None else {}
    return {**said, **by_key, **by_another, **traced}


Follower = Callable[[AsyncSession], None]
_FOLLOWERS: list[Follower] = []


def follows_events(project: Follower) -> Follower:
    """Have what follows from a transaction's events written together with them."""
    _FOLLOWERS.append(project)
    return project


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
        said = [*zip(rows, await opened(self._session, [row["data"] for row in rows]), strict=True)]
        kept = next((data for row, data in said if row["name"] is None), None)
        aggregate = blank if kept is None else from_json(kept, type(blank))
        aggregate.replay(
            Recorded(from_json(data, EVENTS[row["name"]]), row["version"]) for row, data in said if row["name"]
        )
        if not aggregate.version:
            return None
        self.add(aggregate)
        return aggregate

    def save(self, work: Work, others: Iterable[Aggregate] = ()) -> None:
        """Have the new events of all tracked aggregates and of others written, and a snapshot whenever another ten have come together."""
        tracked: list[EventSourced] = self._session.info.pop(_TRACKED, [])
        written = append(self._session, [*others, *tracked], work)
        for aggregate in tracked:
            before = aggregate.version - written[aggregate.id]
            if before // aggregate.SNAPSHOT_EVERY < aggregate.version // aggregate.SNAPSHOT_EVERY:
                self._keep_snapshot(aggregate)
        for project in _FOLLOWERS:
            project(self._session)

    def _keep_snapshot(self, aggregate: EventSourced) -> None:
        state = _sealed(self._session, aggregate, aggregate, to_json(aggregate))
        kept = orjson.dumps(state, default=str).decode()
        kind = type(aggregate).__name__
        later(self._session, _KEEP, aggregate.id, aggregate.tenant_id, kind, aggregate.version, kept)
