"""The worker's part in imports: it takes queued ones, and goes on with those that a crash interrupted."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.import_files import FolderImportFiles
from data.importing import import_job
from data.leases import Leases
from data.relay import pause
from data.statements import Statement
from domain.importing import ImportState
from domain.kernel import Principal, Work
from domain.tenancy import TenantReads
from server.importer import Importer
from server.services import Services

log = structlog.get_logger("agora.importing")

POLL_SECONDS = 0.5
_OPEN = [ImportState.QUEUED, ImportState.VALIDATING, ImportState.RUNNING]
_WAITING = Statement(
    select(import_job)
    .where(
        import_job.c.state == func.any(bindparam("states", type_=ARRAY(Text))),
        # Files of the command line are its own business.
        ~import_job.c.source.startswith("file:"),
    )
    .order_by(import_job.c.id)
    .limit(10)
)


class ImportWorker:
    """Runs one import after the other; a lease per job keeps several workers apart."""

    def __init__(self, services: Services, files: FolderImportFiles) -> None:
        self._services = services
        self._files = files

    async def run(self, stop: asyncio.Event) -> None:
        """Import until told to stop; what is interrupted goes on at the next start."""
        async with Leases(self._services.database.url, "agora imports") as leases:
            while not stop.is_set() and not leases.lost.is_set():
                for job in await self._waiting():
                    name = f"import {job.id}"
                    if not stop.is_set() and await leases.take(name):
                        try:
                            await self._import(job, stop)
                        finally:
                            await leases.give_back(name)
                await pause(stop, POLL_SECONDS)

    async def _waiting(self) -> list[Any]:
        reads = self._services.database.system_reads()
        try:
            return await reads.rows(_WAITING, states=[str(state) for state in _OPEN])
        finally:
            await reads.close()

    async def _import(self, job: Any, stop: asyncio.Event) -> None:
        """Run one import as its seller; when the worker stops, the job stays open and its chunks kept."""
        seller = Principal(user_id=job.seller_id, tenant_id=job.tenant_id, permissions=frozenset({"catalog.write"}))
        work = Work(tenant_id=job.tenant_id, actor=seller, now=datetime.now(UTC), correlation_id=str(job.id))
        importer = Importer(self._services.transactions, work)
        currency = await self._currency(job.tenant_id)
        path = self._files.path(job.tenant_id, job.source)
        running = asyncio.ensure_future(importer.run(job.id, path, job.mapping, currency))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not running.done():
                running.cancel()
        if running.done() and not running.cancelled() and (error := running.exception()):
            log.error("import.interrupted", job_id=str(job.id), exc_info=error)
            await pause(stop, POLL_SECONDS * 10)

    async def _currency(self, tenant_id: UUID) -> str:
        reads = self._services.database.reads(tenant_id)
        try:
            (tenant,) = await reads.port(TenantReads).by_id([tenant_id])
            return str(tenant.currency) if tenant is not None else ""
        finally:
            await reads.close()
