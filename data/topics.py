"""The durable topics in PostgreSQL: an index on the event log by the names that events are followed under."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Table, Text, Uuid

from data.database import Database, Reads
from data.kernel import TENANT_OWNED, metadata
from data.sealing import PersonKeys
from domain.kernel import SEALED, unopened
from domain.topics import TopicEvent

topic_entry = Table(
    "topic_entry",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Index("ix_topic_entry_sequence", "sequence"),
    schema="platform",
    info={TENANT_OWNED: True},
)

_SETTLED = "SELECT sequence FROM platform.relay_cursor WHERE id = 1"
_FACT = "tenant_id, topics, sequence, aggregate_id, name, data, occurred_at, metadata ->> 'user_id' AS user_id"
_ENTRIES = f"""
SELECT {_FACT} FROM platform.event_log WHERE sequence IN (
  SELECT sequence FROM platform.topic_entry
  WHERE tenant_id = $1 AND topic = ANY($2) AND sequence > $3 AND sequence <= $4
  GROUP BY sequence ORDER BY sequence LIMIT $5)
ORDER BY sequence
"""  # noqa: S608 — made of our own columns only.
_BETWEEN = f"""
SELECT {_FACT} FROM platform.event_log WHERE sequence IN (
  SELECT DISTINCT sequence FROM platform.topic_entry
  WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3)
ORDER BY sequence
"""  # noqa: S608 — see above.


class SqlTopicLog:
    """Reads topics; implements the domain's `TopicLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settled(self) -> int:
        (row,) = await _read(self._database.system_reads(), _SETTLED)
        return int(row["sequence"])

    async def entries(
        self, tenant_id: UUID, topics: Sequence[str], after: int, until: int, limit: int
    ) -> list[TopicEvent]:
        reads = self._database.reads(tenant_id)
        found = await _read(reads, _ENTRIES, tenant_id, list(topics), after, until, limit)
        return await self.readable([_event(row) for row in found])

    async def between(self, after: int, until: int, limit: int) -> list[TopicEvent]:
        found = await _read(self._database.system_reads(), _BETWEEN, after, until, limit)
        return await self.readable([_event(row) for row in found])

    async def readable(self, events: Sequence[TopicEvent]) -> list[TopicEvent]:
        keys: PersonKeys | None = self._database.person_keys
        if not any(SEALED in each.data for each in events):
            return [*events]
        if keys is None:
            said = [unopened(each.data) for each in events]
        else:
            said = await keys.open(self._select, [each.data for each in events])
        return [replace(each, data=data) for each, data in zip(events, said, strict=True)]

    async def _select(self, statement: str, *arguments: Any) -> list[Any]:
        return await _read(self._database.system_reads(), statement, *arguments)


async def _read(reads: Reads, statement: str, *arguments: Any) -> list[Any]:
    try:
        return await reads.text(statement, *arguments)
    finally:
        await reads.end()


def _event(row: Any) -> TopicEvent:
    return TopicEvent(
        tenant_id=UUID(str(row["tenant_id"])),
        topics=row["topics"],
        name=row["name"],
        data=row["data"],
        sequence=row["sequence"],
        aggregate_id=UUID(str(row["aggregate_id"])),
        occurred_at=row["occurred_at"],
        user_id=UUID(row["user_id"]) if row["user_id"] else None,
    )
