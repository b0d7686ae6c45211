"""`agora rebuild-search`: the index filled anew from the database, by whichever process may write it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from data.bus import RedisBus, connect
from data.indexing import all_documents
from domain.discovery import RebuildSearchIndex, rebuild_search_index
from domain.kernel import SYSTEM, Work, uuid7
from domain.paging import PageRequest
from domain.search import IndexIsWrittenElsewhere, SearchDocument, SearchUnavailable
from domain.tenancy import TenantFilter, TenantReads
from server.services import Services, open_services
from server.settings import Settings

Progress = Callable[..., None]
JOB = "search.rebuild"
POLL_SECONDS = 0.5
SHOW_EVERY = 500

_LAST = text(
    "SELECT coalesce(max(id), 0) FROM jobs.procrastinate_jobs WHERE queueing_lock = :lock AND status <> 'todo'"
)
# A job that succeeded is deleted, so nothing found means that it is done.
_STATUS = text(
    "SELECT status FROM jobs.procrastinate_jobs WHERE queueing_lock = :lock AND id > :last ORDER BY id DESC LIMIT 1"
)


async def run(settings: Settings, progress: Progress) -> None:
    """Rebuild the index: here, or through a running worker, since only one process may write it.

    Raises: SearchUnavailable.
    """
    if await _has_worker(settings):
        await _ask_worker(settings, progress)
        return
    try:
        await _rebuild_here(settings, progress)
    except IndexIsWrittenElsewhere:
        # A worker that has only just begun, and has not been heard of yet.
        await _ask_worker(settings, progress)


async def _has_worker(settings: Settings) -> bool:
    async with connect(settings.redis_url) as redis:
        return bool(await RedisBus(redis).workers())


async def _rebuild_here(settings: Settings, progress: Progress) -> None:
    async with open_services(settings, writes_index=True) as services:
        count = await services.search.rebuild(_counted(all_documents(services.database), progress))
    progress(count, count)


async def _counted(documents: AsyncIterator[SearchDocument], progress: Progress) -> AsyncIterator[SearchDocument]:
    count = 0
    async for document in documents:
        yield document
        count += 1
        if count % SHOW_EVERY == 0:
            progress(count, None)


@dataclass(frozen=True)
class _Order:
    """An ordered rebuild, by the key that the queue knows it under and the last job before it."""

    lock: str
    last: int


async def _ask_worker(settings: Settings, progress: Progress) -> None:
    async with open_services(settings) as services:
        order = await _order(services)
        progress(0, None, note="a worker rebuilds it")
        status = order and await _status(services, order)
        while order and status in {"todo", "doing"}:
            await asyncio.sleep(POLL_SECONDS)
            status = await _status(services, order)
        if status:
            raise SearchUnavailable(f"the rebuild has {status}; the worker's log says why")
        documents = (await services.search.status()).documents
    progress(documents, documents)


async def _order(services: Services) -> _Order | None:
    """Order the rebuild in the name of any tenant, as jobs belong to one; without tenants there is nothing to index."""
    reads = services.database.system_reads()
    try:
        tenants = (await reads.port(TenantReads).tenants(TenantFilter(), PageRequest(first=1))).nodes
    finally:
        await reads.close()
    if not tenants:
        return None
    lock = f"{tenants[0].id}:{JOB}:{JOB}"
    async with services.database.session(None) as session:
        last = int(await session.scalar(_LAST, {"lock": lock}) or 0)
    work = Work(tenant_id=tenants[0].id, actor=SYSTEM, now=datetime.now(UTC), correlation_id=str(uuid7()))
    await services.transactions.run(rebuild_search_index, RebuildSearchIndex(), work)
    return _Order(lock, last)


async def _status(services: Services, order: _Order) -> str | None:
    async with services.database.session(None) as session:
        found: str | None = await session.scalar(_STATUS, {"lock": order.lock, "last": order.last})
    return found
