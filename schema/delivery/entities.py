"""What stores offer, deliveries with their drivers and tours, and what is told of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from domain.delivery import addresses as postal
from domain.delivery import (
    batches,
    deliveries,
    drivers,
    methods,
    offers,
    positions,
    slots,
    states,
    zones,
)
from domain.delivery import eta as estimating
from domain.delivery import tracking as public
from domain.processes import shipping
from resolvers import delivery as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    Node,
    bulk,
    computed,
    money,
    money_of,
    permission,
)
from schema.scalars import JSON

DRIVE = permission(drivers.DRIVE)
DISPATCH = permission(drivers.DISPATCH)
MANAGE = permission(drivers.MANAGE)

for _choices in (
    states.DeliveryState,
    states.DeliveryMode,
    states.DriverStatus,
    states.VehicleType,
    states.BatchState,
    states.FailureReason,
    states.ProofKind,
    methods.PriceBasis,
    positions.PositionRefusal,
    postal.AddressField,
    postal.AddressProblemKind,
):
    enum_of(_choices)


def _amounts(_context: Context, amounts: Sequence[tuple[int, str]]) -> list[Money]:
    return [money(*amount) for amount in amounts]


def _price(column: str, **options: Any) -> Any:
    return computed(_amounts, Money, key=(column, "currency"), **options)


@strawberry.type(description="A part of the map in which a store delivers.")
class DeliveryZone(Node):
    __reads__ = (zones.DeliveryZone,)

    id: UUID
    version: int
    store_id: UUID
    name: str
    postal_codes: list[str] = strawberry.federation.field(
        description="With ? for any one character, and * at the end for any rest."
    )
    area: JSON | None = strawberry.federation.field(description="A GeoJSON Polygon or MultiPolygon.")
    fee = _price("fee_minor")
    minimum_order = _price("minimum_order_minor")
    estimated_minutes: int
    is_active: bool


@strawberry.type(description="Up to so many grams, or minor units of value, it costs so much.")
class ShippingStep:
    up_to: int | None = strawberry.federation.field(description="Null is without an end.")
    fee_minor: int


@strawberry.type(description="A way to send something, and what it costs.")
class ShippingMethod(Node):
    __reads__ = (methods.ShippingMethod,)

    id: UUID
    version: int
    store_id: UUID | None
    name: str
    carrier: str
    basis: methods.PriceBasis
    fee = _price("fee_minor")
    steps: list[ShippingStep]
    countries: list[str]
    min_transit_days: int
    max_transit_days: int
    proof: states.ProofKind
    is_active: bool


@strawberry.type(description="A spell of a day in which a store delivers.")
class DeliverySlot(Node):
    __reads__ = (slots.DeliverySlot,)

    id: UUID
    version: int
    store_id: UUID
    day: date
    starts_at: datetime
    ends_at: datetime
    capacity: int
    available: int = strawberry.federation.field(description="Places that nobody has booked.")


@strawberry.type(description="The slots that were opened.")
class OpenedSlots:
    __reads__ = (resolvers.OpenedSlots,)

    slots: list[DeliverySlot]


@strawberry.type(description="A way in which a store would bring something to an address.")
class DeliveryOption:
    __reads__ = (offers.DeliveryOption,)

    method_id: UUID | None = strawberry.federation.field(description="Null where a zone is delivered to without one.")
    name: str
    carrier: str
    zone_id: UUID | None
    fee = computed(lambda option, _context: money_of(option.fee), Money)
    estimated_minutes: int | None
    min_transit_days: int
    max_transit_days: int
    proof: states.ProofKind


@strawberry.federation.type(keys=["id"])
class Store:
    id: UUID
    zones: list[DeliveryZone] = bulk(resolvers.zones_of_stores, key="id", who=PUBLIC)
    slots: list[DeliverySlot] = bulk(resolvers.slots_of_stores, key="id", who=PUBLIC)


@strawberry.type(description="Why a store does not deliver to an address.")
class DeliveryRefusal:
    code: str
    message: str


@strawberry.type(description="How one store would bring its part, the cheapest way first, or why it would not.")
class StoreDeliveryQuote:
    __reads__ = (shipping.StoreDeliveryQuote,)

    store = computed(lambda quote, _context: Store(id=quote.store_id), Store | None)
    options: list[DeliveryOption]
    refusal: DeliveryRefusal | None


@strawberry.type(description="A part of an address that is wrong, with what would be right, the likeliest first.")
class AddressProblem:
    __reads__ = (postal.AddressProblem,)

    field: postal.AddressField
    kind: postal.AddressProblemKind
    suggestions: list[str]


@strawberry.type(description="A postal address, written as its country writes it.")
class CheckedAddress:
    __reads__ = (postal.DeliveryAddress,)

    country: str
    street: list[str]
    city: str
    region: str
    district: str
    postal_code: str
    sorting_code: str
    recipient: str
    company: str


@strawberry.type(description="Whether an address can be delivered to.")
class AddressCheck:
    __reads__ = (postal.AddressCheck,)

    is_deliverable: bool
    address: CheckedAddress
    problems: list[AddressProblem]
    label: str = strawberry.federation.field(description="What is written on the parcel, line by line.")


@strawberry.type(description="Somebody who delivers.")
class Driver:
    __reads__ = (drivers.Driver,)

    user_id: UUID
    store_id: UUID | None
    status: states.DriverStatus
    vehicle_type: states.VehicleType | None
    changed_at: datetime | None


@strawberry.type(description="When a driver is expected; four of five come within the band.")
class DeliveryEta:
    __reads__ = (estimating.Arrival,)

    earliest: datetime
    expected: datetime
    latest: datetime


@strawberry.type(description="Where a delivery goes.")
class DeliveryDoor:
    name: str | None
    street_line1: str
    street_line2: str | None
    city: str
    province: str | None
    postal_code: str | None
    country: str
    phone: str | None


@strawberry.type(description="Something that happened to a delivery.")
class DeliveryEvent:
    id: UUID
    name: str
    state: str | None
    fence: str | None
    reason: str | None
    note: str | None
    user_id: UUID | None
    at = computed(lambda step, _context: public.moment_of(step), datetime)


@strawberry.type(description="What a carrier saw.")
class CarrierScan:
    scan_id: str
    status: str
    state: states.DeliveryState | None
    at: datetime
    description: str | None


@strawberry.type(description="How it was shown that the goods were handed over.")
class DeliveryProof:
    signature_key: str | None
    photo_key: str | None
    recipient: str | None
    code_given: bool
    metres_from_door: int | None


def _proof(delivery: Any, _context: Context) -> DeliveryProof | None:
    if delivery.state != states.DeliveryState.DELIVERED:
        return None
    kept = delivery.proof or {}
    return DeliveryProof(
        signature_key=delivery.signature_key,
        photo_key=delivery.photo_key,
        recipient=kept.get("recipient"),
        code_given=bool(kept.get("code_given")),
        metres_from_door=kept.get("metres_from_door"),
    )


def _code(delivery: Any, context: Context) -> str | None:
    """Show the code to whoever is to tell it, and never to whoever is to hear it."""
    mine = delivery.customer_id is not None and delivery.customer_id == context.principal.user_id
    return delivery.code if mine else None


@strawberry.federation.type(keys=["id"], description="What one store sends for an order, on its way to the door.")
class Delivery(Node):
    __references__ = {"id": resolvers.deliveries_by_id}
    __reads__ = (deliveries.Delivery,)

    id: UUID
    version: int
    order_id: UUID
    sub_order_id: UUID
    order_number: str
    store = computed(lambda delivery, _context: Store(id=delivery.store_id), Store | None)
    mode: states.DeliveryMode
    state: states.DeliveryState
    tracking_number: str = strawberry.federation.field(description="Whoever has it may follow the delivery.")
    address: DeliveryDoor
    latitude: float | None
    longitude: float | None
    distance_km: float | None
    fee = _price("fee_minor")
    notes: str | None
    window_opens: datetime | None
    window_closes: datetime | None
    proof_kind: states.ProofKind
    age_restricted: bool = strawberry.federation.field(
        description="Then a signature or a photo is asked for in any case."
    )
    code = computed(_code, str | None, description="What the recipient tells the driver; only the customer sees it.")
    driver_id: UUID | None
    driver: Driver | None = bulk(resolvers.drivers_by_user, key="driver_id", who=PUBLIC)
    vehicle_type: states.VehicleType | None
    batch_id: UUID | None
    place_in_batch: int | None
    carrier: str | None
    carrier_reference: str | None
    label_url: str | None
    is_arriving: bool
    attempts: int
    failure_reason: states.FailureReason | None
    proof = computed(_proof, DeliveryProof | None)
    made_at: datetime
    started_at: datetime | None
    delivered_at: datetime | None
    eta: DeliveryEta | None = bulk(resolvers.arrivals_of_deliveries, key="id", who=PUBLIC)
    events: list[DeliveryEvent] = bulk(resolvers.history_of_deliveries, key="id", who=PUBLIC)
    scans: list[CarrierScan] = bulk(resolvers.scans_of_deliveries, key="id", who=PUBLIC)


@strawberry.federation.type(keys=["id"])
class Order:
    id: UUID
    delivery: Delivery | None = bulk(
        resolvers.delivery_of_orders, key="id", who=AUTHENTICATED, description="The first that was not called off."
    )
    deliveries: list[Delivery] = bulk(resolvers.deliveries_of_orders, key="id", who=AUTHENTICATED)


@strawberry.type(description="When a tour reaches a door.")
class BatchStop:
    delivery_id: UUID
    arrives_at: datetime
    metres: int


@strawberry.type(description="A delivery for which a tour had no room.")
class BatchLeftOut:
    delivery_id: UUID
    reason: str


def _stops(batch: Any, _context: Context) -> list[BatchStop]:
    return [
        BatchStop(
            delivery_id=UUID(each["delivery_id"]),
            arrives_at=datetime.fromisoformat(each["arrives_at"]),
            metres=each["metres"],
        )
        for each in batch.route
    ]


def _left_out(batch: Any, _context: Context) -> list[BatchLeftOut]:
    return [BatchLeftOut(delivery_id=UUID(each["delivery_id"]), reason=each["reason"]) for each in batch.left_out]


@strawberry.type(description="Several deliveries that one driver takes in one go.")
class DeliveryBatch(Node):
    __reads__ = (batches.DeliveryBatch,)

    id: UUID
    version: int
    store_id: UUID
    state: states.BatchState
    driver_id: UUID | None
    deliveries: list[Delivery] = bulk(resolvers.deliveries_of_batches, key="id", who=PUBLIC)
    stops = computed(_stops, list[BatchStop])
    left_out = computed(_left_out, list[BatchLeftOut])
    distance_metres: int | None
    duration_seconds: int | None
    requested_at: datetime | None = strawberry.federation.field(
        description="Set while a worker looks for the best order."
    )
    made_at: datetime


@strawberry.type(description="What a dispatcher has before them: what is to be delivered, and who could.")
class DispatchOverview:
    __reads__ = (resolvers.DispatchOverview,)

    store_id: UUID
    deliveries: list[Delivery]
    drivers: list[Driver]


@strawberry.type(description="How many deliveries came within what was agreed.")
class OnTimeRate:
    __reads__ = (resolvers.OnTimeRate,)

    delivered: int
    timed: int = strawberry.federation.field(description="Of the delivered, those for which a time was agreed.")
    on_time: int
    rate: float | None = strawberry.federation.field(description="On time as a fraction of the timed, 0 to 1.")


@strawberry.type(description="A position that was not believed.")
class RejectedPosition:
    __reads__ = (positions.RejectedPosition,)

    index: int = strawberry.federation.field(description="Its place among those that were told, from 0.")
    reason: positions.PositionRefusal


@strawberry.type(description="What became of the positions that a device told.")
class LocationReceipt:
    __reads__ = (positions.LocationReceipt,)

    accepted: int
    rejections: list[RejectedPosition]


@strawberry.type(description="A place, rounded to about a hundred metres.")
class TrackedPlace:
    __reads__ = (public.TrackedPlace,)

    latitude: float
    longitude: float
    at: datetime | None


@strawberry.type(description="Something that happened on the way.")
class TrackedDeliveryStep:
    __reads__ = (public.TrackedDeliveryStep,)

    step: str
    at: datetime


@strawberry.type(description="How far a delivery is, for whoever has its number; nothing of whose it is.")
class DeliveryTracking:
    __reads__ = (public.DeliveryTracking,)

    tracking_number: str
    state: states.DeliveryState
    mode: states.DeliveryMode
    carrier: str | None
    is_arriving: bool
    window_opens: datetime | None
    window_closes: datetime | None
    eta: DeliveryEta | None
    driver: TrackedPlace | None = strawberry.federation.field(description="Only while the goods are on the way.")
    store: TrackedPlace | None
    destination: TrackedPlace | None
    steps: list[TrackedDeliveryStep]
    stops_before: int | None = strawberry.federation.field(description="Doors that the driver goes to first.")


@strawberry.type(description="Something that happened to a delivery, and what the delivery is by now.")
class DeliveryUpdated:
    __reads__ = (resolvers.DeliveryUpdated,)

    cursor: str
    event: str
    delivery: Delivery


@strawberry.type(description="Where the driver of a delivery is.")
class DriverLocation:
    __reads__ = (resolvers.DriverLocation,)

    delivery_id: UUID
    latitude: float
    longitude: float
    at: datetime
