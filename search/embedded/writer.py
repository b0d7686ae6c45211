"""The one writer: operations of concurrent callers are committed together."""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import tantivy

from domain.search import IndexNeedsRebuild, ProductChange, SearchDocument, SearchUnavailable
from search.embedded.fields import encode, from_source, key_of
from search.embedded.storage import IndexHome, as_error, prepared

HEAP_BYTES = 64_000_000
CHUNK = 1_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Put:
    document: SearchDocument
    encoded: str

    @property
    def key(self) -> str:
        return key_of(self.document.tenant_id, self.document.product_id)


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


@dataclass(frozen=True, slots=True)
class Change:
    tenant_id: UUID
    change: ProductChange

    @property
    def key(self) -> str:
        return key_of(self.tenant_id, self.change.product_id)


Operation = Put | Delete | Change
Latest = dict[str, SearchDocument | None]
"""Documents by key as they are after operations that no search sees yet; None is a removed one."""


class Generation:
    """A tantivy index open for writing; used by one thread at a time."""

    def __init__(self, folder: Path, index: tantivy.Index) -> None:
        self.folder = folder
        self._index = index
        self._writer = index.writer(HEAP_BYTES, 1)
        self._is_open = True
        self._added: set[int] = set()

    def apply(self, operations: Sequence[Operation], latest: Latest) -> list[str]:
        """Returns the keys of changes that found no document."""
        missing: list[str] = []
        self._index.reload()
        searcher = self._index.searcher()
        for each in operations:
            if isinstance(each, Change):
                known = latest[each.key] if each.key in latest else self._stored(searcher, each.key)
                if known is None:
                    missing.append(each.key)
                else:
                    self._put(changed(known, each.change), latest)
            elif isinstance(each, Put):
                self._delete(each.key)
                self._writer.add_json(each.encoded)
                latest[each.key] = each.document
            else:
                self._delete(each.key)
                latest[each.key] = None
        return missing

    def replay(self, latest: Latest) -> None:
        for key, document in latest.items():
            self._delete(key)
            if document:
                self._writer.add_json(encode(document))

    def add(self, documents: Sequence[SearchDocument]) -> None:
        for document in documents:
            key = key_of(document.tenant_id, document.product_id)
            mark = hash(key)
            # A stream that pages through a changing catalogue may bring a product twice; deleting each would double the memory.
            if mark in self._added:
                self._delete(key)
            self._added.add(mark)
            self._writer.add_json(encode(document))

    def commit(self) -> None:
        self._writer.commit()

    def give_up(self) -> None:
        """Forget what is not committed, and let go of the index."""
        with suppress(SearchUnavailable), as_error(SearchUnavailable):
            self._writer.rollback()
        with suppress(SearchUnavailable), as_error(SearchUnavailable):
            self.close()

    def settle(self) -> None:
        """Finish merging, which ends this writer, and begin another."""
        self._added.clear()
        self.close()
        self._writer = self._index.writer(HEAP_BYTES, 1)
        self._is_open = True

    def close(self) -> None:
        """Finish merging, which ends the writer; one that has ended stays so."""
        if self._is_open:
            self._is_open = False
            self._writer.wait_merging_threads()

    def _put(self, document: SearchDocument, latest: Latest) -> None:
        key = key_of(document.tenant_id, document.product_id)
        self._delete(key)
        self._writer.add_json(encode(document))
        latest[key] = document

    def _delete(self, key: str) -> None:
        self._writer.delete_documents_by_term("key", key)

    def _stored(self, searcher: tantivy.Searcher, key: str) -> SearchDocument | None:
        hits = searcher.search(tantivy.Query.term_query(self._index.schema, "key", key), 1, count=False).hits
        return from_source(searcher.doc(hits[0][1])["source"][0]) if hits else None


def changed(document: SearchDocument, change: ProductChange) -> SearchDocument:
    values = {
        name: value
        for name in ("in_stock", "price_minor", "rating", "popularity")
        if (value := getattr(change, name)) is not None
    }
    return replace(document, **values)


