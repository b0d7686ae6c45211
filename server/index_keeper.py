"""The worker's part in keeping the search index whole: long work that somebody asked for, and an index that was lost."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import structlog

from data.indexing import has_products
from data.leases import Leases
from data.relay import STANDBY_PAUSE_SECONDS, pause
from data.search import IndexRequest, finish, request_rebuild, waiting
from domain.discovery import IndexRebuild
from domain.kernel import SYSTEM, Work
from domain.processes.indexing import IndexBranch, index_branch
from domain.search import IndexIsWrittenElsewhere, IndexState, SearchEngine, SearchUnavailable
from server.consumers import until
from server.services import Services

log = structlog.get_logger("agora.index")

POLL_SECONDS = 0.25
LOOK_SECONDS = 5.0
RETRY_SECONDS = 5.0
LEASE = "index keeper"


class IndexKeeper:
    """Does one piece of work after the other, none of them within a transaction; what is interrupted begins again."""

    def __init__(
        self,
        services: Services,
        *,
        poll_seconds: float = POLL_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._database = services.database
        self._transactions = services.transactions
        self._engine = services.by_port[SearchEngine]
        self._rebuild = services.by_port[IndexRebuild]
        self._poll_seconds = poll_seconds
        self._look_seconds = look_seconds
        self._retry_seconds = retry_seconds
        self._looked_at = -look_seconds
        self._was_full = True

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the index until told to stop; of several workers one does, the others stand by."""
        async with Leases(self._database.url, "agora index") as leases:
            while not stop.is_set() and not leases.lost.is_set():
                if await leases.take(LEASE):
                    try:
                        await self._keep(stop, leases)
                    finally:
                        if not leases.lost.is_set():
                            await leases.give_back(LEASE)
                await pause(stop, STANDBY_PAUSE_SECONDS)

    async def _keep(self, stop: asyncio.Event, leases: Leases) -> None:
        while not stop.is_set() and not leases.lost.is_set():
            try:
                await self._round(stop)
            except IndexIsWrittenElsewhere as elsewhere:
                log.info("index.left_to_its_writer", reason=elsewhere.message)
                await pause(stop, self._retry_seconds)
                return
            except SearchUnavailable as problem:
                log.warning("index.unavailable", reason=problem.reason)
                await pause(stop, self._retry_seconds)
            await pause(stop, self._poll_seconds)

    async def _round(self, stop: asyncio.Event) -> None:
        if await self._is_lost():
            # Once an event is written the index looks whole again, hence the loss is kept where it outlives a crash.
            await request_rebuild(self._database, datetime.now(UTC))
        requests = await waiting(self._database)
        if any(each.category_id is None for each in requests):
            await self._make_anew(requests, stop)
            return
        for each in requests:
            if each.tenant_id is not None and each.category_id is not None:
                await self._renew(each, each.tenant_id, each.category_id, stop)

    async def _make_anew(self, requests: Sequence[IndexRequest], stop: asyncio.Event) -> None:
        """Rebuild the index, which covers every branch that was asked for before."""
        begun = monotonic()
        documents = await until(stop, self._rebuild.run())
        if documents is not None:
            await finish(self._database, requests)
            log.info("index.rebuilt", documents=documents, seconds=round(monotonic() - begun, 1))

    async def _renew(self, request: IndexRequest, tenant_id: UUID, category_id: UUID, stop: asyncio.Event) -> None:
        """Write a branch anew, portion by portion, each in a short transaction that changes nothing."""
        work = Work(tenant_id=tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id=f"index {request.id}")
        left: IndexBranch | None = IndexBranch(category_id=category_id)
        while left is not None:
            if stop.is_set():
                return
            left = await self._transactions.run(index_branch, left, work)
        await finish(self._database, [request])

    async def _is_lost(self) -> bool:
        """Say whether the index is damaged, or gone though there are products; looked at only once in a while.

        A new index that fills from events is empty too, hence emptiness counts at the first look and after fullness.
        """
        if monotonic() - self._looked_at < self._look_seconds:
            return False
        self._looked_at = monotonic()
        state = (await self._engine.status()).state
        suspicious, self._was_full = self._was_full, state is IndexState.READY
        if state is IndexState.EMPTY:
            return suspicious and await has_products(self._database)
        return state is IndexState.NEEDS_REBUILD
