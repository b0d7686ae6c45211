"""The log of searches and clicks."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy import Integer, bindparam, desc, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database, Reads
from data.kernel import implements
from data.search.tables import click, index_request, performed_search
from data.statements import Statement
from domain.discovery import PerformedSearch, SearchClicks, SearchLogReads
from domain.kernel import Work

log = structlog.get_logger("agora.search")

FLUSH_SECONDS = 1.0
WRITE_SECONDS = 2.0
MAX_BUFFERED = 10_000

_TRENDING = Statement(
    select(func.lower(performed_search.c.query).label("query"), func.count().label("searches"))
    .where(
        performed_search.c.performed_at >= bindparam("since"),
        performed_search.c.hits > 0,
        performed_search.c.query != "",
    )
    .group_by(func.lower(performed_search.c.query))
    .order_by(desc("searches"), "query")
    .limit(bindparam("size", type_=Integer))
)
_REQUESTED = Statement(select(index_request.c.requested_at).where(index_request.c.category_id.is_(None)))


@implements(SearchClicks)
class SqlSearchClicks:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, search_id: UUID, product_id: UUID, work: Work) -> None:
        values = {
            "search_id": search_id,
            "product_id": product_id,
            "tenant_id": work.tenant_id,
            "user_id": work.actor.user_id,
            "clicked_at": work.now,
        }
        await self._session.execute(upsert(click).values(values).on_conflict_do_nothing())


@implements(SearchLogReads)
class SqlSearchLogReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def trending(self, since: datetime, limit: int) -> Sequence[Any]:
        return await self._reads.rows(_TRENDING, since=since, size=limit)

    async def rebuild_requested_at(self) -> datetime | None:
        row = await self._reads.row(_REQUESTED)
        return row.requested_at if row is not None else None


class BufferedSearchLog:
    """Collects searches and writes them once a second; what cannot be kept is dropped, and the log says how much."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._buffer: list[PerformedSearch] = []
        self._dropped = 0
        self._stopping = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_until_stopped())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        if self._writing is not None:
            await self._writing
        await self.flush()

    def note(self, search: PerformedSearch) -> None:
        if len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(search)
        else:
            self._dropped += 1

    async def flush(self) -> None:
        """Write what was collected, within two seconds or not at all."""
        buffer, self._buffer = self._buffer, []
        dropped, self._dropped = self._dropped, 0
        reason = "more searches than can be written"
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._write(buffer)
        except Exception as error:  # noqa: BLE001 — whatever ails the database, searches go on without their log.
            dropped += len(buffer)
            reason = repr(error)[:200]
        if dropped:
            log.warning("search_log.dropped", searches=dropped, reason=reason)

    async def _write(self, searches: Sequence[PerformedSearch]) -> None:
        rows = [{column.name: getattr(search, column.name) for column in performed_search.c} for search in searches]
        if rows:
            # The rows of all tenants go in one statement, which only the platform's role may write.
            async with self._database.session(None) as session:
                await session.execute(insert(performed_search), rows)

    async def _write_until_stopped(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            await self.flush()
