"""What a store offers for an address: who brings it, when, and for how much; and what was promised to a buyer."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.delivery.geography import Geometry, Position, distance_metres
from domain.delivery.methods import OWN_FLEET, Parcel, ShippingMethod
from domain.delivery.slots import DeliverySlots
from domain.delivery.states import ProofKind
from domain.delivery.zones import DeliveryZone, Target
from domain.kernel import DomainError, uuid7
from domain.money import Money

MAX_NOTES = 1_000


@dataclass(eq=False)
class OutsideDeliveryArea(DomainError):
    """No zone of the store has the address in it, and no carrier goes there."""

    store_id: str
    template = "Store {store_id} does not deliver to this address."


@dataclass(eq=False)
class BeyondDeliveryRadius(DomainError):
    """The address is farther from the store than it delivers, as the crow flies."""

    store_id: str
    distance_km: float
    radius_km: int
    template = "The address is {distance_km} km from store {store_id}, which delivers up to {radius_km} km."


@dataclass(eq=False)
class MinimumOrderNotReached(DomainError):
    """The goods cost less than the zone asks for, in minor units."""

    store_id: str
    minimum_minor: int
    actual_minor: int
    currency: str
    template = "Deliveries from store {store_id} begin at {minimum_minor} (in minor units of {currency})."


NOT_ELIGIBLE = (OutsideDeliveryArea, BeyondDeliveryRadius, MinimumOrderNotReached)


@dataclass(frozen=True, kw_only=True)
class StoreTerms:
    """All that one store says about deliveries; a radius of 0 km sets no limit."""

    store_id: UUID
    zones: Sequence[DeliveryZone] = ()
    methods: Sequence[ShippingMethod] = ()
    position: Position | None = None
    radius_km: int = 0


@dataclass(frozen=True, kw_only=True)
class DeliveryOption:
    """A way in which a store would deliver a parcel; what its own fleet takes is told in minutes, a carrier in days."""

    store_id: UUID
    method_id: UUID | None
    name: str
    carrier: str
    zone_id: UUID | None
    fee: Money
    estimated_minutes: int | None
    min_transit_days: int
    max_transit_days: int
    proof: ProofKind


@dataclass(frozen=True, kw_only=True)
class DeliveryPromise:
    """What a store has promised for an order that is not paid yet; it holds a place in its slot."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    order_id: UUID
    store_id: UUID
    method_id: UUID | None
    zone_id: UUID | None
    slot_id: UUID | None
    carrier: str
    proof: ProofKind
    fee_minor: int
    currency: str
    latitude: float | None = None
    longitude: float | None = None
    window_opens: datetime | None = None
    window_closes: datetime | None = None
    notes: str | None = None


class DeliveryPromises(Protocol):
    """Promises, which end when the delivery is made, or the order comes to nothing."""

    async def keep(self, promises: Sequence[DeliveryPromise]) -> None: ...

    async def take(self, order_id: UUID, store_id: UUID | None = None) -> Sequence[DeliveryPromise]:
        """Remove the promises of an order, or of one of its stores, and give them; of two who try, one gets them."""
        ...


def zone_for(terms: StoreTerms, target: Target, goods: Money, geometry: Geometry) -> DeliveryZone:
    """Give the cheapest zone that delivers so many goods to an address; of equals, the faster one.

    Raises: OutsideDeliveryArea, MinimumOrderNotReached.
    """
    here = [each for each in terms.zones if each.is_active and each.currency == goods.currency]
    here = [each for each in here if each.covers(target, geometry)]
    if not here:
        raise OutsideDeliveryArea(store_id=str(terms.store_id))
    affordable = [each for each in here if each.minimum_order_minor <= goods.amount_minor]
    if not affordable:
        raise MinimumOrderNotReached(
            store_id=str(terms.store_id),
            minimum_minor=min(each.minimum_order_minor for each in here),
            actual_minor=goods.amount_minor,
            currency=goods.currency,
        )
    return min(affordable, key=lambda each: (each.fee_minor, each.estimated_minutes, each.id))


def delivery_options(
    terms: StoreTerms, target: Target, parcel: Parcel, geometry: Geometry
) -> tuple[DeliveryOption, ...]:
    """Give the ways in which a store delivers to an address, the cheapest first: at least one.

    Raises: OutsideDeliveryArea, BeyondDeliveryRadius, MinimumOrderNotReached.
    """
    refusal: DomainError = OutsideDeliveryArea(store_id=str(terms.store_id))
    found = [
        _option(terms, each, fee)
        for each in terms.methods
        if each.is_active and not each.is_own_fleet and each.reaches(target)
        if (fee := each.cost(parcel, None)) is not None
    ]
    try:
        found += _by_own_fleet(terms, target, parcel, geometry)
    except NOT_ELIGIBLE as own:
        refusal = own
    if not found:
        raise refusal
    return tuple(sorted(found, key=lambda each: (each.fee.amount_minor, each.max_transit_days, each.name)))


def _by_own_fleet(terms: StoreTerms, target: Target, parcel: Parcel, geometry: Geometry) -> list[DeliveryOption]:
    own = [each for each in terms.methods if each.is_own_fleet and each.is_active]
    if not terms.zones and not own:
        return []
    _check_radius(terms, target)
    zone = zone_for(terms, target, parcel.goods, geometry) if terms.zones else None
    if zone is not None and not own:
        return [_zone_option(terms, zone)]
    fees = ((each, each.cost(parcel, zone.fee_minor if zone else None)) for each in own)
    return [_option(terms, each, fee, zone) for each, fee in fees if fee is not None]


def _check_radius(terms: StoreTerms, target: Target) -> None:
    if not terms.radius_km or terms.position is None or target.position is None:
        return
    away_km = distance_metres(terms.position, target.position) / 1_000
    if away_km > terms.radius_km:
        raise BeyondDeliveryRadius(
            store_id=str(terms.store_id), distance_km=round(away_km, 1), radius_km=terms.radius_km
        )


def _option(terms: StoreTerms, method: ShippingMethod, fee: Money, zone: DeliveryZone | None = None) -> DeliveryOption:
    return DeliveryOption(
        store_id=terms.store_id,
        method_id=method.id,
        name=method.name,
        carrier=method.carrier,
        zone_id=zone.id if zone else None,
        fee=fee,
        estimated_minutes=zone.estimated_minutes if zone else None,
        min_transit_days=method.min_transit_days,
        max_transit_days=method.max_transit_days,
        proof=method.proof,
    )


def _zone_option(terms: StoreTerms, zone: DeliveryZone) -> DeliveryOption:
    return DeliveryOption(
        store_id=terms.store_id,
        method_id=None,
        name=zone.name,
        carrier=OWN_FLEET,
        zone_id=zone.id,
        fee=Money(zone.fee_minor, zone.currency),
        estimated_minutes=zone.estimated_minutes,
        min_transit_days=0,
        max_transit_days=0,
        proof=ProofKind.NONE,
    )


async def free_slots(slot_ids: Collection[UUID | None], slots: DeliverySlots) -> None:
    """Give places in slots back."""
    for slot_id in sorted(each for each in slot_ids if each is not None):
        slot = await slots.lock(slot_id)
        if slot is not None:
            slot.free()
