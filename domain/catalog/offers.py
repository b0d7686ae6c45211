"""What a buyer gets under a SKU, and for how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.money import Money


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A product or one of its variants, as it stands in the catalogue now, under its seller's base price.

    `store_id` is the store that its seller names for it. What is regulated asks for a minimum age, which depends on where
    the buyer is.
    """

    product_id: UUID
    variant_id: UUID | None
    sku: str
    name: str
    variant_name: str | None
    price: Money | None
    seller_id: UUID
    store_id: UUID | None
    category_id: UUID | None
    brand: str
    active: bool
    regulated: bool


class OfferReads(Protocol):
    """Offers to look at."""

    async def by_sku(self, skus: Sequence[str]) -> list[Offer | None]: ...
