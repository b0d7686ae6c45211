"""The catalogue's ports for commands, in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.catalog.offers import OFFERS, in_order
from data.catalog.paths import below
from data.catalog.tables import category, policy, product, product_version, sku
from data.direct import selected
from data.kernel import implements
from domain.catalog.attributes import AttributeDefinition, inherited
from domain.catalog.categories import Category, path_ids
from domain.catalog.offers import Offer
from domain.catalog.ports import (
    CatalogPolicies,
    Categories,
    ProductHistory,
    Products,
    ProductVersion,
    SkuRef,
    Skus,
)
from domain.catalog.products import Product


@implements(Skus)
class SqlSkus:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, wanted: str) -> SkuRef | None:
        row = (
            await self._session.execute(select(sku.c.product_id, sku.c.variant_id).where(sku.c.sku == wanted))
        ).one_or_none()
        return None if row is None else SkuRef(product_id=row.product_id, variant_id=row.variant_id)

    async def offers(self, skus: Sequence[str]) -> list[Offer | None]:
        return in_order(await selected(self._session, OFFERS, keys=list(skus)), skus)

    async def taken(self, skus: Sequence[str], product_id: UUID) -> str | None:
        used = select(sku.c.sku).where(sku.c.sku == func.any(list(skus)), sku.c.product_id != product_id)
        # Asked before the change is written, so that the refusal can name the SKU and not just a constraint.
        with self._session.no_autoflush:
            found: str | None = await self._session.scalar(used.order_by(sku.c.sku).limit(1))
        return found


async def _free_slug(session: AsyncSession, column: Any, wanted: str, *conditions: Any) -> str:
    # Whoever wants the same slug at the same time waits here, and then sees this one taken.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{column.table}:{wanted}", 0))))
    numbered = f"{wanted}-"
    family = (column == wanted) | ((column >= numbered) & (column < f"{wanted}."))
    used = set(await session.scalars(select(column).where(family, *conditions)))
    if wanted not in used:
        return wanted
    number = 2
    while f"{numbered}{number}" in used:
        number += 1
    return f"{numbered}{number}"


@implements(Products)
class SqlProducts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, product_id: UUID) -> Product | None:
        return (await self._session.scalars(self._live(product_id))).one_or_none()

    async def lock(self, product_id: UUID) -> Product | None:
        return (await self._session.scalars(self._live(product_id).with_for_update())).one_or_none()

    async def add(self, fresh: Product) -> None:
        self._session.add(fresh)

    async def free_slug(self, wanted: str) -> str:
        return await _free_slug(self._session, product.c.slug, wanted, product.c.deleted_at.is_(None))

    @staticmethod
    def _live(product_id: UUID) -> Any:
        return select(Product).where(product.c.id == product_id, product.c.deleted_at.is_(None))


@implements(Categories)
class SqlCategories:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_tree(self) -> None:
        # The tenant's trees change shape one at a time: then a path that was read is still true when it is written.
        tenant = func.current_setting("app.tenant_id")
        key = func.hashtextextended(literal("catalog.category:").op("||")(tenant), 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def get(self, category_id: UUID) -> Category | None:
        return await self._session.get(Category, category_id)

    async def add(self, fresh: Category) -> None:
        self._session.add(fresh)

    async def remove(self, gone: Category) -> None:
        # A deleted product that still names the category would keep it alive for nobody.
        orphaned = update(product).where(product.c.category_id == gone.id, product.c.deleted_at.is_not(None))
        await self._session.execute(orphaned.values(category_id=None))
        await self._session.delete(gone)

    async def free_slug(self, wanted: str) -> str:
        return await _free_slug(self._session, category.c.slug, wanted)

    async def deepest_level(self, root: Category) -> int:
        deepest = select(func.max(category.c.depth)).where(below(category.c.path, root.path))
        return int(await self._session.scalar(deepest) or root.depth)

    async def is_empty(self, root: Category) -> bool:
        children = select(category.c.id).where(category.c.parent_id == root.id)
        goods = select(product.c.id).where(product.c.category_id == root.id, product.c.deleted_at.is_(None))
        return not await self._session.scalar(select(children.exists() | goods.exists()))

    async def rebase(self, old_path: str, moved: Category) -> None:
        new_path = func.substr(category.c.path, len(old_path) + 1)
        await self._session.execute(
            update(category)
            .where(below(category.c.path, old_path), category.c.id != moved.id)
            .values(path=literal(moved.path).op("||")(new_path))
            .execution_options(synchronize_session=False)
        )

    async def schema(self, category_id: UUID) -> tuple[AttributeDefinition, ...] | None:
        path = await self._session.scalar(select(category.c.path).where(category.c.id == category_id))
        if path is None:
            return None
        line = select(category.c.attributes).where(category.c.id == func.any(path_ids(path)))
        return inherited(await self._session.scalars(line.order_by(category.c.depth)))


@implements(ProductHistory)
class SqlProductHistory:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, entries: Sequence[ProductVersion]) -> None:
        rows = [{column.name: getattr(entry, column.name) for column in product_version.c} for entry in entries]
        known = ["tenant_id", "product_id", "version"]
        await self._session.execute(upsert(product_version).on_conflict_do_nothing(index_elements=known), rows)

    async def get(self, product_id: UUID, version: int) -> ProductVersion | None:
        wanted = select(product_version).filter_by(product_id=product_id, version=version)
        row = (await self._session.execute(wanted)).mappings().one_or_none()
        return None if row is None else ProductVersion(**row)


@implements(CatalogPolicies)
class SqlCatalogPolicies:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def moderation_required(self) -> bool:
        return bool(await self._session.scalar(select(policy.c.moderation_required)))

    async def require_moderation(self, tenant_id: UUID, *, required: bool) -> None:
        fresh = upsert(policy).values(tenant_id=tenant_id, moderation_required=required)
        await self._session.execute(
            fresh.on_conflict_do_update(index_elements=["tenant_id"], set_={"moderation_required": required})
        )
