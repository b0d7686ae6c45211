"""Import jobs and what was wrong with their rows."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.kernel import TENANT_OWNED, Choice, implements, json_column, map_aggregate, metadata, tenant_table, timestamp
from data.paging import Listing
from data.statements import Statement
from domain.importing.jobs import ImportJob, ImportJobs, ImportReads, ImportState
from domain.importing.mapping import RowError
from domain.paging import Page, PageRequest

import_job = tenant_table(
    "importing",
    "import_job",
    Column("source", Text, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("seller_id", Uuid, nullable=False),
    json_column("mapping"),
    Column("state", Choice(ImportState), nullable=False),
    Column("last_line", Integer, nullable=False),
    Column("created", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("failure", Text),
    timestamp("started_at", nullable=True),
    timestamp("finished_at", nullable=True),
)

import_error = Table(
    "import_error",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("line", Integer, nullable=False),
    Column("column", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_import_error_job_id_id", "job_id", "id"),
    schema="importing",
    info={TENANT_OWNED: True},
)

# Which SKU stood on which line of a file, for as long as the file is being read.
seen_sku = Table(
    "seen_sku",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("line", Integer, nullable=False),
    PrimaryKeyConstraint("job_id", "sku", "tenant_id"),
    schema="importing",
    info={TENANT_OWNED: True},
)

map_aggregate(ImportJob, import_job)

_processed = (import_job.c.created + import_job.c.updated + import_job.c.unchanged + import_job.c.failed).label(
    "processed"
)
_job = select(import_job, _processed)
_BY_ID = Statement(_job.where(import_job.c.id == func.any(bindparam("keys", type_=ARRAY(Uuid)))))
_JOBS = Listing(
    _job,
    [import_job.c.id.desc()],
    store_ids=import_job.c.store_id == func.any(bindparam("store_ids", type_=ARRAY(Uuid))),
)
_ERRORS = Listing(select(import_error), [import_error.c.id], parent=import_error.c.job_id)


@implements(ImportJobs)
class SqlImportJobs:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, job: ImportJob) -> None:
        self._session.add(job)

    async def lock(self, job_id: UUID) -> ImportJob | None:
        return await self._session.get(ImportJob, job_id, with_for_update=True)

    async def unfinished(self, source: str, store_id: UUID) -> ImportJob | None:
        going_on = [ImportState.QUEUED, ImportState.VALIDATING, ImportState.RUNNING, ImportState.FAILED]
        wanted = select(ImportJob).filter_by(source=source, store_id=store_id)
        still = wanted.where(import_job.c.state == func.any(literal(going_on, ARRAY(Text))))
        latest = still.order_by(import_job.c.id.desc()).limit(1).with_for_update()
        return (await self._session.scalars(latest)).one_or_none()

    async def keep_errors(self, job: ImportJob, errors: Sequence[RowError]) -> None:
        if errors:
            rows = [
                {"tenant_id": job.tenant_id, "job_id": job.id, "line": e.line, "column": e.column, "reason": e.reason}
                for e in sorted(errors, key=lambda error: error.line)
            ]
            await self._session.execute(insert(import_error), rows)

    async def forget_seen(self, job: ImportJob) -> None:
        await self._session.execute(delete(seen_sku).where(seen_sku.c.job_id == job.id))


async def errors_of(session: AsyncSession, job_id: UUID) -> AsyncIterator[Any]:
    """Give what was wrong with a job's rows, in their order, without holding them all at once."""
    rows = select(import_error).where(import_error.c.job_id == job_id).order_by(import_error.c.line, import_error.c.id)
    async for row in await session.stream(rows):
        yield row


@implements(ImportReads)
class SqlImportReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def jobs(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def list_jobs(self, page: PageRequest, store_ids: Collection[UUID] | None = None) -> Page[Any]:
        return await _JOBS.page(self._reads, page, store_ids=None if store_ids is None else list(store_ids))

    async def errors(self, job_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _ERRORS.pages(self._reads, job_ids, page)
