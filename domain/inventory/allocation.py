"""Allocation: from which stores an order's units should come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from uuid import UUID

from domain.inventory.levels import InsufficientStock
from domain.inventory.reservations import StockClaim
from domain.kernel import InvalidInput

# Sets of stores are tried out up to this number of stores; beyond it the best next store is taken each time.
EXACT_STORES = 10
EXACT_PARCELS = 3
FAR_AWAY_KM = 40_075.0


class AllocationStrategy(StrEnum):
    """What matters most when several stores could send."""

    NEAREST = "nearest"
    FEWEST_PARCELS = "fewest_parcels"
    OLDEST_LOT_FIRST = "oldest_lot_first"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Units of a SKU, wherever they come from."""

    sku: str
    quantity: int

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidInput(field="quantity", reason="it must be positive")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A store that could send: what is available by SKU, how old its oldest lots are, and how far it is."""

    store_id: UUID
    available: Mapping[str, int]
    oldest: Mapping[str, datetime] = field(default_factory=dict)
    distance_km: float | None = None

    @property
    def distance(self) -> float:
        return FAR_AWAY_KM if self.distance_km is None else self.distance_km


Order = Callable[[Site, str], tuple[object, ...]]


def allocate(
    wanted: Sequence[Wanted], sites: Sequence[Site], strategy: AllocationStrategy = AllocationStrategy.NEAREST
) -> tuple[StockClaim, ...]:
    """Say how many units of each SKU come from which store; all of them or none.

    Raises: InsufficientStock for the first SKU of which all stores together have too few.
    """
    units: dict[str, int] = {}
    for each in wanted:
        units[each.sku] = units.get(each.sku, 0) + each.quantity
    for sku, quantity in units.items():
        available = sum(site.available.get(sku, 0) for site in sites)
        if available < quantity:
            raise InsufficientStock(sku=sku, requested=quantity, available=available)
    if strategy is AllocationStrategy.FEWEST_PARCELS:
        return _fill(units, _fewest(units, sites), _by_distance)
    return _fill(units, sites, _by_age if strategy is AllocationStrategy.OLDEST_LOT_FIRST else _by_distance)


def _fill(units: Mapping[str, int], sites: Sequence[Site], order: Order) -> tuple[StockClaim, ...]:
    claims = []
    for sku, quantity in units.items():
        missing = quantity
        for site in sorted(sites, key=lambda each, sku=sku: order(each, sku)):  # type: ignore[misc]
            taken = min(missing, site.available.get(sku, 0))
            if taken > 0:
                claims.append(StockClaim(store_id=site.store_id, sku=sku, quantity=taken))
                missing -= taken
    return tuple(claims)


def _by_distance(site: Site, _sku: str) -> tuple[object, ...]:
    return site.distance, site.store_id


def _by_age(site: Site, sku: str) -> tuple[object, ...]:
    oldest = site.oldest.get(sku)
    return oldest is None, oldest.timestamp() if oldest else 0.0, site.distance, site.store_id


def _fewest(units: Mapping[str, int], sites: Sequence[Site]) -> Sequence[Site]:
    """Give the smallest set of stores that has everything; of equals, the one with the shortest ways."""
    useful = [site for site in sites if any(site.available.get(sku, 0) > 0 for sku in units)]
    if len(useful) <= EXACT_STORES:
        for size in range(1, min(EXACT_PARCELS, len(useful)) + 1):
            able = [chosen for chosen in combinations(useful, size) if not _missing(units, chosen)]
            if able:
                return min(able, key=lambda chosen: (sum(site.distance for site in chosen), _names(chosen)))
    return _greedy(units, useful)


def _greedy(units: Mapping[str, int], sites: Sequence[Site]) -> Sequence[Site]:
    chosen: list[Site] = []
    rest = list(sites)
    while missing := _missing(units, chosen):
        best = max(rest, key=lambda site: (_covered(missing, site), -site.distance))
        rest.remove(best)
        chosen.append(best)
    return chosen


def _missing(units: Mapping[str, int], sites: Sequence[Site]) -> dict[str, int]:
    short = {sku: quantity - sum(site.available.get(sku, 0) for site in sites) for sku, quantity in units.items()}
    return {sku: quantity for sku, quantity in short.items() if quantity > 0}


def _covered(missing: Mapping[str, int], site: Site) -> int:
    return sum(min(quantity, site.available.get(sku, 0)) for sku, quantity in missing.items())


def _names(sites: Sequence[Site]) -> tuple[UUID, ...]:
    return tuple(sorted(site.store_id for site in sites))
