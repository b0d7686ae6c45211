"""What a session sold: orders that were placed in it, as far as they are paid and not given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class SoldProduct:
    """Units of a product in an order of a session, and what they cost."""

    product_id: UUID
    sku: str
    quantity: int
    total_minor: int


@dataclass(frozen=True, kw_only=True)
class LivePurchase:
    """An order that was placed in a session; `counted_minor` is what it adds to the revenue, nothing where it is off."""

    order_id: UUID
    tenant_id: UUID
    session_id: UUID
    buyer: str
    currency: str
    counted_minor: int
    counts: bool
    products: Sequence[SoldProduct] = ()


class LivePurchases(Protocol):
    """Purchases for change; the session is locked before its purchases."""

    async def of_order(self, order_id: UUID) -> LivePurchase | None: ...

    async def keep(self, purchase: LivePurchase) -> None:
        """Write a purchase down, or what has become of it."""
        ...
