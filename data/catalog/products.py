"""Reads of products and of their parts."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
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
from data.paging import PAGE_SIZE, Listing, Order, equals, first_page
from data.statements import Statement
from domain.catalog.ports import Viewer
from domain.catalog.reads import ProductFilter, ProductReads, ProductSort
from domain.kernel import InvalidInput
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


def _eyes(viewer: Viewer) -> dict[str, Any]:
    return {"sees_all": viewer.sees_all, "seller_id": viewer.seller_id}


class _Branches(Listing):
    """A list that can be asked for below a category: so many of each category of the branch are read in order, and the first of all shown.

    However large the branch and the catalogue, an index has them in that order.
    """

    def _page_statement(
        self, names: tuple[str, ...], sort: Any, after: bool, before: bool, backward: bool
    ) -> Statement:
        top = next((name for name in ("in_category", "category_id") if name in names), None)
        if top is None:
            return super()._page_statement(names, sort, after, before, backward)
        order = self.orders[sort]
        path = select(category.c.path).where(category.c.id == bindparam(top, type_=Uuid)).scalar_subquery()
        branch = select(category.c.id).where(below(category.c.path, path)).subquery("branch")
        if not any(column is product.c.price_key for column in order.columns):
            # A plan for any prices takes the index by price, and sorts all that it finds.
            names = tuple(_PLAIN_PRICES.get(name, name) for name in names)
        goods = self.select(name for name in names if name != top).where(product.c.category_id == branch.c.id)
        ordered = order.beyond(goods, after=after, before=before).order_by(*order.directed(backward=backward))
        found = ordered.limit(PAGE_SIZE).lateral("found")
        rows = select(found).select_from(branch.join(found, true()))
        return Statement(rows.order_by(*order.directed(backward=backward, columns=found.c)).limit(PAGE_SIZE))


def _in_category(category_id: Any) -> ColumnElement[bool]:
    return _in_branch(select(category.c.path).where(category.c.id == category_id).scalar_subquery())


def _in_branch(path: Any, *outer: Any) -> ColumnElement[bool]:
    branch = category.alias("branch")
    ids = select(branch.c.id).where(below(branch.c.path, path)).correlate(*outer)
    return product.c.category_id == func.any(func.array(ids.scalar_subquery()))


_PLAIN_PRICES = {"min_price": "min_price_by_itself", "max_price": "max_price_by_itself"}
_price_itself = product.c.price_key.op("+")(literal_column("0"))
_currency = product.c.currency == bindparam("currency")
# A range instead of LIKE: row-level security keeps LIKE from using an index.
_prefix = func.left(func.lower(bindparam("name_prefix", type_=Text)), 100)
_PRODUCTS = _Branches(
    select(product).where(_LIVE),
    _ORDERS,
    by_the_public=_ACTIVE,
    by_seller=or_(_ACTIVE, product.c.seller_id == bindparam("by_seller", type_=Uuid)),
    **equals(product.c.product_type, product.c.state, product.c.seller_id, product.c.store_id),
    brands=product.c.brand == func.any(bindparam("brands", type_=ARRAY(Text))),
    min_price=and_(_currency, product.c.price_key >= bindparam("min_price", type_=product.c.price_key.type)),
    max_price=and_(_currency, product.c.price_key <= bindparam("max_price", type_=product.c.price_key.type)),
    min_price_by_itself=and_(_currency, _price_itself >= bindparam("min_price", type_=product.c.price_key.type)),
    max_price_by_itself=and_(_currency, _price_itself <= bindparam("max_price", type_=product.c.price_key.type)),
    updated_since=product.c.updated_at >= bindparam("updated_since"),
    name_prefix=and_(
        product.c.name_key >= _prefix, product.c.name_key < _prefix.op("||")(literal_column("'\U0010ffff'"))
    ),
    category_id=_in_category(bindparam("category_id", type_=Uuid)),
    in_category=_in_category(bindparam("in_category", type_=Uuid)),
)
_VERSIONS = Listing(
    select(product_version).where(product_version.c.product_id == bindparam("product_id")),
    [product_version.c.version.desc()],
)


def _wanted(wanted: ProductFilter, viewer: Viewer) -> dict[str, Any]:
    given = {
        "by_the_public": True if not viewer.sees_all and viewer.seller_id is None else None,
        "by_seller": None if viewer.sees_all else viewer.seller_id,
        "brands": list(wanted.brands) or None,
        "name_prefix": wanted.name_prefix or None,
        **{
            name: getattr(wanted, name)
            for name in ("product_type", "state", "seller_id", "store_id", "updated_since", "category_id")
        },
    }
    for name in ("min_price", "max_price"):
        if bound := getattr(wanted, name):
            given |= {name: bound.amount_minor, "currency": bound.currency}
    return given


@lru_cache(maxsize=128)
def _first_of_each(names: tuple[str, ...], sort: ProductSort) -> Statement:
    """Read so many products of each category from its index, however many it has."""
    order = _PRODUCTS.orders[sort]
    asked = select(category.c.id, category.c.path).where(category.c.id == func.any(_IDS)).subquery()
    goods = _PRODUCTS.select(names).where(_in_branch(asked.c.path, asked))
    found = goods.order_by(*order.directed()).limit(bindparam("size", type_=Integer)).lateral("found")
    rows = select(asked.c.id.label("asked_id"), found).select_from(asked.join(found, true()))
    return Statement(rows.order_by(asked.c.id, *order.directed(columns=found.c)))


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
        return await _PRODUCTS.page(self._reads, page, sort, **_wanted(wanted, viewer))

    async def by_category(
        self,
        category_ids: Sequence[UUID],
        wanted: ProductFilter,
        sort: ProductSort,
        page: PageRequest,
        viewer: Viewer,
    ) -> list[Page[Any]]:
        given = _wanted(wanted, viewer)
        if len(category_ids) == 1:
            return [await _PRODUCTS.page(self._reads, page, sort, in_category=category_ids[0], **given)]
        if page.backward or page.after is not None:
            raise InvalidInput(field="after", reason="below a list of categories only the first page can be asked for")
        given = {name: value for name, value in given.items() if value is not None}
        groups = await self._reads.grouped(
            _first_of_each(tuple(given), sort), category_ids, "asked_id", size=page.size + 1, **given
        )
        return [
            first_page(
                rows,
                _PRODUCTS.orders[sort],
                page,
                partial(_PRODUCTS.count, self._reads, in_category=category_id, **given),
            )
            for category_id, rows in zip(category_ids, groups, strict=True)
        ]

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
        return await _VERSIONS.page(self._reads, page, product_id=product_id)

    async def moderation_required(self) -> bool:
        row = await self._reads.row(_POLICY)
        return bool(row and row.moderation_required)
