"""What bringing an order to its buyer costs: zones and methods of the stores, asked with what is in the cart."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from domain.catalog import Offer
from domain.delivery.geography import Geometry, Position
from domain.delivery.methods import OWN_FLEET, Parcel, PriceBasis
from domain.delivery.offers import (
    MAX_NOTES,
    NOT_ELIGIBLE,
    DeliveryOption,
    DeliveryPromise,
    DeliveryPromises,
    StoreTerms,
    delivery_options,
    free_slots,
)
from domain.delivery.slots import DeliverySlot, DeliverySlots
from domain.delivery.states import ProofKind
from domain.delivery.zones import Target
from domain.kernel import InvalidInput, NotFound, Work
from domain.money import Money
from domain.orders import DeliveryAddress
from domain.orders.cart_checkout import CheckoutPlan
from domain.orders.cart_parts import CartLine
from domain.tax import TaxPlace

MAX_ITEMS = 100


class ShippingFacts(Protocol):
    """What stores say about deliveries, and what goods weigh."""

    async def terms(self, store_ids: Collection[UUID]) -> Sequence[StoreTerms]:
        """Give the terms of all the stores, or nothing where none of them has any: then delivery is free, and everywhere."""
        ...

    async def weights(self, skus: Collection[str]) -> Mapping[str, int]:
        """Give the grams of those SKUs whose weight is known."""
        ...


class ShippingFactsReads(ShippingFacts, Protocol):
    """The same, to look at."""


@dataclass(frozen=True, kw_only=True)
class DeliveryChoice:
    """How a buyer wants to have it brought: of each store a method and a slot, where it offers several, and where the door is."""

    method_ids: tuple[UUID, ...] = ()
    slot_ids: tuple[UUID, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    notes: str | None = None

    @property
    def position(self) -> Position | None:
        if self.latitude is None or self.longitude is None:
            return None
        return Position(self.latitude, self.longitude)

    @classmethod
    def of(cls, plan: CheckoutPlan) -> "DeliveryChoice":
        """Give what was settled about it step by step."""
        return cls(
            method_ids=plan.shipping_method_ids,
            slot_ids=plan.slot_ids,
            latitude=plan.latitude,
            longitude=plan.longitude,
            notes=plan.delivery_notes,
        )


@dataclass(frozen=True, kw_only=True)
class DeliveryRequest:
    """What is asked of the stores of a cart."""

    terms: Sequence[StoreTerms]
    target: Target
    geometry: Geometry
    choice: DeliveryChoice
    weights: Mapping[str, int] = field(default_factory=dict)

    def choose(self, lines: Iterable[tuple[CartLine, Money]]) -> tuple[DeliveryOption, ...]:
        """Give of each store the way that was chosen, or else the cheapest.

        Raises: OutsideDeliveryArea, BeyondDeliveryRadius, MinimumOrderNotReached, NotFound.
        """
        parcels = _parcels(((line.store_id, line.sku, line.quantity, net) for line, net in lines), self.weights)
        offered = {
            terms.store_id: delivery_options(terms, self.target, parcels[terms.store_id], self.geometry)
            for terms in self.terms
            if terms.store_id in parcels and not _is_silent(terms)
        }
        unknown = set(self.choice.method_ids) - {each.method_id for found in offered.values() for each in found}
        if unknown:
            raise NotFound(kind="ShippingMethod", id=str(min(unknown)))
        return tuple(self._chosen(offered[store_id]) for store_id in sorted(offered))

    def _chosen(self, options: Sequence[DeliveryOption]) -> DeliveryOption:
        wanted = (each for each in options if each.method_id in self.choice.method_ids)
        return next(wanted, options[0])


async def delivery_request(
    choice: DeliveryChoice | None,
    address: DeliveryAddress | None,
    place: TaxPlace,
    lines: Sequence[CartLine],
    facts: ShippingFacts,
    geometry: Geometry,
) -> DeliveryRequest | None:
    """Say what is asked of the stores; None for what is picked up, and where no store says anything about deliveries.

    Raises: InvalidInput.
    """
    if address is None or not lines:
        return None
    chosen = choice or DeliveryChoice()
    if len(chosen.notes or "") > MAX_NOTES:
        raise InvalidInput(field="notes", reason=f"they have at most {MAX_NOTES:,} characters")
    terms = await facts.terms(sorted({line.store_id for line in lines}))
    if not terms:
        return None
    target = Target(
        country=place.country, region=place.province, postal_code=address.postal_code, position=chosen.position
    )
    weights = await _weights([line.sku for line in lines], terms, facts)
    return DeliveryRequest(terms=terms, target=target, geometry=geometry, choice=chosen, weights=weights)


async def keep_promises(
    order_id: UUID,
    store_ids: Collection[UUID],
    currency: str,
    options: Sequence[DeliveryOption],
    choice: DeliveryChoice | None,
    work: Work,
    promises: DeliveryPromises,
    slots: DeliverySlots,
) -> None:
    """Keep what was promised of each store until the order is paid, and take the places that the buyer chose.

    A store that says nothing about deliveries brings its goods for nothing.

    Raises: NotFound, SlotFull, SlotClosed.
    """
    chosen = choice or DeliveryChoice()
    booked: dict[UUID, DeliverySlot] = {}
    said = {each.store_id: each for each in options}
    for slot_id in sorted(set(chosen.slot_ids)):
        slot = await slots.lock(slot_id)
        if slot is None or slot.store_id not in store_ids or slot.store_id in booked:
            raise NotFound(kind="DeliverySlot", id=str(slot_id))
        slot.book(work.now)
        booked[slot.store_id] = slot
    kept = []
    for store_id in store_ids:
        each = said.get(store_id) or _free(store_id, currency)
        place = booked.get(each.store_id)
        kept.append(
            DeliveryPromise(
                tenant_id=work.tenant_id,
                order_id=order_id,
                store_id=each.store_id,
                method_id=each.method_id,
                zone_id=each.zone_id,
                slot_id=place.id if place else None,
                carrier=each.carrier,
                proof=each.proof,
                fee_minor=each.fee.amount_minor,
                currency=each.fee.currency,
                latitude=chosen.latitude,
                longitude=chosen.longitude,
                window_opens=place.starts_at if place else None,
                window_closes=place.ends_at if place else None,
                notes=chosen.notes,
            )
        )
    await promises.keep(kept)


async def break_promises(order_id: UUID, promises: DeliveryPromises, slots: DeliverySlots) -> None:
    """Give back what was promised for an order that came to nothing; again, it does nothing."""
    await free_slots({each.slot_id for each in await promises.take(order_id)}, slots)


@dataclass(frozen=True, kw_only=True)
class DeliveryItem:
    """Units of a SKU; without a store it is the one that its seller names."""

    sku: str
    quantity: int = 1
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryDestination:
    """As much of an address as a quote needs."""

    country: str
    province: str | None = None
    postal_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None

    @property
    def target(self) -> Target:
        place = TaxPlace.of(self.country, self.province)
        placed = self.latitude is not None and self.longitude is not None
        position = Position(self.latitude, self.longitude) if placed else None  # type: ignore[arg-type]  # see `placed`.
        return Target(country=place.country, region=place.province, postal_code=self.postal_code, position=position)


@dataclass(frozen=True, kw_only=True)
class RefusedDelivery:
    """Why a store does not deliver to an address, as an answer and not as an error."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class StoreDeliveryQuote:
    """How one store would bring its part, the cheapest way first, or why it would not."""

    store_id: UUID
    options: Sequence[DeliveryOption] = ()
    refusal: RefusedDelivery | None = None


