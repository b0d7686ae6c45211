"""Verbs of search."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import discovery
from domain.discovery import (
    TRENDING_DAYS,
    PerformedSearch,
    RebuildSearchIndex,
    SearchFilters,
    SearchLog,
    SearchLogReads,
)
from domain.kernel import InvalidInput
from domain.paging import decode_cursor, encode_cursor
from domain.search import MAX_COMPLETIONS, Facet, SearchEngine, SearchRequest, Sort
from resolvers.kernel import Context, transacts

track_search_click = transacts(discovery.track_search_click)
update_search_settings = transacts(discovery.update_search_settings)


async def rebuild_search_index(context: Context) -> Any:
    return await context.transact(discovery.rebuild_search_index, RebuildSearchIndex())


class FoundProducts:
    """One page of results, with what the page links need."""

    def __init__(self, search_id: UUID, request: SearchRequest, result: Any) -> None:
        self.search_id = search_id
        self.hits = result.hits
        self.total = result.total
        self.facets = result.facets
        self.processing_ms = result.processing_ms
        self.corrected_query = result.corrected_query
        end = request.offset + len(result.hits)
        self.has_next_page = end < result.total
        self.has_previous_page = request.offset > 0
        self.start_cursor = encode_cursor([request.offset]) if result.hits else None
        self.end_cursor = encode_cursor([end]) if result.hits else None

    @property
    def page_info(self) -> "FoundProducts":
        return self


async def search_products(
    context: Context,
    query: str = "",
    filters: SearchFilters | None = None,
    facets: Sequence[Facet] = (),
    facet_attributes: Sequence[str] = (),
    sort: Sort = Sort.RELEVANCE,
    first: int | None = None,
    after: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> FoundProducts:
    """Search, and note the search; `first`/`after` and `limit`/`offset` are two ways to page."""
    request = SearchRequest(
        tenant_id=context.require_tenant(),
        query=query,
        filters=(filters or SearchFilters()).filters(),
        facets=frozenset(facets),
        facet_attributes=tuple(facet_attributes),
        sort=sort,
        offset=_offset(after, offset),
        limit=_first_given(first, limit, 20),
        language=context.locale.partition("-")[0],
    )
    result = await context.service(SearchEngine).search(request)
    noted = PerformedSearch(
        tenant_id=request.tenant_id,
        user_id=context.principal.user_id,
        query=query,
        hits=result.total,
        latency_ms=result.processing_ms,
        performed_at=context.now(),
    )
    context.service(SearchLog).note(noted)
    return FoundProducts(noted.id, request, result)


def _first_given(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _offset(after: str | None, offset: int | None) -> int:
    if after is None:
        return offset or 0
    value = decode_cursor(after, 1)[0]
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(field="after", reason="it is not one of ours")
    return value


async def autocomplete(context: Context, prefix: str, limit: int = MAX_COMPLETIONS) -> Sequence[Any]:
    if not 1 <= limit <= MAX_COMPLETIONS:
        raise InvalidInput(field="limit", reason=f"it must lie between 1 and {MAX_COMPLETIONS}")
    language = context.locale.partition("-")[0]
    return await context.service(SearchEngine).autocomplete(context.require_tenant(), prefix, limit, language)


async def search_suggestions(context: Context, query: str, limit: int = 5) -> Any:
    return await context.service(SearchEngine).suggest(context.require_tenant(), query, limit)


async def trending_searches(context: Context, limit: int = 10) -> Sequence[Any]:
    if not 1 <= limit <= 100:
        raise InvalidInput(field="limit", reason="it must lie between 1 and 100")
    since = context.now() - timedelta(days=TRENDING_DAYS)
    return await context.read(SearchLogReads).trending(since, limit)


async def search_index_status(context: Context) -> Any:
    return await context.service(SearchEngine).status()
