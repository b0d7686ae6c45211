"""Work on the index that somebody asked for: kept until it is done, whoever crashes meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Uuid

from data.database import Database
from data.kernel import implements
from data.search.tables import index_request
from domain.discovery import IndexRequests
from domain.kernel import Work, uuid7


@dataclass(frozen=True, kw_only=True)
class IndexRequest:
    """What is waiting: a branch of a tenant's catalogue, or without one the whole index."""

    id: UUID
    tenant_id: UUID | None
    category_id: UUID | None
    requested_at: datetime


@implements(IndexRequests)
class SqlIndexRequests:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ask(self, work: Work, category_id: UUID | None = None) -> None:
        await _ask(self._session, work.tenant_id, category_id, work.now)


async def request_rebuild(database: Database, now: datetime) -> None:
    """Ask for a rebuild in nobody's name."""
    async with database.session(None) as session:
        await _ask(session, None, None, now)


async def _ask(session: AsyncSession, tenant_id: UUID | None, category_id: UUID | None, now: datetime) -> None:
    # To ask again gives the request another id: work that has begun already may have passed what is asked for now.
    values = {"id": uuid7(), "tenant_id": tenant_id, "category_id": category_id, "requested_at": now}
    statement = upsert(index_request).values(values)
    keys = ["tenant_id", "category_id"]
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_={"id": values["id"]}))


async def waiting(database: Database) -> list[IndexRequest]:
    """Give what all tenants wait for, the oldest first."""
    async with database.session(None) as session:
        rows = await session.execute(select(index_request).order_by(index_request.c.id))
        return [IndexRequest(**row) for row in rows.mappings()]


async def finish(database: Database, requests: Sequence[IndexRequest]) -> None:
    """Take requests from the list; one that was made again meanwhile stays."""
    ids = literal([each.id for each in requests], ARRAY(Uuid))
    async with database.session(None) as session:
        await session.execute(delete(index_request).where(index_request.c.id == func.any(ids)))
