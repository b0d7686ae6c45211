"""From which stores the goods of a cart come: from one that has enough, and where none has, from several."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.catalog import Offer
from domain.inventory import AllocationStrategy, InsufficientStock, Site, StockClaim, Wanted, allocate
from domain.orders.carts import Cart
from domain.tenancy import GeoLocation, distance_km

STRATEGY_SETTING = "allocation_strategy"
"""The tenant's setting that says what matters most where several stores have to send; few parcels, where it says nothing."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """How many units of a SKU a store could still sell."""

    store_id: UUID
    sku: str
    available: int


@dataclass(frozen=True, kw_only=True)
class StockedStore:
    """A store that could send units of a SKU: how old its oldest lot is, and where it stands."""

    store_id: UUID
    available: int
    oldest: datetime | None = None
    location: GeoLocation | None = None


class Shelves(Protocol):
    """Which stores have which goods; what a suspended store has, nobody can buy."""

    async def of_skus(self, skus: Sequence[str]) -> Sequence[Shelf]: ...

    async def stocked(self, sku: str) -> tuple[AllocationStrategy, Sequence[StockedStore]]:
        """Give the stores that have a SKU, and by which strategy the tenant chooses among them."""
        ...


async def places_for(
    cart: Cart, offer: Offer, quantity: int, store_id: UUID | None, stock: Sequence[Shelf], shelves: Shelves
) -> Sequence[StockClaim]:
    """Say how many units come from which store: all from one, if one has enough; from several only where no store is named.

    Raises: InsufficientStock.
    """
    free = {
        shelf.store_id: max(shelf.available - cart.units_of(offer.sku, shelf.store_id), 0)
        for shelf in stock
        if shelf.sku == offer.sku and store_id in {None, shelf.store_id}
    }
    if any(units >= quantity for units in free.values()):
        chosen = _one_of(cart, offer, quantity, free)
        return [StockClaim(store_id=chosen, sku=offer.sku, quantity=quantity)]
    if sum(free.values()) < quantity:
        raise InsufficientStock(sku=offer.sku, requested=quantity, available=sum(free.values()))
    return await _several(offer, quantity, free, shelves)


def _one_of(cart: Cart, offer: Offer, quantity: int, free: dict[UUID, int]) -> UUID:
    """Choose among the stores with enough: one the cart buys it from already, then the seller's own, then the fullest."""
    return max(
        (store_id for store_id, units in free.items() if units >= quantity),
        key=lambda store_id: (
            cart.units_of(offer.sku, store_id) > 0,
            store_id == offer.store_id,
            free[store_id],
            store_id.int,
        ),
    )


async def _several(offer: Offer, quantity: int, free: dict[UUID, int], shelves: Shelves) -> Sequence[StockClaim]:
    strategy, stores = await shelves.stocked(offer.sku)
    # Distances count from the seller's own store, where the parcels can be put together.
    home = next((each.location for each in stores if each.store_id == offer.store_id), None)
    sites = [
        Site(
            store_id=each.store_id,
            available={offer.sku: free[each.store_id]},
            oldest={} if each.oldest is None else {offer.sku: each.oldest},
            distance_km=distance_km(home, each.location) if home and each.location else None,
        )
        for each in stores
        if each.store_id in free
    ]
    return allocate([Wanted(sku=offer.sku, quantity=quantity)], sites, strategy)
