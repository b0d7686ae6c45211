"""Deliveries of orders: made when an order may go out, called off with it, and bringing it further as they go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.catalog import Skus
from domain.codec import to_json
from domain.delivery import carriers as carrying
from domain.delivery.batches import DeliveryBatches
from domain.delivery.commands import call_off
from domain.delivery.deliveries import Delivery
from domain.delivery.drivers import Drivers
from domain.delivery.geography import Geometry, Position
from domain.delivery.methods import (
    OWN_FLEET,
    CreateShippingMethod,
    ShippingMethod,
    ShippingMethods,
    manages,
    new_method,
)
from domain.delivery.offers import DeliveryPromise, DeliveryPromises
from domain.delivery.ports import Deliveries, dispatches
from domain.delivery.slots import DeliverySlot, DeliverySlots, OpenDeliverySlots, slots_of
from domain.delivery.states import DELIVERY_STATES, DeliveryMode, DeliveryState
from domain.delivery.touring import BOOK
from domain.delivery.zones import CreateDeliveryZone, DeliveryZone, DeliveryZones, open_zone
from domain.inventory import Reservations
from domain.jobs import JobQueue
from domain.kernel import AlreadyExists, Envelope, InvalidStateTransition, NotFound, Subscriptions, Work
from domain.orders import DeliveryMethod, Order, Orders, OrderState, SubOrder, UpdateOrderStatus
from domain.orders.states import FULFILMENT
from domain.processes.fulfilling import update_order_status
from domain.processes.shipping import break_promises
from domain.tenancy import Store, Stores

subscriptions = Subscriptions("delivery")

_OFF = frozenset({OrderState.DRAFT, OrderState.PENDING, OrderState.CANCELLED, OrderState.RETURNED})
_REACHED = {"delivery.started": OrderState.SHIPPED, "delivery.delivered": OrderState.DELIVERED}


@dataclass(frozen=True, kw_only=True)
class CreateDelivery:
    """Have a part of an order delivered that was not to be, or whose delivery was called off."""

    sub_order_id: UUID
    order_id: UUID
    latitude: float | None = None
    longitude: float | None = None
    notes: str | None = None


async def create_delivery_zone(
    command: CreateDeliveryZone, work: Work, stores: Stores, zones: DeliveryZones, geometry: Geometry
) -> DeliveryZone:
    """Open a zone of a store. Raises: NotFound, InvalidInput, InvalidArea."""
    await _store(command.store_id, work, stores)
    zone = open_zone(command, work, geometry)
    zones.add(zone)
    return zone


async def create_shipping_method(
    command: CreateShippingMethod,
    work: Work,
    stores: Stores,
    methods: ShippingMethods,
    carriers: carrying.Carriers,
) -> ShippingMethod:
    """Offer a way to send something. Raises: NotFound, InvalidInput."""
    if command.store_id is not None:
        await _store(command.store_id, work, stores)
    elif not manages(work, None):
        raise NotFound(kind="Store", id="of all")
    method = new_method(command, work, [OWN_FLEET, *carriers.names()])
    methods.add(method)
    return method


async def open_delivery_slots(
    command: OpenDeliverySlots, work: Work, stores: Stores, slots: DeliverySlots
) -> Sequence[DeliverySlot]:
    """Offer slots in the store's own time. Raises: NotFound, InvalidInput."""
    store = await _store(command.store_id, work, stores)
    made = slots_of(command, store.timezone, work)
    for slot in made:
        slots.add(slot)
    return made


async def create_delivery(
    command: CreateDelivery,
    work: Work,
    orders: Orders,
    deliveries: Deliveries,
    promises: DeliveryPromises,
    stores: Stores,
    skus: Skus,
    queue: JobQueue,
) -> Delivery:
    """Make it by hand.

    Raises: NotFound, AlreadyExists, InvalidStateTransition.
    """
    order = await orders.lock(command.order_id)
    part = next((each for each in order.sub_orders if each.id == command.sub_order_id), None) if order else None
    if order is None or part is None or not dispatches(work.actor, part.store_id):
        raise NotFound(kind="SubOrder", id=str(command.sub_order_id))
    if order.state in _OFF or order.address is None or part.state in {OrderState.DELIVERED, OrderState.COMPLETED}:
        raise InvalidStateTransition(kind="Order", current=part.state, requested="a delivery")
    promised = {each.store_id: each for each in await promises.take(order.id, part.store_id)}
    made = await _make(order, [part], promised, work, deliveries, stores, skus, queue)
    if not made:
        raise AlreadyExists(kind="Delivery", value=f"of {part.number}")
    (delivery,) = made
    if command.latitude is not None and command.longitude is not None:
        delivery.locate(Position(command.latitude, command.longitude))
    delivery.notes = command.notes or delivery.notes
    return delivery


