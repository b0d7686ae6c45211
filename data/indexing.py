"""The read model that the search index is made from; a projection may look into several contexts at once."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.kernel import implements
from domain.processes.indexing import PRODUCTS_AT_ONCE, SearchSource
from domain.search import SearchDocument

_CATEGORIES = text("SELECT id, tenant_id, path, name, slug, translations FROM catalog.category")

# One row a product: what the public sees of it, with its stock and rating; the last store is where its seller sells it.
_PRODUCTS = """
SELECT p.id, p.tenant_id, p.name, p.description, p.brand, p.category_id, p.price_minor, p.currency, p.attributes,
    p.translations, p.created_at, p.store_id, s.store_ids, coalesce(s.available, 0) > 0 AS in_stock,
    CASE WHEN r.total > 0 THEN r.stars / r.total END AS rating
FROM catalog.product p
LEFT JOIN LATERAL (
    SELECT sum(l.on_hand - l.reserved) AS available, array_agg(DISTINCT l.store_id) AS store_ids
    FROM inventory.stock_level l WHERE l.tenant_id = p.tenant_id AND l.product_id = p.id
) s ON true
LEFT JOIN LATERAL (
    SELECT one + two + three + four + five AS total, one + 2.0 * two + 3 * three + 4 * four + 5 * five AS stars
    FROM reviews.product_rating r WHERE r.tenant_id = p.tenant_id AND r.product_id = p.id
) r ON true
WHERE p.state = 'active' AND p.deleted_at IS NULL AND
"""
_BY_ID = text(_PRODUCTS + "p.id = ANY(:ids)")
_AFTER = text(_PRODUCTS + "p.id > :after ORDER BY p.id LIMIT :size")
_BELOW = text("""
SELECT p.id FROM catalog.product p JOIN catalog.category c ON c.id = p.category_id
WHERE p.state = 'active' AND p.deleted_at IS NULL AND EXISTS (
    SELECT FROM unnest(CAST(:ids AS uuid[])) branch WHERE position(replace(branch::text, '-', '') IN c.path) > 0)
""")
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class Branch:
    """A category with the way to it from the root: slugs, its name, and its name in other languages."""

    slugs: tuple[str, ...]
    name: str
    names: dict[str, str]


async def _branches(session: AsyncSession) -> dict[UUID, Branch]:
    rows = (await session.execute(_CATEGORIES)).all()
    slugs = {row.id.hex: row.slug for row in rows}
    return {
        row.id: Branch(
            tuple(slugs[step] for step in row.path.split("/") if step in slugs),
            row.name,
            _translated(row.translations),
        )
        for row in rows
    }


def _translated(translations: dict[str, dict[str, str]]) -> dict[str, str]:
    return {language: texts["name"] for language, texts in translations.items() if texts.get("name")}


@implements(SearchSource)
class SqlSearchSource:
    """Documents of the tenant that the transaction is bound to."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def documents(self, tenant_id: UUID, product_ids: Sequence[UUID]) -> list[SearchDocument]:
        rows = (await self._session.execute(_BY_ID, {"ids": list(product_ids)})).all()
        branches = await _branches(self._session) if any(row.category_id for row in rows) else {}
        return [_document(row, branches) for row in rows if row.tenant_id == tenant_id]

    async def products_below(self, category_ids: Sequence[UUID]) -> list[UUID]:
        return list(await self._session.scalars(_BELOW, {"ids": list(category_ids)}))


async def all_documents(database: Database) -> AsyncIterator[SearchDocument]:
    """Give every document of every tenant, a few at a time, for a rebuild."""
    async with database.session(None) as session:
        branches = await _branches(session)
    after = _FIRST
    while True:
        async with database.session(None) as session:
            rows = (await session.execute(_AFTER, {"after": after, "size": PRODUCTS_AT_ONCE})).all()
        for row in rows:
            yield _document(row, branches)
        if len(rows) < PRODUCTS_AT_ONCE:
            return
        after = rows[-1].id


def _document(row: Any, branches: dict[UUID, Branch]) -> SearchDocument:
    branch = branches.get(row.category_id)
    stores = {*(row.store_ids or ()), *([row.store_id] if row.store_id else ())}
    return SearchDocument(
        product_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        created_at=row.created_at,
        store_ids=tuple(sorted(stores)),
        description=row.description,
        category=branch.name if branch else "",
        category_path=branch.slugs if branch else (),
        brand=row.brand,
        attributes={
            name: value for name, value in row.attributes.items() if isinstance(value, str | bool | int | float)
        },
        price_minor=row.price_minor,
        currency=row.currency or "",
        in_stock=row.in_stock,
        rating=None if row.rating is None else float(row.rating),
        names=_translated(row.translations),
        categories=branch.names if branch else {},
    )
