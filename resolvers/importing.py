"""Verbs of bulk import."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from domain import importing
from domain.importing import ImportReads, ImportState
from domain.kernel import NotFound
from domain.paging import Page, PageRequest
from domain.processes import importing as process
from resolvers.kernel import Context, transacts

start_bulk_import = transacts(process.start_import)
cancel_import = transacts(importing.cancel_import)

WATCH_SECONDS = 0.5
_RUNNING = frozenset({ImportState.QUEUED, ImportState.VALIDATING, ImportState.RUNNING})


async def jobs_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    found = await context.read(ImportReads).jobs(ids)
    return [job if job is not None and context.principal.works_at(job.store_id) else None for job in found]


async def errors_of_jobs(context: Context, job_ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await context.read(ImportReads).errors(job_ids, page)


async def import_job(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(jobs_by_id, id)


async def import_jobs(context: Context, page: PageRequest) -> Page[Any]:
    mine = None if context.principal.may("stores.any") else context.principal.store_ids
    return await context.read(ImportReads).list_jobs(page, mine)


async def import_progress(context: Context, job_id: UUID) -> AsyncIterator[Any]:
    """Give the job whenever it has got further, until it is over; the last event is the end."""
    last = None
    while True:
        job = await context.load(jobs_by_id, job_id)
        await context.forget()
        if job is None:
            raise NotFound(kind="ImportJob", id=str(job_id))
        if (job.processed, job.state) != last:
            last = (job.processed, job.state)
            yield job
        if job.state not in _RUNNING:
            return
        await asyncio.sleep(WATCH_SECONDS)