@subscriptions.on("order.confirmed", "order.payment_received")
async def deliver_order(
    envelope: Envelope,
    work: Work,
    orders: Orders,
    deliveries: Deliveries,
    promises: DeliveryPromises,
    stores: Stores,
    skus: Skus,
    queue: JobQueue,
) -> None:
    """Make a delivery for each part of an order that is paid, or is paid for on receipt; each part has one."""
    order = await orders.lock(envelope.aggregate_id)
    if order is None or order.delivery_method is not DeliveryMethod.DELIVERY or order.state in _OFF:
        return
    if order.address is None or (order.must_be_paid_first and order.paid_at is None):
        return
    promised = {each.store_id: each for each in await promises.take(order.id)}
    await _make(order, order.sub_orders, promised, work, deliveries, stores, skus, queue)


@subscriptions.on("order.cancelled")
async def call_deliveries_off(
    envelope: Envelope,
    work: Work,
    deliveries: Deliveries,
    drivers: Drivers,
    batches: DeliveryBatches,
    promises: DeliveryPromises,
    slots: DeliverySlots,
) -> None:
    """Call off what nobody has set out with; what a driver has is brought back by hand."""
    await break_promises(envelope.aggregate_id, promises, slots)
    for delivery in await deliveries.of_order(envelope.aggregate_id):
        try:
            DELIVERY_STATES.check(delivery.state, DeliveryState.CANCELLED)
        except InvalidStateTransition:
            continue
        await call_off(delivery, "the order was cancelled", work, deliveries, drivers, batches, slots)


@subscriptions.on("delivery.started", "delivery.delivered")
async def bring_order_on(envelope: Envelope, work: Work, orders: Orders, reservations: Reservations) -> None:
    """Let a part of an order be where its delivery is: what is on the way was packed, whoever forgot to say so."""
    order = await orders.lock(UUID(envelope.data["order_id"]))
    part_id, reached = UUID(envelope.data["sub_order_id"]), _REACHED[envelope.name]
    if order is None or order.state in _OFF or (order.must_be_paid_first and order.paid_at is None):
        return
    # A part is handled in somebody's name; what a carrier tells by itself has none.
    known = work.actor.user_id or part_id
    acting = replace(work, actor=replace(work.actor, user_id=known))
    for state in FULFILMENT[: FULFILMENT.index(reached) + 1]:
        part = next((each for each in order.sub_orders if each.id == part_id), None)
        if part is None or part.state in FULFILMENT[FULFILMENT.index(state) :] or part.state in _OFF:
            continue
        step = UpdateOrderStatus(
            order_id=order.id,
            status=state,
            sub_order_id=part_id,
            tracking_number=envelope.data["tracking_number"] if state is OrderState.SHIPPED else None,
        )
        order = await update_order_status(step, acting, orders, reservations)


async def _make(
    order: Order,
    parts: Sequence[SubOrder],
    promised: Mapping[UUID, DeliveryPromise],
    work: Work,
    deliveries: Deliveries,
    stores: Stores,
    skus: Skus,
    queue: JobQueue,
) -> list[Delivery]:
    has = {
        each.sub_order_id for each in await deliveries.of_order(order.id) if each.state is not DeliveryState.CANCELLED
    }
    wanted = [part for part in parts if part.id not in has]
    if not wanted:
        return []
    places = {store.id: store for store in await stores.many({part.store_id for part in wanted})}
    offers = await skus.offers([line.sku for line in order.lines])
    regulated = {line.id for line, offer in zip(order.lines, offers, strict=True) if offer and offer.regulated}
    made = []
    for part in wanted:
        restricted = not regulated.isdisjoint(part.line_ids)
        delivery = _delivery(order, part, places.get(part.store_id), promised.get(part.store_id), work)
        delivery.age_restricted = restricted
        delivery.create(work)
        deliveries.add(delivery)
        if delivery.mode is DeliveryMode.CARRIER:
            await queue.defer(BOOK, {"delivery_id": str(delivery.id)}, key=str(delivery.id))
        made.append(delivery)
    return made


def _delivery(
    order: Order, part: SubOrder, store: Store | None, promise: DeliveryPromise | None, work: Work
) -> Delivery:
    agreed: dict[str, Any] = {"fee_minor": part.delivery_fee_minor, "notes": order.notes}
    if promise is not None:
        by_carrier = promise.carrier != OWN_FLEET
        agreed = {
            "mode": DeliveryMode.CARRIER if by_carrier else DeliveryMode.OWN_FLEET,
            "carrier": promise.carrier if by_carrier else None,
            "proof_kind": promise.proof,
            "notes": promise.notes or order.notes,
            **{name: getattr(promise, name) for name in _PROMISED},
        }
    return Delivery(
        tenant_id=work.tenant_id,
        order_id=order.id,
        sub_order_id=part.id,
        order_number=order.order_number,
        customer_id=order.customer_id,
        store_id=part.store_id,
        address=to_json(order.address),
        store_latitude=store.latitude if store else None,
        store_longitude=store.longitude if store else None,
        currency=order.currency,
        made_at=work.now,
        **agreed,
    )


_PROMISED = (
    "fee_minor",
    "latitude",
    "longitude",
    "method_id",
    "zone_id",
    "slot_id",
    "window_opens",
    "window_closes",
)


async def _store(store_id: UUID, work: Work, stores: Stores) -> Store:
    store = await stores.get(store_id) if work.actor.works_at(store_id) else None
    if store is None:
        raise NotFound(kind="Store", id=str(store_id))
    return store