class IndexWriter:
    """Applies operations in the sequence of their calls; a call returns when its commit is durable."""

    def __init__(self, home: IndexHome) -> None:
        self._home = home
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search-writer")
        self._waiting: list[tuple[Sequence[Operation], asyncio.Future[list[str]]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._live: Generation | None = None
        self._journal: Latest | None = None
        self._shadow_folder: Path | None = None

    @property
    def is_rebuilding(self) -> bool:
        return self._journal is not None

    async def apply(self, operations: Sequence[Operation]) -> list[str]:
        done: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((operations, done))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._commit_waiting())
        return await done

    async def encoded(self, documents: Sequence[SearchDocument]) -> list[Put]:
        return await self._in_thread(lambda: [Put(document, encode(document)) for document in documents])

    async def rebuild(self, documents: AsyncIterable[SearchDocument]) -> int:
        if self._journal is not None:
            raise SearchUnavailable("a rebuild is under way already")
        self._journal = {}
        shadow: Generation | None = None
        try:
            await self._in_thread(self._home.become_writer)
            shadow = await self._in_thread(lambda: _begin(self._home))
            self._shadow_folder = shadow.folder
            count = await self._fill(shadow, documents)
            await self._in_thread(lambda: self._swap(shadow))
        except BaseException:
            if shadow:
                await asyncio.shield(self._in_thread(lambda: self._give_up(shadow)))
            raise
        finally:
            self._journal = self._shadow_folder = None
        return count

    async def close(self) -> None:
        if self._drain:
            with suppress(asyncio.CancelledError):
                await self._drain
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _commit_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                missing = await self._in_thread(partial(self._commit, [operations for operations, _ in group]))
            except Exception as problem:  # noqa: BLE001 - whatever it is, it belongs to the callers that wait.
                _settle(group, problem)
            else:
                for (_, done), keys in zip(group, missing, strict=True):
                    if not done.done():
                        done.set_result(keys)

    def _commit(self, batches: Sequence[Sequence[Operation]]) -> list[list[str]]:
        live = self._opened()
        latest: Latest = {}
        try:
            with as_error(SearchUnavailable):
                missing = [live.apply(batch, latest) for batch in batches]
                live.commit()
        except SearchUnavailable:
            # A writer that failed once may be dead; the next call opens another at the last commit.
            self._live = None
            live.give_up()
            raise
        if self._journal is not None:
            self._journal |= latest
        return missing

    def _opened(self) -> Generation:
        if self._live is None:
            self._home.become_writer()
            folder = self._home.generation()
            if folder is None:
                self._live = _begin(self._home)
                self._live.commit()
                self._home.point_to(self._live.folder)
            else:
                self._live = _reopened(folder)
            self._home.sweep((self._live.folder, self._shadow_folder))
        return self._live

    async def _fill(self, shadow: Generation, documents: AsyncIterable[SearchDocument]) -> int:
        count = 0
        chunk: list[SearchDocument] = []
        async for document in documents:
            chunk.append(document)
            if len(chunk) == CHUNK:
                count += len(chunk)
                await self._in_thread(partial(shadow.add, chunk))
                chunk = []
        await self._in_thread(partial(shadow.add, chunk))
        await self._in_thread(shadow.commit)
        await self._in_thread(shadow.settle)
        return count + len(chunk)

    def _swap(self, shadow: Generation) -> None:
        shadow.replay(self._journal or {})
        shadow.commit()
        self._home.point_to(shadow.folder)
        before, self._live = self._live, shadow
        if before:
            before.close()
        self._home.sweep((shadow.folder,))

    def _give_up(self, shadow: Generation) -> None:
        shadow.give_up()
        with suppress(IndexNeedsRebuild):
            self._home.sweep((self._home.generation(),))

    def _close(self) -> None:
        if self._live:
            self._live.close()
            self._live = None
        self._home.release()

    async def _in_thread(self, action: Callable[[], T]) -> T:
        def guarded() -> T:
            with as_error(SearchUnavailable):
                return action()

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


def _reopened(folder: Path) -> Generation:
    with as_error(IndexNeedsRebuild):
        return Generation(folder, prepared(tantivy.Index.open(str(folder))))


def _begin(home: IndexHome) -> Generation:
    index, folder = home.new_generation()
    return Generation(folder, index)


def _settle(group: Sequence[tuple[Sequence[Operation], asyncio.Future[list[str]]]], problem: Exception) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(problem)
