"""Product search: what is indexed, what may be asked, and the port that every engine implements."""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Protocol
from uuid import UUID

from domain.kernel import DomainError, InvalidInput

MAX_QUERY_LETTERS = 1_000
MAX_PAGE = 100
MAX_OFFSET = 10_000
MAX_COMPLETIONS = 10
MAX_FACET_VALUES = 100
MAX_AMOUNT = 2**62

Scalar = str | bool | int | float
AttributeValue = Scalar | tuple[Scalar, ...]


@dataclass(eq=False)
class SearchUnavailable(DomainError):
    """The engine cannot answer at the moment; another one may."""

    reason: str
    template = "Search is unavailable: {reason}."


@dataclass(eq=False)
class IndexNeedsRebuild(SearchUnavailable):
    """The index is damaged or was written by another version; `rebuild` heals it."""

    reason: str
    template = "The search index has to be rebuilt: {reason}."


@dataclass(eq=False)
class IndexIsWrittenElsewhere(DomainError):
    """Another process holds the index for writing; one writer is the rule."""

    location: str
    template = "Another process is writing the search index at {location}."


class Sort(StrEnum):
    RELEVANCE = "relevance"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"
    RATING = "rating"
    NEWEST = "newest"
    POPULARITY = "popularity"


class Facet(StrEnum):
    CATEGORY = "category"
    BRAND = "brand"
    PRICE = "price"
    ATTRIBUTES = "attributes"
    IN_STOCK = "in_stock"
    RATING = "rating"


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchDocument:
    """A product as search sees it.

    `category_path` runs from root to leaf and holds stable keys (slugs); `category` is the leaf's name in the default language.
    `names` and `categories` hold translations by language code. `rating` is the average of 0 to 5, `popularity` any number ≥ 0.

    Raises:
        InvalidInput: a number outside its range.
    """

    product_id: UUID
    tenant_id: UUID
    name: str
    created_at: datetime
    store_ids: tuple[UUID, ...] = ()
    description: str = ""
    category: str = ""
    category_path: tuple[str, ...] = ()
    brand: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    price_minor: int | None = None
    currency: str = ""
    in_stock: bool = False
    rating: float | None = None
    popularity: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.price_minor is not None:
            _refuse_outside("price", self.price_minor, -MAX_AMOUNT, MAX_AMOUNT)
        if self.rating is not None:
            _refuse_outside("rating", self.rating, 0, 5)
        _refuse_outside("popularity", self.popularity, 0, MAX_AMOUNT)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductChange:
    """What moves often in a product; None leaves a value as it is."""

    product_id: UUID
    in_stock: bool | None = None
    price_minor: int | None = None
    rating: float | None = None
    popularity: float | None = None


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Prices from `minimum_minor` to `maximum_minor`, both included; None leaves a side open."""

    minimum_minor: int | None = None
    maximum_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class AttributeIn:
    """The attribute has one of the values, compared exactly."""

    name: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class AttributeRange:
    """The attribute is a number from `minimum` to `maximum`, both included; None leaves a side open."""

    name: str
    minimum: float | None = None
    maximum: float | None = None


AttributeFilter = AttributeIn | AttributeRange


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Every condition has to hold; an empty one is none."""

    category_path: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    price: PriceRange | None = None
    attributes: tuple[AttributeFilter, ...] = ()
    in_stock: bool | None = None
    minimum_rating: float | None = None
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRequest:
    """One page of one tenant's products; an empty `query` browses.

    `facet_attributes` names the attributes to count; empty lets the engine take the commonest among the results.
    `widening_facets` counts a facet as if its own filter were absent, which is what a list of tick boxes needs.
    `category_weights` multiplies the relevance of products below a category path, 1 being neutral.

    Raises:
        InvalidInput: a limit, text or number that no engine could serve.
    """

    tenant_id: UUID
    query: str = ""
    filters: Filters = field(default_factory=Filters)
    facets: frozenset[Facet] = frozenset()
    facet_attributes: tuple[str, ...] = ()
    facet_values: int = 20
    widening_facets: bool = False
    sort: Sort = Sort.RELEVANCE
    offset: int = 0
    limit: int = 20
    language: str = ""
    category_weights: Mapping[tuple[str, ...], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_unsearchable("query", self.query)
        _refuse_outside("limit", self.limit, 0, MAX_PAGE)
        _refuse_outside("offset", self.offset, 0, MAX_OFFSET)
        _refuse_outside("facetValues", self.facet_values, 1, MAX_FACET_VALUES)
        _refuse_unservable_filters(self.filters)
        for name in self.facet_attributes:
            refuse_unsearchable("facetAttributes", name)
        for weight in self.category_weights.values():
            _refuse_outside("categoryWeights", weight, 0, 100)


@dataclass(frozen=True, slots=True)
class Hit:
    product_id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many results have a value; `path` is the whole path, for categories only."""

    value: str
    count: int
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Products with `minimum_minor` ≤ price < `maximum_minor`; None is an open side."""

    minimum_minor: int | None
    maximum_minor: int | None
    count: int


@dataclass(frozen=True, slots=True)
class RatingBand:
    """Products rated `minimum` stars or better."""

    minimum: int
    count: int


@dataclass(frozen=True, slots=True)
class AttributeFacet:
    """Values of one attribute; numbers also have the range that occurs."""

    name: str
    values: tuple[FacetCount, ...]
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FacetCounts:
    """How many products have which values; of a large result they may be `estimated` from a part of it."""

    categories: tuple[FacetCount, ...] = ()
    brands: tuple[FacetCount, ...] = ()
    prices: tuple[PriceBand, ...] = ()
    attributes: tuple[AttributeFacet, ...] = ()
    in_stock: int | None = None
    out_of_stock: int | None = None
    ratings: tuple[RatingBand, ...] = ()
    estimated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """`corrected_query` is what was searched when a word of the query occurs nowhere in the tenant's products."""

    hits: tuple[Hit, ...] = ()
    total: int = 0
    facets: FacetCounts = field(default_factory=FacetCounts)
    processing_ms: float = 0.0
    corrected_query: str | None = None


class CompletionKind(StrEnum):
    QUERY = "query"
    CATEGORY = "category"
    BRAND = "brand"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Completion:
    """A way to go on typing; `count` is how many products it leads to."""

    text: str
    kind: CompletionKind
    count: int
    product_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestions:
    """What else the shopper may have meant: a correction, and queries near this one."""

    did_you_mean: str | None = None
    related: tuple[str, ...] = ()


class IndexState(StrEnum):
    EMPTY = "empty"
    READY = "ready"
    REBUILDING = "rebuilding"
    NEEDS_REBUILD = "needs_rebuild"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexStatus:
    engine: str
    state: IndexState
    documents: int = 0
    version: str = ""
    size_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """How relevance is weighed, and the words that count as the same.

    `weights` multiply a match by field. A group of `synonyms` holds words or short phrases that find each other.
    A word of at least `one_typo_letters` (`two_typos_letters`) letters may differ in one (two) of them.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    synonyms: tuple[tuple[str, ...], ...] = ()
    stop_words: frozenset[str] = frozenset()
    one_typo_letters: int = 4
    two_typos_letters: int = 8


class SearchEngine(Protocol):
    """Finds a tenant's products; every implementation adds the tenant filter itself.

    Writes return once they survive a crash and are searchable.

    Raises:
        SearchUnavailable: the engine cannot answer or write at the moment.
        IndexNeedsRebuild: only `rebuild` helps.
        IndexIsWrittenElsewhere: on a write, when another process is the writer.
    """

    async def search(self, request: SearchRequest) -> SearchResult: ...

    async def autocomplete(
        self, tenant_id: UUID, prefix: str, limit: int = MAX_COMPLETIONS, language: str = ""
    ) -> list[Completion]: ...

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions: ...

    async def upsert(self, documents: Sequence[SearchDocument]) -> None: ...

    async def remove(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> None: ...

    async def update_partial(self, tenant_id: UUID, changes: Sequence[ProductChange]) -> list[UUID]:
        """Returns the ids that the index does not hold, which need a full `upsert`."""
        ...

    async def rebuild(self, documents: AsyncIterable[SearchDocument]) -> int:
        """Fill a shadow index with all tenants' documents, then swap; returns how many. Writes made meanwhile are kept."""
        ...

    async def status(self) -> IndexStatus: ...

    async def settings(self) -> SearchSettings: ...

    async def configure(self, settings: SearchSettings) -> None: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class CircuitBreaker:
    """Stops asking an engine that keeps failing, and tries it again after a while.

    Open after `failures_to_open` failures in a row; after `cool_down_seconds` one trial is let through at a time.
    Moments are seconds of any monotonic clock, given by the caller.
    """

    failures_to_open: int = 5
    cool_down_seconds: float = 10.0
    failures: int = 0
    retry_at: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.failures < self.failures_to_open

    def allows(self, now_seconds: float) -> bool:
        if self.is_closed:
            return True
        if now_seconds < self.retry_at:
            return False
        self.retry_at = now_seconds + self.cool_down_seconds
        return True

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now_seconds: float) -> None:
        self.failures += 1
        self.retry_at = now_seconds + self.cool_down_seconds


