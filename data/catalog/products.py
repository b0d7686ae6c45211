"""Reads of products and of their parts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import UnaryExpression

from data.catalog.paths import below, by_text
from data.catalog.tables import (
    category,
    policy,
    product,
    product_image,
    product_variant,
    product_version,
    regulated_product,
)
from data.database import Reads
from data.kernel import implements
from data.paging import Order, keyset
from data.statements import Statement
from domain.catalog.ports import Viewer
from domain.catalog.reads import ProductFilter, ProductReads, ProductSort
from domain.kernel import InvalidInput
from domain.money import Money
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_TEXTS = bindparam("keys", type_=ARRAY(Text))
# Written out, not bound: only a constant lets PostgreSQL use the indexes of active products.
_ACTIVE = product.c.state == literal_column("'active'")
_LIVE = product.c.deleted_at.is_(None)
_SEEN = and_(
    _LIVE,
    or_(
        _ACTIVE,
        bindparam("sees_all", type_=true().type),
        product.c.seller_id == bindparam("seller_id", type_=Uuid),
    ),
)

_price = func.coalesce(product_variant.c.price_minor, product.c.price_minor).label("price_minor")
_variants = (
    select(
        *(column for column in product_variant.c if column.name not in {"price_minor", "tenant_id", "deleted_at"}),
        _price,
        product_variant.c.price_minor.label("own_price_minor"),
        product.c.currency,
        product.c.seller_id,
    )
    .join(product, product.c.id == product_variant.c.product_id)
    .where(product_variant.c.deleted_at.is_(None), _SEEN)
)

_BY_ID = Statement(select(product).where(product.c.id == func.any(_IDS), _SEEN))
_BY_SKU = Statement(select(product).where(product.c.sku == func.any(_TEXTS), _SEEN))
_BY_SLUG = Statement(select(product).where(product.c.slug == func.any(_TEXTS), _SEEN))
_VARIANTS_OF = Statement(
    _variants.where(product_variant.c.product_id == func.any(_IDS)).order_by(
        product_variant.c.product_id, product_variant.c.position
    )
)
_VARIANTS_BY_ID = Statement(_variants.where(product_variant.c.id == func.any(_IDS)))
_VARIANTS_BY_SKU = Statement(_variants.where(product_variant.c.sku == func.any(_TEXTS)))
_IMAGES_OF = Statement(
    select(product_image)
    .where(product_image.c.product_id == func.any(_IDS))
    .order_by(product_image.c.product_id, product_image.c.position)
)
_DETAILS_OF = Statement(
    select(regulated_product, product.c.currency)
    .join(product, product.c.id == regulated_product.c.id)
    .where(regulated_product.c.id == func.any(_IDS))
)
_POLICY = Statement(select(policy.c.moderation_required))

_ORDERS: dict[ProductSort, list[Order]] = {
    ProductSort.NEWEST: [product.c.id.desc()],
    ProductSort.PRICE_ASC: [product.c.price_key, product.c.id],
    ProductSort.PRICE_DESC: [product.c.price_key.desc(), product.c.id.desc()],
    ProductSort.NAME: [product.c.name_key, product.c.id],
}


def _keys(sort: ProductSort) -> list[str]:
    return [str(getattr(order, "element", order).key) for order in _ORDERS[sort]]


def _same_way(order: Order, column: Any) -> Any:
    return column.desc() if isinstance(order, UnaryExpression) else column


def _eyes(viewer: Viewer) -> dict[str, Any]:
    return {"sees_all": viewer.sees_all, "seller_id": viewer.seller_id}


def _seen_by(viewer: Viewer) -> list[ColumnElement[bool]]:
    if viewer.sees_all:
        return [_LIVE]
    if viewer.seller_id is not None:
        return [_LIVE, or_(_ACTIVE, product.c.seller_id == viewer.seller_id)]
    return [_LIVE, _ACTIVE]


def _matching(wanted: ProductFilter, viewer: Viewer) -> Select[Any]:
    conditions = [
        *_seen_by(viewer),
        *(
            product.c[name] == value
            for name in ("product_type", "state", "seller_id", "store_id")
            if (value := getattr(wanted, name))
        ),
    ]
    if wanted.category_id is not None:
        conditions.append(_in_category(wanted.category_id))
    if wanted.brands:
        conditions.append(product.c.brand == func.any(list(wanted.brands)))
    if wanted.min_price is not None:
        conditions += _priced(wanted.min_price, product.c.price_key >= wanted.min_price.amount_minor)
    if wanted.max_price is not None:
        conditions += _priced(wanted.max_price, product.c.price_key <= wanted.max_price.amount_minor)
    if wanted.updated_since is not None:
        conditions.append(product.c.updated_at >= wanted.updated_since)
    if wanted.name_prefix:
        conditions += _starting_with(wanted.name_prefix)
    return select(product).where(*conditions)


def _priced(bound: Money, condition: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    return [product.c.currency == bound.currency, condition]


def _starting_with(prefix: str) -> list[ColumnElement[bool]]:
    # A range instead of LIKE: row-level security keeps LIKE from using an index.
    first = func.left(func.lower(prefix), 100)
    return [product.c.name_key >= first, product.c.name_key < first.op("||")("\U0010ffff")]


def _in_category(category_id: UUID) -> ColumnElement[bool]:
    return _in_branch(select(category.c.path).where(category.c.id == category_id).scalar_subquery())


def _in_branch(path: Any, *outer: Any) -> ColumnElement[bool]:
    branch = category.alias("branch")
    ids = select(branch.c.id).where(below(branch.c.path, path)).correlate(*outer)
    return product.c.category_id == func.any(func.array(ids.scalar_subquery()))


@implements(ProductReads)
class SqlProductReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids, **_eyes(viewer))

    async def by_sku(self, skus: Sequence[str], viewer: Viewer) -> list[Any | None]:
        return await by_text(self._reads, _BY_SKU, skus, "sku", **_eyes(viewer))

    async def by_slug(self, slugs: Sequence[str], viewer: Viewer) -> list[Any | None]:
        return await by_text(self._reads, _BY_SLUG, slugs, "slug", **_eyes(viewer))

    async def matching(self, wanted: ProductFilter, sort: ProductSort, page: PageRequest, viewer: Viewer) -> Page[Any]:
        return await keyset(self._reads, _matching(wanted, viewer), _ORDERS[sort], page)

    async def by_category(
        self,
        category_ids: Sequence[UUID],
        wanted: ProductFilter,
        sort: ProductSort,
        page: PageRequest,
        viewer: Viewer,
    ) -> list[Page[Any]]:
        goods = _matching(wanted, viewer)
        if len(category_ids) == 1:
            return [await keyset(self._reads, goods.where(_in_category(category_ids[0])), _ORDERS[sort], page)]
        if page.backward or page.after is not None:
            raise InvalidInput(field="after", reason="below a list of categories only the first page can be asked for")
        return await self._first_pages(category_ids, goods, sort, page)

    async def _first_pages(
        self, category_ids: Sequence[UUID], goods: Select[Any], sort: ProductSort, page: PageRequest
    ) -> list[Page[Any]]:
        """Read so many products of each category from its index, however many it has."""
        asked = select(category.c.id, category.c.path).where(category.c.id == func.any(list(category_ids))).subquery()
        ordered = goods.where(_in_branch(asked.c.path, asked)).order_by(*_ORDERS[sort]).limit(page.size + 1)
        found = ordered.lateral("found")
        again = [_same_way(order, found.c[key]) for order, key in zip(_ORDERS[sort], _keys(sort), strict=True)]
        rows = select(asked.c.id.label("asked_id"), found).select_from(asked.join(found, true()))
        groups: dict[UUID, list[Any]] = {}
        for row in await self._reads.rows(rows.order_by(asked.c.id, *again)):
            groups.setdefault(row.asked_id, []).append(row)
        return [self._first_page(groups.get(each, []), each, goods, sort, page) for each in category_ids]

    def _first_page(
        self, rows: list[Any], category_id: UUID, goods: Select[Any], sort: ProductSort, page: PageRequest
    ) -> Page[Any]:
        async def count() -> int:
            counted = goods.where(_in_category(category_id)).subquery()
            total = await self._reads.row(select(func.count().label("total")).select_from(counted))
            return int(total.total) if total else 0

        items = rows[: page.size]
        return Page(
            nodes=items,
            key_of=lambda item: [item[key] for key in _keys(sort)],
            has_next_page=len(rows) > page.size,
            has_previous_page=False,
            count=count,
        )

    async def variants_of(self, product_ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]:
        return await self._reads.grouped(_VARIANTS_OF, product_ids, "product_id", **_eyes(viewer))

    async def variants_by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]:
        return await self._reads.by_key(_VARIANTS_BY_ID, ids, **_eyes(viewer))

    async def variants_by_sku(self, skus: Sequence[str], viewer: Viewer) -> list[Any | None]:
        return await by_text(self._reads, _VARIANTS_BY_SKU, skus, "sku", **_eyes(viewer))

    async def images_of(self, product_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_IMAGES_OF, product_ids, "product_id")

    async def regulated_details_of(self, product_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_DETAILS_OF, product_ids)

    async def versions(self, product_id: UUID, page: PageRequest) -> Page[Any]:
        rows = select(product_version).where(product_version.c.product_id == product_id)
        return await keyset(self._reads, rows, [product_version.c.version.desc()], page)

    async def moderation_required(self) -> bool:
        row = await self._reads.row(_POLICY)
        return bool(row and row.moderation_required)
