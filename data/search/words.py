"""Text search in PostgreSQL, for when the engine is down: words of name and brand as prefixes, filters, no facets."""

import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    Text,
    Uuid,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
)

from data.database import Database
from domain.search import (
    AttributeFilter,
    AttributeIn,
    AttributeRange,
    Completion,
    CompletionKind,
    Filters,
    Hit,
    PriceRange,
    SearchRequest,
    SearchResult,
    Sort,
    Suggestions,
    refuse_unsearchable,
)

MAX_WORDS = 20
MAX_WORD_LETTERS = 100
NAMES_LOOKED_AT = 500
_WORD = re.compile(r"[^\W_]+")

Condition = ColumnElement[bool]


def _columns(*names: str, kind: Any = None) -> Iterator[Any]:
    return (column(name, kind) for name in names)


# Several contexts are looked into, as by the projection that the index is made from.
_product = table(
    "product",
    *_columns("id", "tenant_id", "store_id", "category_id", kind=Uuid),
    *_columns("name", "brand", "currency", "state", kind=Text),
    *_columns("deleted_at", "created_at", "price_minor", "price_key", "attributes"),
    schema="catalog",
)
_category = table("category", *_columns("id", "tenant_id", kind=Uuid), *_columns("slug", "path"), schema="catalog")
_level = table(
    "stock_level",
    *_columns("tenant_id", "product_id", "store_id", kind=Uuid),
    *_columns("on_hand", "reserved"),
    schema="inventory",
)
_STARS = ("one", "two", "three", "four", "five")
_rating = table("product_rating", *_columns("tenant_id", "product_id", kind=Uuid), *_columns(*_STARS), schema="reviews")

_p = _product.c
_SIMPLE: ColumnElement[Any] = literal_column("'simple'")
# Written as in the migration's index: PostgreSQL takes it for this very expression and for active products only.
_TEXT = func.to_tsvector(_SIMPLE, _p.name.op("||")(literal_column("' '")).op("||")(_p.brand))
_ON_SALE = (_p.state == literal_column("'active'")) & _p.deleted_at.is_(None)
_COUNTED = sum((_rating.c[name] for name in _STARS[1:]), start=_rating.c.one + 0)
_SUM = sum((_rating.c[name] * (at + 2) for at, name in enumerate(_STARS[1:])), start=_rating.c.one + 0)
_AVERAGE = (
    select(cast(_SUM, Float) / func.nullif(_COUNTED, 0))
    .where(_rating.c.tenant_id == _p.tenant_id, _rating.c.product_id == _p.id)
    .correlate(_product)
    .scalar_subquery()
)
_ORDERS: dict[Sort, Any] = {
    Sort.PRICE_ASC: _p.price_key,
    Sort.PRICE_DESC: _p.price_minor.desc().nulls_last(),
    Sort.RATING: _AVERAGE.desc().nulls_last(),
    Sort.NEWEST: _p.created_at.desc(),
}


