"""The search engine that needs no server."""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from domain.search import (
    MAX_COMPLETIONS,
    Completion,
    IndexIsWrittenElsewhere,
    IndexNeedsRebuild,
    IndexState,
    IndexStatus,
    ProductChange,
    SearchDocument,
    SearchRequest,
    SearchResult,
    SearchSettings,
    SearchUnavailable,
    Suggestions,
    refuse_unsearchable,
)
from search.embedded.fields import LAYOUT, key_of
from search.embedded.searching import Searching
from search.embedded.storage import IndexHome, IndexReader, as_error
from search.embedded.writer import Change, Delete, IndexWriter

T = TypeVar("T")


class EmbeddedSearchEngine:
    """Implements `SearchEngine` on a folder.

    One process may be `writable`; others read the same folder and see every commit at their next search.
    """

    def __init__(self, path: Path, *, writable: bool = True, threads: int = 2) -> None:
        self._home = IndexHome(path)
        self._reader = IndexReader(self._home)
        self._writer = IndexWriter(self._home) if writable else None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="search")

    async def search(self, request: SearchRequest) -> SearchResult:
        return await self._reading(lambda searching: searching.search(request), SearchResult())

    async def autocomplete(
        self, tenant_id: UUID, prefix: str, limit: int = MAX_COMPLETIONS, language: str = ""
    ) -> list[Completion]:
        refuse_unsearchable("prefix", prefix)
        most = max(0, min(limit, MAX_COMPLETIONS))
        return await self._reading(lambda searching: searching.autocomplete(tenant_id, prefix, most, language), [])

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions:
        refuse_unsearchable("query", query)
        return await self._reading(lambda searching: searching.suggest(tenant_id, query, limit), Suggestions())

    async def upsert(self, documents: Sequence[SearchDocument]) -> None:
        writer = self._writing()
        await writer.apply(await writer.encoded(documents))

    async def remove(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> None:
        await self._writing().apply([Delete(key_of(tenant_id, product_id)) for product_id in product_ids])

    async def update_partial(self, tenant_id: UUID, changes: Sequence[ProductChange]) -> list[UUID]:
        missing = set(await self._writing().apply([Change(tenant_id, change) for change in changes]))
        return [change.product_id for change in changes if key_of(tenant_id, change.product_id) in missing]

    async def rebuild(self, documents: AsyncIterable[SearchDocument]) -> int:
        return await self._writing().rebuild(documents)

    async def status(self) -> IndexStatus:
        return await self._in_pool(self._status)

    async def settings(self) -> SearchSettings:
        return await self._in_pool(self._home.settings)

    async def configure(self, settings: SearchSettings) -> None:
        self._writing()
        await self._in_pool(lambda: self._home.keep_settings(settings))

    async def close(self) -> None:
        if self._writer:
            await self._writer.close()
        self._writer = None
        self._pool.shutdown()

    def _writing(self) -> IndexWriter:
        if self._writer is None:
            raise IndexIsWrittenElsewhere(str(self._home.path))
        return self._writer

    async def _reading(self, action: Callable[[Searching], T], nothing: T) -> T:
        def read() -> T:
            view = self._reader.view()
            with as_error(SearchUnavailable):
                return action(Searching(view)) if view else nothing

        return await self._in_pool(read)

    def _status(self) -> IndexStatus:
        try:
            view = self._reader.view()
            with as_error(IndexNeedsRebuild):
                documents = Searching(view).probe() if view else 0
        except IndexNeedsRebuild as problem:
            return IndexStatus(engine="embedded", state=IndexState.NEEDS_REBUILD, version=LAYOUT, reason=problem.reason)
        state = (
            IndexState.REBUILDING
            if self._writer and self._writer.is_rebuilding
            else IndexState.READY
            if view
            else IndexState.EMPTY
        )
        return IndexStatus(
            engine="embedded", state=state, documents=documents, version=LAYOUT, size_bytes=self._home.size_bytes()
        )

    async def _in_pool(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, action)