def refuse_unsearchable(name: str, text: str) -> None:
    """Refuse what no engine can take: too long, NUL, or half of a surrogate pair.

    Raises:
        InvalidInput: with `name` as the field.
    """
    if len(text) > MAX_QUERY_LETTERS:
        raise InvalidInput(name, f"at most {MAX_QUERY_LETTERS} letters, not {len(text)}")
    if "\0" in text:
        raise InvalidInput(name, "a NUL character cannot be searched")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput(name, "not valid Unicode")


def _refuse_outside(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise InvalidInput(name, f"from {lowest} to {highest}, not {value}")


def _refuse_unservable_filters(filters: Filters) -> None:
    texts = [*filters.category_path, *filters.brands, *(each.name for each in filters.attributes)]
    bounds: list[float | None] = [filters.minimum_rating]
    for each in filters.attributes:
        if isinstance(each, AttributeRange):
            bounds += [each.minimum, each.maximum]
        else:
            texts += [value for value in each.values if isinstance(value, str)]
            bounds += [value for value in each.values if not isinstance(value, str)]
    for text in texts:
        refuse_unsearchable("filters", text)
    if not all(bound is None or _is_servable(bound) for bound in bounds):
        raise InvalidInput("filters", "not a finite number of 64 bits")
    _refuse_huge_prices(filters.price)


def _is_servable(number: float) -> bool:
    return abs(number) <= MAX_AMOUNT if isinstance(number, int) else isfinite(number)


def _refuse_huge_prices(price: PriceRange | None) -> None:
    for bound in (price.minimum_minor, price.maximum_minor) if price else ():
        if bound is not None:
            _refuse_outside("filters", bound, -MAX_AMOUNT, MAX_AMOUNT)
