"""The log of searches, and text search in PostgreSQL for when the engine is down."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy import Column, Float, Index, Integer, Table, Text, Uuid, bindparam, desc, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database, Reads
from data.kernel import TENANT_OWNED, implements, metadata, timestamp
from data.statements import Statement
from domain.discovery import PerformedSearch, SearchClicks, SearchLogReads
from domain.kernel import Work
from domain.search import Completion, CompletionKind, Hit, SearchRequest, SearchResult, Suggestions

log = structlog.get_logger("agora.search")

FLUSH_SECONDS = 1.0
MAX_BUFFERED = 10_000

performed_search = Table(
    "performed_search",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("query", Text, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("latency_ms", Float, nullable=False),
    timestamp("performed_at"),
    Index("ix_performed_search_performed_at", "tenant_id", "performed_at"),
    schema="search",
    info={TENANT_OWNED: True},
)

click = Table(
    "click",
    metadata,
    Column("search_id", Uuid, primary_key=True),
    Column("product_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    timestamp("clicked_at"),
    schema="search",
    info={TENANT_OWNED: True},
)

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


class BufferedSearchLog:
    """Collects searches and writes them once a second; a full buffer drops the newest, and says so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._buffer: list[PerformedSearch] = []
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self.flush()

    def note(self, search: PerformedSearch) -> None:
        if len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(search)
        else:
            log.warning("search_log.full", dropped=1)

    async def flush(self) -> None:
        """Write what was collected."""
        buffer, self._buffer = self._buffer, []
        by_tenant: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for search in buffer:
            by_tenant[search.tenant_id].append(
                {column.name: getattr(search, column.name) for column in performed_search.c}
            )
        for tenant_id, rows in by_tenant.items():
            async with self._database.session(tenant_id) as session:
                await session.execute(insert(performed_search), rows)

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except (SQLAlchemyError, OSError) as error:
                log.warning("search_log.not_written", reason=str(error)[:200])


# The words of name and brand, each as a prefix; the index on the same expression is made by the migration.
_MATCHES = """
FROM catalog.product p
WHERE p.state = 'active' AND p.deleted_at IS NULL
    AND (:words = '' OR to_tsvector('simple', p.name || ' ' || p.brand) @@ to_tsquery('simple', :words))
"""
_FOUND = text(f"""
SELECT p.id, count(*) OVER () AS total {_MATCHES}
ORDER BY ts_rank(to_tsvector('simple', p.name), to_tsquery('simple', nullif(:words, ''))) DESC NULLS LAST, p.id DESC
LIMIT :size OFFSET :skipped
""")
_NAMES = text(f"SELECT DISTINCT p.name {_MATCHES} LIMIT :size")


class PostgresTextSearch:
    """The second choice of a search: words of name and brand, without typos, facets and filters but with answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, request: SearchRequest) -> SearchResult:
        started = time.perf_counter()
        names = {"words": _words(request.query), "size": request.limit, "skipped": request.offset}
        async with self._database.session(request.tenant_id) as session:
            rows = (await session.execute(_FOUND, names)).all()
        return SearchResult(
            hits=tuple(Hit(row.id, 0.0) for row in rows),
            total=rows[0].total if rows else 0,
            processing_ms=(time.perf_counter() - started) * 1000,
        )

    async def autocomplete(self, tenant_id: UUID, prefix: str, limit: int = 10, language: str = "") -> list[Completion]:  # noqa: ARG002 — the port's signature.
        async with self._database.session(tenant_id) as session:
            names = await session.scalars(_NAMES, {"words": _words(prefix), "size": limit})
        return [Completion(name, CompletionKind.PRODUCT, 1) for name in names]

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions:  # noqa: ARG002 — the port's signature.
        return Suggestions()


def _words(query: str) -> str:
    words = ["".join(letter for letter in word if letter.isalnum()) for word in query.split()[:20]]
    return " & ".join(f"{word}:*" for word in words if word)
