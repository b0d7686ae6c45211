"""The search subgraph: results that name products, facets, completions, and the care of the index."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain import discovery
from domain import search as domain
from resolvers import search as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, PageInfo, action, command, computed, make_subgraph, permission, query
from schema.scalars import BigInt

MANAGE = permission("search.manage")

for choices in (domain.Sort, domain.Facet, domain.CompletionKind, domain.IndexState):
    enum_of(choices)


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID


@strawberry.type(description="A result; `product` is null when it was taken off sale a moment ago.")
class SearchHit:
    score: float
    product = computed(lambda hit, _context: Product(id=hit.product_id), Product | None)


@strawberry.type(description="How many results have a value.")
class FacetCount:
    value: str
    count: int
    path: list[str] = strawberry.field(description="For categories: the slugs from the root down.")


@strawberry.type(description="Prices from the minimum up to, and without, the maximum; null is an open side.")
class PriceBand:
    minimum_minor: BigInt | None
    maximum_minor: BigInt | None
    count: int


@strawberry.type(description="Products rated that many stars or better.")
class RatingBand:
    minimum: int
    count: int


@strawberry.type(description="The values of one attribute; numbers also have the range that occurs.")
class AttributeFacet:
    name: str
    values: list[FacetCount]
    minimum: float | None
    maximum: float | None


@strawberry.type
class SearchFacets:
    categories: list[FacetCount]
    brands: list[FacetCount]
    prices: list[PriceBand]
    attributes: list[AttributeFacet]
    in_stock: int | None
    out_of_stock: int | None
    ratings: list[RatingBand]
    estimated: bool = strawberry.field(
        description="Whether the counts are estimated from a part of the result, as they are where it is large."
    )


@strawberry.type
class SearchResult:
    search_id: UUID = strawberry.field(description="Names this search when a result of it is clicked.")
    hits: list[SearchHit]
    total: int
    facets: SearchFacets
    processing_ms: float
    corrected_query: str | None = strawberry.field(
        description="What was searched in place of a word that occurs nowhere."
    )
    page_info: PageInfo


@strawberry.type
class Completion:
    text: str
    kind: domain.CompletionKind
    count: int
    product = computed(
        lambda completion, _context: completion.product_id and Product(id=completion.product_id), Product | None
    )


@strawberry.type
class SearchSuggestions:
    did_you_mean: str | None
    related: list[str]


@strawberry.type
class TrendingSearch:
    query: str
    searches: int


@strawberry.type
class SearchIndexStatus:
    engine: str
    state: domain.IndexState
    documents: int
    version: str
    size_bytes: BigInt | None
    reason: str
    rebuild_requested_at: datetime | None = strawberry.field(
        description="Since when a rebuild that was asked for is waiting or under way."
    )


@strawberry.type(description="Work that was accepted and will be done in the background.")
class AcceptedJob:
    __reads__ = (discovery.Accepted,)

    job: str


@strawberry.type
class Query:
    search_products = query(resolvers.search_products, SearchResult, who=PUBLIC, stale_ok=True, weight=20)
    autocomplete = query(resolvers.autocomplete, list[Completion], who=PUBLIC, stale_ok=True)
    search_suggestions = query(resolvers.search_suggestions, SearchSuggestions, who=PUBLIC, stale_ok=True)
    trending_searches = query(resolvers.trending_searches, list[TrendingSearch], who=PUBLIC, stale_ok=True)
    search_index_status = query(resolvers.search_index_status, SearchIndexStatus, who=MANAGE)


@strawberry.type
class Mutation:
    track_search_click = command(resolvers.track_search_click, AcceptedJob, who=PUBLIC)
    rebuild_search_index = action(
        resolvers.rebuild_search_index, AcceptedJob, result="RebuildSearchIndexResult", who=MANAGE
    )
    update_search_settings = command(resolvers.update_search_settings, AcceptedJob, who=MANAGE)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[Product])