async def delivery_quote(
    destination: DeliveryDestination,
    items: Sequence[DeliveryItem],
    offers: Sequence[Offer | None],
    facts: ShippingFacts,
    geometry: Geometry,
) -> list[StoreDeliveryQuote]:
    """Say how goods would be brought, store by store.

    Raises: NotFound, InvalidInput.
    """
    if not 1 <= len(items) <= MAX_ITEMS or any(each.quantity < 1 for each in items):
        raise InvalidInput(field="items", reason=f"there are between 1 and {MAX_ITEMS}, of at least one unit each")
    sold = [_sold(item, offer) for item, offer in zip(items, offers, strict=True)]
    store_ids = sorted({store_id for store_id, _, _, _ in sold})
    terms = {each.store_id: each for each in await facts.terms(store_ids)}
    weights = await _weights([each.sku for each in items], list(terms.values()), facts)
    parcels = _parcels(sold, weights)
    return [
        _quoted(terms.get(store_id) or StoreTerms(store_id=store_id), destination.target, parcels[store_id], geometry)
        for store_id in store_ids
    ]


def _quoted(terms: StoreTerms, target: Target, parcel: Parcel, geometry: Geometry) -> StoreDeliveryQuote:
    if _is_silent(terms):
        return StoreDeliveryQuote(store_id=terms.store_id, options=(_free(terms.store_id, parcel.goods.currency),))
    try:
        options = delivery_options(terms, target, parcel, geometry)
    except NOT_ELIGIBLE as refusal:
        told = RefusedDelivery(code=refusal.code, message=refusal.message)
        return StoreDeliveryQuote(store_id=terms.store_id, refusal=told)
    return StoreDeliveryQuote(store_id=terms.store_id, options=options)


def _is_silent(terms: StoreTerms) -> bool:
    return not terms.zones and not terms.methods


def _free(store_id: UUID, currency: str) -> DeliveryOption:
    return DeliveryOption(
        store_id=store_id,
        method_id=None,
        name="Delivery",
        carrier=OWN_FLEET,
        zone_id=None,
        fee=Money(0, currency),
        estimated_minutes=None,
        min_transit_days=0,
        max_transit_days=0,
        proof=ProofKind.NONE,
    )


def _sold(item: DeliveryItem, offer: Offer | None) -> tuple[UUID, str, int, Money]:
    store_id = item.store_id or (offer.store_id if offer else None)
    if offer is None or not offer.active or offer.price is None or store_id is None:
        raise NotFound(kind="Product", id=item.sku)
    return store_id, item.sku, item.quantity, offer.price * item.quantity


def _parcels(sold: Iterable[tuple[UUID, str, int, Money]], weights: Mapping[str, int]) -> dict[UUID, Parcel]:
    goods: dict[UUID, Money] = {}
    grams: dict[UUID, int] = {}
    for store_id, sku, quantity, net in sold:
        goods[store_id] = goods[store_id] + net if store_id in goods else net
        grams[store_id] = grams.get(store_id, 0) + weights.get(sku, 0) * quantity
    return {store_id: Parcel(goods=net, weight_grams=grams[store_id]) for store_id, net in goods.items()}


async def _weights(skus: Collection[str], terms: Sequence[StoreTerms], facts: ShippingFacts) -> Mapping[str, int]:
    by_weight = any(method.basis is PriceBasis.WEIGHT for each in terms for method in each.methods)
    return await facts.weights(skus) if by_weight else {}
