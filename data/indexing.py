"""The read model that the search index is made from; a projection may look into several contexts at once."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.kernel import implements
from domain.processes.indexing import PRODUCTS_AT_ONCE, SearchSource
from domain.search import AttributeValue, SearchDocument

# A plan that was made for empty tables must not be kept while an import fills them, hence every batch is planned anew.
_PREPARE = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
_LOCK = f"{_PREPARE}, pg_advisory_xact_lock(hashtextextended('agora search ' || $1::text, 0))"

# One row a product: what the public sees of it, with its stock and rating; the last store is where its seller sells it.
# Without the fence (OFFSET 0) PostgreSQL takes the index of active products by category, and looks once per category.
_PRODUCTS = """
SELECT p.id, p.tenant_id, p.name, p.description, p.brand, p.category_id, p.price_minor, p.currency, p.attributes,
    p.translations, p.created_at, p.store_id, s.store_ids, coalesce(s.available, 0) > 0 AS in_stock,
    CASE WHEN r.total > 0 THEN (r.stars / r.total)::float8 END AS rating
FROM (SELECT * FROM catalog.product WHERE id = ANY($1::uuid[]) OFFSET 0) p
LEFT JOIN LATERAL (
    SELECT sum(l.on_hand - l.reserved) AS available, array_agg(l.store_id) AS store_ids
    FROM inventory.stock_level l WHERE l.tenant_id = p.tenant_id AND l.product_id = p.id
) s ON true
LEFT JOIN LATERAL (
    SELECT one + two + three + four + five AS total, one + 2.0 * two + 3 * three + 4 * four + 5 * five AS stars
    FROM reviews.product_rating r WHERE r.tenant_id = p.tenant_id AND r.product_id = p.id
) r ON true
WHERE p.state = 'active' AND p.deleted_at IS NULL
"""
_BRANCHES = """
SELECT c.id, c.name, c.translations, (
    SELECT array_agg(a.slug ORDER BY a.depth) FROM catalog.category a
    WHERE a.id = ANY(string_to_array(trim(BOTH '/' FROM c.path), '/')::uuid[])
) AS slugs
FROM catalog.category c WHERE c.id = ANY($1::uuid[])
"""
_NEXT = "SELECT id FROM catalog.product WHERE id > $1 ORDER BY id LIMIT $2"
_BELOW = """
SELECT p.id FROM catalog.product p
WHERE p.id > $2 AND p.state = 'active' AND p.deleted_at IS NULL AND p.category_id IN (
    SELECT c.id FROM catalog.category c, catalog.category top WHERE top.id = $1 AND starts_with(c.path, top.path))
ORDER BY p.id LIMIT $3
"""
_ANY = "SELECT EXISTS (SELECT FROM catalog.product WHERE state = 'active' AND deleted_at IS NULL)"
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class Branch:
    """A category with the way to it from the root: slugs, its name, and its name in other languages."""

    slugs: tuple[str, ...]
    name: str
    names: dict[str, str]


_NOWHERE = Branch((), "", {})


@implements(SearchSource)
class SqlSearchSource:
    """Documents of the tenant that the transaction is bound to."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def documents(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> list[SearchDocument]:
        connection = await _raw(self._session)
        await connection.execute(_LOCK, str(tenant_id))
        return await _documents(connection, product_ids)

    async def products_below(self, category_id: UUID, after: UUID | None, limit: int) -> list[UUID]:
        connection = await _raw(self._session)
        return [row["id"] for row in await connection.fetch(_BELOW, category_id, after or _FIRST, limit)]


async def all_documents(database: Database) -> AsyncIterator[SearchDocument]:
    """Give every document of every tenant, a few at a time and each time in a transaction of its own, for a rebuild."""
    after = _FIRST
    while True:
        async with database.session(None) as session:
            connection = await _raw(session)
            await connection.execute(_PREPARE)
            ids = [row["id"] for row in await connection.fetch(_NEXT, after, PRODUCTS_AT_ONCE)]
            documents = await _documents(connection, ids)
        for document in documents:
            yield document
        if len(ids) < PRODUCTS_AT_ONCE:
            return
        after = ids[-1]


async def has_products(database: Database) -> bool:
    """Say whether there is anything that an index should hold."""
    async with database.session(None) as session:
        return bool(await (await _raw(session)).fetchval(_ANY))


async def _raw(session: AsyncSession) -> asyncpg.Connection:
    # Tens of thousands of rows are read at a time; asyncpg's own rows cost half of what the session makes of them.
    connection = await (await session.connection()).get_raw_connection()
    driver: asyncpg.Connection = connection.driver_connection
    return driver


async def _documents(connection: asyncpg.Connection, product_ids: Sequence[UUID]) -> list[SearchDocument]:
    rows = await connection.fetch(_PRODUCTS, product_ids)
    branches = await _branches(connection, {row["category_id"] for row in rows} - {None})
    return [_document(row, branches.get(row["category_id"], _NOWHERE)) for row in rows]


async def _branches(connection: asyncpg.Connection, category_ids: Iterable[UUID]) -> dict[UUID, Branch]:
    """Read the categories of a batch once for all its products."""
    wanted = list(category_ids)
    rows = await connection.fetch(_BRANCHES, wanted) if wanted else ()
    return {row["id"]: Branch(tuple(row["slugs"]), row["name"], _translated(row["translations"])) for row in rows}


def _translated(translations: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {language: texts["name"] for language, texts in translations.items() if texts.get("name")}


def _document(row: asyncpg.Record, branch: Branch) -> SearchDocument:
    store_id, store_ids = row["store_id"], row["store_ids"] or ()
    return SearchDocument(
        product_id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        created_at=row["created_at"],
        store_ids=tuple(sorted({*store_ids, store_id} - {None})),
        description=row["description"],
        category=branch.name,
        category_path=branch.slugs,
        brand=row["brand"],
        attributes=_searchable(row["attributes"]),
        price_minor=row["price_minor"],
        currency=row["currency"] or "",
        in_stock=row["in_stock"],
        rating=row["rating"],
        names=_translated(row["translations"]),
        categories=branch.names,
    )


def _searchable(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in attributes.items()
        if isinstance(value, str | bool | int | float | list) and value != []
    }
