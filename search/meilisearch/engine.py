"""The search engine that is a Meilisearch server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID, uuid4

from httpx2 import HTTPError
from meilisearch_python_sdk import AsyncClient, AsyncIndex
from meilisearch_python_sdk.errors import MeilisearchApiError, MeilisearchError
from meilisearch_python_sdk.models.client import Key
from meilisearch_python_sdk.models.search import SearchResults
from meilisearch_python_sdk.models.task import TaskInfo

from domain.search import (
    MAX_COMPLETIONS,
    Completion,
    CompletionKind,
    Facet,
    Filters,
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
from domain.transliteration import has_cyrillic, to_latin
from search.analysis import words
from search.meilisearch import translation
from search.meilisearch.configuration import in_meilisearch_terms
from search.settings import DEFAULTS

BATCH = 1_000
COMPANIONS_FROM = 50
"""Hits whose names are looked at for completions and related queries, which Meilisearch does not offer by itself."""

T = TypeVar("T")
Latest = dict[str, dict[str, Any] | None]


class MeilisearchEngine:
    """Implements `SearchEngine` on one index for all tenants; a process that rebuilds must be the only one that writes."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        index: str = "products",
        settings: SearchSettings = DEFAULTS,
        patience_ms: int = 60_000,
    ) -> None:
        self._client = AsyncClient(url, api_key, timeout=max(1, patience_ms // 1000))
        self._uid = index
        self._settings = settings
        self._patience_ms = patience_ms
        self._is_prepared = False
        self._writing = asyncio.Lock()
        self._journal: Latest | None = None

    async def search(self, request: SearchRequest) -> SearchResult:
        began = perf_counter()
        async with _failures():
            found = await self._found(request, request.query)
            if found and not found.hits and has_cyrillic(request.query):
                found = await self._found(request, to_latin(request.query))
            if not found:
                return SearchResult()
            attributes = list(request.facet_attributes) or translation.common_attributes(found.facet_distribution or {})
            distribution, stats = await self._facets(request, found, attributes)
        counted = attributes if Facet.ATTRIBUTES in request.facets else []
        return SearchResult(
            hits=translation.to_hits(found.hits),
            total=found.estimated_total_hits or 0,
            facets=translation.to_facet_counts(distribution, stats, counted, request.facet_values),
            processing_ms=(perf_counter() - began) * 1000,
        )

    async def autocomplete(
        self, tenant_id: UUID, prefix: str, limit: int = MAX_COMPLETIONS, language: str = ""
    ) -> list[Completion]:
        refuse_unsearchable("prefix", prefix)
        typed, most = words(prefix), max(0, min(limit, MAX_COMPLETIONS))
        if not typed or not most:
            return []
        found = await self._named(tenant_id, " ".join(typed))
        counts = translation.words_going_on(
            typed, (name for each in found for name in (each["name"], *each["names"].values()))
        )
        queries = [
            Completion(" ".join((*typed[:-1], word)), CompletionKind.QUERY, count)
            for word, count in counts.most_common(most)
        ]
        products = [
            Completion(each["names"].get(language) or each["name"], CompletionKind.PRODUCT, 1, UUID(each["product_id"]))
            for each in found[:most]
        ]
        share = max(most - len(products), (most + 1) // 2)
        return [*queries[:share], *products][:most]

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions:
        refuse_unsearchable("query", query)
        typed = words(query)
        if not typed:
            return Suggestions()
        found = await self._named(tenant_id, " ".join(typed))
        common = Counter(
            word for each in found for word in set(words(each["name"])) if word.isalpha() and word not in typed
        )
        return Suggestions(related=tuple(f"{' '.join(typed)} {word}" for word, _ in common.most_common(max(0, limit))))

    async def upsert(self, documents: Sequence[SearchDocument]) -> None:
        latest: Latest = {each["id"]: each for each in map(translation.to_document, documents)}
        async with self._written(latest) as index:
            await self._done(index.add_documents(list(filter(None, latest.values())), "id"))

    async def remove(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> None:
        ids = [translation.document_id(tenant_id, product_id) for product_id in product_ids]
        async with self._written(dict.fromkeys(ids)) as index:
            await self._done(index.delete_documents(ids))

    async def update_partial(self, tenant_id: UUID, changes: Sequence[ProductChange]) -> list[UUID]:
        updates = [translation.to_update(tenant_id, change) for change in changes]
        async with self._written({}) as index:
            await self._done(index.update_documents(updates, "id", skip_creation=True))
            ids = [each["id"] for each in updates]
            kept = (await index.get_documents(ids=ids, limit=len(ids))).results if ids else []
            if self._journal is not None:
                self._journal |= {each["id"]: each for each in kept}
        present = {each["id"] for each in kept}
        return [
            change.product_id
            for change in changes
            if translation.document_id(tenant_id, change.product_id) not in present
        ]

    async def rebuild(self, documents: AsyncIterable[SearchDocument]) -> int:
        if self._journal is not None:
            raise SearchUnavailable("a rebuild is under way already")
        self._journal = {}
        shadow = f"{self._uid}-{uuid4().hex[:12]}"
        try:
            async with _failures():
                index = await self._client.create_index(shadow, "id", settings=in_meilisearch_terms(self._settings))
                count = await self._fill(index, documents)
                await self._swap(index)
        finally:
            self._journal = None
            async with _failures():
                await self._client.delete_index_if_exists(shadow)
        return count

    async def status(self) -> IndexStatus:
        try:
            async with _failures():
                version = (await self._client.get_version()).pkg_version
                stats = await self._unless_missing(self._index().get_stats)
        except SearchUnavailable as problem:
            return IndexStatus(engine="meilisearch", state=IndexState.UNAVAILABLE, reason=problem.reason)
        state = IndexState.REBUILDING if self._journal is not None else IndexState.READY if stats else IndexState.EMPTY
        return IndexStatus(
            engine="meilisearch", state=state, documents=stats.number_of_documents if stats else 0, version=version
        )

    async def settings(self) -> SearchSettings:
        return self._settings

    async def configure(self, settings: SearchSettings) -> None:
        self._settings = settings
        async with self._written({}) as index:
            await self._done(index.update_settings(in_meilisearch_terms(settings)))

    async def close(self) -> None:
        await self._client.aclose()

    def tenant_token(self, tenant_id: UUID, search_key: Key, expires_at: datetime) -> str:
        """A token with which a browser may search one tenant's products at the server directly."""
        rules = {self._uid: {"filter": translation.to_filter(tenant_id, Filters())[0]}}
        return self._client.generate_tenant_token(rules, api_key=search_key, expires_at=expires_at)

    def _index(self) -> AsyncIndex:
        return self._client.index(self._uid)

    async def _found(
        self, request: SearchRequest, query: str, facets: list[str] | None = None
    ) -> SearchResults[Any] | None:
        return await self._unless_missing(
            lambda: self._index().search(
                query,
                offset=request.offset,
                limit=0 if facets else request.limit,
                filter=[*translation.to_filter(request.tenant_id, request.filters)],
                facets=facets or translation.to_facets(request) or None,
                attributes_to_retrieve=["product_id"],
                sort=translation.to_sort(request.sort),
                show_ranking_score=True,
                locales=None,
            )
        )

    async def _facets(
        self, request: SearchRequest, found: SearchResults[Any], attributes: list[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was counted, and the attributes that only the first answer told to be common."""
        distribution, stats = found.facet_distribution or {}, found.facet_stats or {}
        if Facet.ATTRIBUTES in request.facets and not request.facet_attributes and attributes:
            paths = [translation.attribute_path(name) for name in attributes]
            more = await self._found(request, found.query, paths)
            if more:
                distribution, stats = distribution | (more.facet_distribution or {}), stats | (more.facet_stats or {})
        return distribution, stats

    async def _named(self, tenant_id: UUID, query: str) -> list[Mapping[str, Any]]:
        async with _failures():
            found = await self._unless_missing(
                lambda: self._index().search(
                    query,
                    limit=COMPANIONS_FROM,
                    filter=[*translation.to_filter(tenant_id, Filters())],
                    attributes_to_retrieve=["product_id", "name", "names"],
                    attributes_to_search_on=["name", "brand", "category_name", "translations", "latin"],
                    matching_strategy="all",
                )
            )
        return list(found.hits) if found else []

    async def _fill(self, index: AsyncIndex, documents: AsyncIterable[SearchDocument]) -> int:
        count = 0
        batch: list[dict[str, Any]] = []
        async for document in documents:
            batch.append(translation.to_document(document))
            count += 1
            if len(batch) == BATCH:
                await self._done(index.add_documents(batch, "id"))
                batch = []
        if batch:
            await self._done(index.add_documents(batch, "id"))
        return count

    async def _swap(self, shadow: AsyncIndex) -> None:
        async with self._writing:
            await self._prepare()
            journal = self._journal or {}
            changed = [document for document in journal.values() if document]
            removed = [key for key, document in journal.items() if document is None]
            if changed:
                await self._done(shadow.add_documents(changed, "id"))
            if removed:
                await self._done(shadow.delete_documents(removed))
            await self._done(self._client.swap_indexes([(self._uid, shadow.uid)]))

    @asynccontextmanager
    async def _written(self, latest: Latest) -> AsyncIterator[AsyncIndex]:
        """The index for one write, which a rebuild under way will repeat on its own."""
        async with _failures(), self._writing:
            await self._prepare()
            yield self._index()
            if self._journal is not None:
                self._journal |= latest

    async def _prepare(self) -> None:
        if self._is_prepared:
            return
        if await self._client.get_raw_index(self._uid) is None:
            await self._client.create_index(self._uid, "id", settings=in_meilisearch_terms(self._settings))
        self._is_prepared = True

    async def _done(self, request: Awaitable[TaskInfo]) -> None:
        task = await request
        await self._client.wait_for_task(
            task.task_uid, timeout_in_ms=self._patience_ms, interval_in_ms=10, raise_for_status=True
        )

    async def _unless_missing(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None where nothing was ever indexed."""
        try:
            return await ask()
        except MeilisearchApiError as problem:
            if problem.code == "index_not_found":
                return None
            raise


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    """Whatever goes wrong between here and the server is one thing to a caller: search is unavailable."""
    try:
        yield
    except (MeilisearchError, HTTPError, OSError) as problem:
        raise SearchUnavailable(str(problem)[:200]) from problem