class PostgresTextSearch:
    """The second choice of a search: without typos, synonyms and facets, but with answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, request: SearchRequest) -> SearchResult:
        started = time.perf_counter()
        hits, total = await self._find(request) if _is_findable(request.query) else ((), 0)
        return SearchResult(hits=hits, total=total, processing_ms=(time.perf_counter() - started) * 1000)

    async def autocomplete(self, tenant_id: UUID, prefix: str, limit: int = 10, language: str = "") -> list[Completion]:  # noqa: ARG002 — the port's signature.
        refuse_unsearchable("prefix", prefix)
        if not _words(prefix):
            return []
        some = select(_p.name).where(*_matching(tenant_id, prefix)).limit(NAMES_LOOKED_AT).subquery()
        rows = await self._rows(select(some.c.name).distinct().order_by(some.c.name).limit(limit))
        return [Completion(row.name, CompletionKind.PRODUCT, 1) for row in rows]

    async def suggest(self, tenant_id: UUID, query: str, limit: int = 5) -> Suggestions:  # noqa: ARG002 — the port's signature.
        refuse_unsearchable("query", query)
        return Suggestions()

    async def _find(self, request: SearchRequest) -> tuple[tuple[Hit, ...], int]:
        found = (*_matching(request.tenant_id, request.query), *_chosen(request.tenant_id, request.filters))
        first = _ORDERS.get(request.sort, _p.id.desc())
        if request.sort is Sort.RELEVANCE and request.query:
            first = func.ts_rank(_TEXT, _sought(request.query)).desc()
        page = select(_p.id).where(*found).order_by(first, _p.id.desc()).limit(request.limit).offset(request.offset)
        rows = await self._rows(page) if request.limit else []
        counted = await self._rows(select(func.count().label("total")).select_from(_product).where(*found))
        return tuple(Hit(row.id, 0.0) for row in rows), counted[0].total

    async def _rows(self, statement: Any) -> list[Any]:
        # Row-level security lets only leakproof operators use an index, and text search has none: the platform's role
        # reads, and every statement names its tenant.
        reads = self._database.system_reads()
        try:
            return await reads.rows(statement)
        finally:
            await reads.close()


def _words(query: str) -> list[str]:
    return [word[:MAX_WORD_LETTERS] for word in _WORD.findall(query)[:MAX_WORDS]]


def _is_findable(query: str) -> bool:
    """An empty query browses; one of nothing but signs finds nothing."""
    return not query.strip() or bool(_words(query))


def _sought(query: str) -> Any:
    return func.to_tsquery(_SIMPLE, " & ".join(f"{word}:*" for word in _words(query)))


def _matching(tenant_id: UUID, query: str) -> Iterator[Condition]:
    yield _p.tenant_id == tenant_id
    yield _ON_SALE
    if _words(query):
        yield _TEXT.op("@@")(_sought(query))


def _chosen(tenant_id: UUID, filters: Filters) -> Iterator[Condition]:
    if filters.category_path:
        yield _p.category_id.in_(_branch(tenant_id, filters.category_path[-1]))
    if filters.brands:
        yield _p.brand == func.any(literal(list(filters.brands), ARRAY(Text)))
    if filters.price:
        yield from _priced(filters.price)
    if filters.in_stock is not None:
        stocked = _stocked(_level.c.on_hand > _level.c.reserved)
        yield stocked if filters.in_stock else ~stocked
    if filters.minimum_rating is not None:
        yield _AVERAGE.op(">=")(float(filters.minimum_rating))
    if filters.store_id:
        yield or_(_p.store_id == filters.store_id, _stocked(_level.c.store_id == filters.store_id))
    for each in filters.attributes:
        yield _has(each)


def _branch(tenant_id: UUID, slug: str) -> Any:
    """The ids of a category and of all below it; a slug names one category of a tenant."""
    top = _category.alias("top")
    return select(_category.c.id).where(
        _category.c.tenant_id == tenant_id,
        top.c.tenant_id == tenant_id,
        top.c.slug == slug,
        func.starts_with(_category.c.path, top.c.path),
    )


def _priced(price: PriceRange) -> Iterator[Condition]:
    if price.minimum_minor is not None:
        yield _p.price_minor >= price.minimum_minor
    if price.maximum_minor is not None:
        yield _p.price_minor <= price.maximum_minor
    if price.currency:
        yield _p.currency == price.currency


def _stocked(how: Condition) -> Condition:
    return exists().where(_level.c.tenant_id == _p.tenant_id, _level.c.product_id == _p.id, how)


def _has(wanted: AttributeFilter) -> Condition:
    value, plain = _p.attributes.op("->")(wanted.name), _p.attributes.op("->>")(wanted.name)
    if isinstance(wanted, AttributeIn):
        texts = literal([_as_text(each) for each in wanted.values], ARRAY(Text))
        return or_(plain == func.any(texts), func.jsonb_exists_any(value, texts))
    number = case((func.jsonb_typeof(value) == "number", cast(plain, Float)))
    return number.between(_bound(wanted, "minimum", "-Infinity"), _bound(wanted, "maximum", "Infinity"))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bound(wanted: AttributeRange, side: str, otherwise: str) -> Any:
    given = getattr(wanted, side)
    return cast(literal(float(otherwise if given is None else given), Float), Float)
