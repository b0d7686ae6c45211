"""What is offered under a SKU: the product, or one variant of it, in one row."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Text, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.catalog.tables import product, product_variant, sku
from data.database import Reads
from data.kernel import implements
from data.statements import Statement
from domain.catalog.lifecycle import ProductState, ProductType
from domain.catalog.offers import Offer, OfferReads
from domain.money import Money

OFFERS = Statement(
    select(
        sku.c.sku,
        sku.c.product_id,
        sku.c.variant_id,
        product.c.name,
        product_variant.c.name.label("variant_name"),
        func.coalesce(product_variant.c.price_minor, product.c.price_minor).label("price_minor"),
        product.c.currency,
        product.c.seller_id,
        product.c.store_id,
        product.c.category_id,
        product.c.brand,
        (product.c.state == ProductState.ACTIVE).label("active"),
        (product.c.product_type == ProductType.REGULATED).label("regulated"),
    )
    .join_from(sku, product, product.c.id == sku.c.product_id)
    .outerjoin(product_variant, product_variant.c.id == sku.c.variant_id)
    .where(
        and_(
            sku.c.sku == func.any(bindparam("keys", type_=ARRAY(Text))),
            product.c.deleted_at.is_(None),
            product_variant.c.deleted_at.is_(None),
        )
    )
)
_PLAIN = tuple(name for name in Offer.__dataclass_fields__ if name != "price")


@implements(OfferReads)
class SqlOfferReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_sku(self, skus: Sequence[str]) -> list[Offer | None]:
        return in_order(await self._reads.rows(OFFERS, keys=list(skus)), skus)


def in_order(rows: Iterable[Any], skus: Sequence[str]) -> list[Offer | None]:
    """Give an offer (or None) per SKU."""
    found = {row.sku: _offer(row) for row in rows}
    return [found.get(each) for each in skus]


def _offer(row: Any) -> Offer:
    price = None if row.price_minor is None else Money(row.price_minor, row.currency)
    return Offer(**{name: getattr(row, name) for name in _PLAIN}, price=price)
