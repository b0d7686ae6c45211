"""`agora rebuild-search`: the index filled anew from the database, by whichever process may write it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

from data.bus import RedisBus, connect
from data.database import Reads
from data.indexing import all_documents
from domain.discovery import RebuildSearchIndex, SearchLogReads, rebuild_search_index
from domain.kernel import SYSTEM, Work, uuid7
from domain.paging import PageRequest
from domain.search import IndexIsWrittenElsewhere, SearchDocument
from domain.tenancy import TenantFilter, TenantReads
from server.services import Services, open_services
from server.settings import Settings

Progress = Callable[..., None]
POLL_SECONDS = 0.5
SHOW_EVERY = 500


async def run(settings: Settings, progress: Progress) -> None:
    """Rebuild the index: here, or through the worker that writes it, for it has one writer at a time."""
    if settings.meilisearch_url and await _has_worker(settings):
        await _ask_worker(settings, progress)
        return
    try:
        await _rebuild_here(settings, progress)
    except IndexIsWrittenElsewhere:
        await _ask_worker(settings, progress)


async def _has_worker(settings: Settings) -> bool:
    """Say whether a worker lives: a Meilisearch server does not tell who else writes to it."""
    async with connect(settings.redis_url) as redis:
        return bool(await RedisBus(redis, settings.redis_namespace).workers())


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


async def _ask_worker(settings: Settings, progress: Progress) -> None:
    """Order the rebuild in the name of any tenant, and wait until the order is gone."""
    async with open_services(settings) as services:
        tenant_id = await _any_tenant(services)
        if tenant_id is None:
            return
        work = Work(tenant_id=tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id=str(uuid7()))
        await services.transactions.run(rebuild_search_index, RebuildSearchIndex(), work)
        progress(0, None, note="a worker rebuilds it")
        while await _is_waiting(services.database.reads(tenant_id)):  # noqa: ASYNC110 — another process ends it.
            await asyncio.sleep(POLL_SECONDS)
        documents = (await services.search.status()).documents
    progress(documents, documents)


async def _any_tenant(services: Services) -> UUID | None:
    reads = services.database.system_reads()
    try:
        tenants = (await reads.port(TenantReads).tenants(TenantFilter(), PageRequest(first=1))).nodes
    finally:
        await reads.close()
    return tenants[0].id if tenants else None


async def _is_waiting(reads: Reads) -> bool:
    try:
        return await reads.port(SearchLogReads).rebuild_requested_at() is not None
    finally:
        await reads.close()
