"""`agora import`: a file from the command line, and the report of what was wrong with it."""

import asyncio
import csv
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from data.importing import errors_of
from data.leases import Leases
from domain.importing import FileUnreadable, ImportJob, ImportJobs, ImportState
from domain.kernel import SYSTEM, InvalidInput, NotFound, Work, uuid7
from domain.paging import PageRequest
from domain.tenancy import StoreReads, TenantFilter, TenantReads
from server.importer import Importer, guess_map, load_map
from server.memory import settle
from server.services import Services, open_services
from server.settings import Settings


async def run(
    settings: Settings,
    file: Path,
    store: str,
    tenant: str | None,
    mapping: Path | None,
    progress: Callable[..., None],
) -> str:
    """Import a file from the command line; an import of the same file that was cut short goes on.

    Raises: NotFound, InvalidInput.
    """
    async with open_services(settings) as services:
        tenant_row, store_row = await _destination(services, tenant, store)
        work = Work(tenant_id=tenant_row.id, actor=SYSTEM, now=datetime.now(UTC), correlation_id=str(uuid7()))
        described = load_map(mapping) if mapping else load_map(guess_map(file))
        source = f"file:{await asyncio.to_thread(file.resolve)}"
        start = _Unfinished(source=source, store_id=store_row.id, seller_id=store_row.id, mapping=described)
        job = await services.transactions.run(_resume_or_start, start, work)
        importer = Importer(services.transactions, work, lambda each: progress(each.processed, None, _note(each)))
        async with Leases(settings.database_url) as leases:
            if not await leases.take(f"import {job.id}"):
                raise InvalidInput(field="file", reason="it is being imported by another process")
            settle()
            job = await importer.run(job.id, file, described, tenant_row.currency)
        return await _summary(services, job, file)


@dataclass(frozen=True, kw_only=True)
class _Unfinished:
    source: str
    store_id: UUID
    seller_id: UUID
    mapping: Mapping[str, Any]


async def _resume_or_start(command: _Unfinished, work: Work, jobs: ImportJobs) -> ImportJob:
    job = await jobs.unfinished(command.source, command.store_id)
    if job is None:
        job = ImportJob(
            tenant_id=work.tenant_id,
            source=command.source,
            store_id=command.store_id,
            seller_id=command.seller_id,
            mapping=command.mapping,
        )
        jobs.add(job)
    return job


async def _destination(services: Services, tenant: str | None, store: str) -> tuple[Any, Any]:
    reads = services.database.system_reads()
    try:
        tenants = reads.port(TenantReads)
        if tenant:
            (row,) = await tenants.by_code([tenant])
        else:
            listed = (await tenants.tenants(TenantFilter(), PageRequest(first=2))).nodes
            row = listed[0] if len(listed) == 1 else None
        if row is None:
            wanted = f"Tenant {tenant}" if tenant else "--tenant: name one, there are several or none"
            raise InvalidInput(field="tenant", reason=f"{wanted} does not exist" if tenant else wanted)
    finally:
        await reads.close()
    reads = services.database.reads(row.id)
    try:
        (found,) = await reads.port(StoreReads).by_code([store])
    finally:
        await reads.close()
    if found is None:
        raise NotFound(kind="Store", id=store)
    return row, found


def _note(job: ImportJob) -> str:
    return f"{job.failed:,} refused" if job.failed else ""


async def _summary(services: Services, job: ImportJob, file: Path) -> str:
    counts = f"{job.created:,} created, {job.updated:,} updated, {job.unchanged:,} unchanged, {job.failed:,} refused"
    if job.failed:
        # The report stands beside the file, or where the command was given when that folder cannot be written.
        folder = file.parent if os.access(file.parent, os.W_OK) else Path.cwd()
        report = folder / f"{file.name}.errors.csv"
        async with services.database.session(job.tenant_id) as session:
            await write_errors(report, errors_of(session, job.id))
        counts += f" (see {report})"
    if job.state is ImportState.FAILED:
        raise FileUnreadable(name=file.name, reason=f"{job.failure} Before that: {counts}")
    return f"{job.processed:,} rows: {counts}."


async def write_errors(path: Path, errors: AsyncIterator[Any]) -> int:
    """Write the refused rows as CSV, `line,column,reason`; gives how many."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["line", "column", "reason"])
        async for error in errors:
            writer.writerow([error.line, error.column, error.reason])
            written += 1
    return written
