"""Verbs of search."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
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
from domain.paging import DEFAULT_PAGE, decode_cursor, encode_cursor
from domain.search import (
    MAX_COMPLETIONS,
    MAX_OFFSET,
    MAX_PAGE,
    Facet,
    IndexStatus,
    SearchEngine,
    SearchRequest,
    SearchResult,
    Sort,
    Suggestions,
)
from resolvers.kernel import Context, transacts

MAX_SUGGESTIONS = 20
MAX_TRENDING = 100

track_search_click = transacts(discovery.track_search_click)
update_search_settings = transacts(discovery.update_search_settings)


async def rebuild_search_index(context: Context) -> Any:
    return await context.transact(discovery.rebuild_search_index, RebuildSearchIndex())


class FoundProducts:
    """One page of results, with what the page links need; a cursor is the number of results up to and with a hit."""

    def __init__(self, search_id: UUID, request: SearchRequest, result: SearchResult) -> None:
        self.search_id = search_id
        self.hits = result.hits
        self.total = result.total
        self.facets = result.facets
        self.processing_ms = result.processing_ms
        self.corrected_query = result.corrected_query
        end = request.offset + len(result.hits)
        # What lies beyond the deepest offset can be counted and not be reached.
        self.has_next_page = end < result.total and end <= MAX_OFFSET
        self.has_previous_page = request.offset > 0
        self.start_cursor = encode_cursor([request.offset + 1]) if result.hits else None
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
        limit=_limit(first, limit),
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


def _limit(first: int | None, limit: int | None) -> int:
    if first is not None and limit is not None:
        raise InvalidInput(field="limit", reason="ask for first or for limit, not for both")
    if first is not None:
        return _within("first", first, 0, MAX_PAGE)
    return DEFAULT_PAGE if limit is None else limit


def _offset(after: str | None, offset: int | None) -> int:
    if after is None:
        return offset or 0
    if offset is not None:
        raise InvalidInput(field="offset", reason="ask for what comes after a cursor or from an offset, not for both")
    value = decode_cursor(after, 1)[0]
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(field="after", reason="it is not one of ours")
    return _within("after", value, 0, MAX_OFFSET)


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidInput(field=name, reason=f"it must lie between {least} and {most:,}")
    return value


async def autocomplete(context: Context, prefix: str, limit: int = MAX_COMPLETIONS) -> Sequence[Any]:
    most = _within("limit", limit, 1, MAX_COMPLETIONS)
    language = context.locale.partition("-")[0]
    return await context.service(SearchEngine).autocomplete(context.require_tenant(), prefix, most, language)


async def search_suggestions(context: Context, query: str, limit: int = 5) -> Suggestions:
    most = _within("limit", limit, 1, MAX_SUGGESTIONS)
    return await context.service(SearchEngine).suggest(context.require_tenant(), query, most)


async def trending_searches(context: Context, limit: int = 10) -> Sequence[Any]:
    most = _within("limit", limit, 1, MAX_TRENDING)
    since = context.now() - timedelta(days=TRENDING_DAYS)
    return await context.read(SearchLogReads).trending(since, most)


@dataclass(frozen=True, kw_only=True)
class ReportedStatus(IndexStatus):
    """The index's own status, and since when the tenant waits for a rebuild."""

    rebuild_requested_at: datetime | None


async def search_index_status(context: Context) -> ReportedStatus:
    status = await context.service(SearchEngine).status()
    waiting = await context.read(SearchLogReads).rebuild_requested_at()
    own = {each.name: getattr(status, each.name) for each in fields(status)}
    return ReportedStatus(**own, rebuild_requested_at=waiting)
