"""Verbs of delivery."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from domain.catalog import OfferReads
from domain.delivery import commands, drivers, slots, touring, zones
from domain.delivery import methods as ways
from domain.delivery.addresses import AddressCheck, AddressValidator, DeliveryAddress
from domain.delivery.deliveries import Delivery
from domain.delivery.geography import Geometry, Ping
from domain.delivery.locating import UpdateDeliveryLocation, update_location
from domain.delivery.ports import DeliveryFilter, DeliveryReads, DispatchReads, OfferingReads, dispatches, missing, sees
from domain.delivery.positions import DriverSignals, Legs, LocationReceipt, PositionLog, Positions
from domain.delivery.states import BatchState, DeliveryState
from domain.delivery.topics import delivery_topic, dispatch_topic, driver_signal, order_deliveries_topic
from domain.delivery.tracking import DeliveryTracking, arrivals, public_tracking
from domain.kernel import InvalidInput, NotFound, uuid7
from domain.paging import Page, PageRequest
from domain.processes import delivering, shipping
from domain.tenancy import StoreReads
from domain.topics import TopicEvent
from resolvers.kernel import Context, Feed, transacts

MOST_ON_A_BOARD = 500
MOST_DAYS = 31
SIGNAL_SECONDS = 1.0

create_delivery_zone = transacts(delivering.create_delivery_zone)
update_delivery_zone = transacts(zones.update_delivery_zone)
update_zone_boundaries = transacts(zones.update_zone_boundaries)
create_shipping_method = transacts(delivering.create_shipping_method)
set_shipping_method_active = transacts(ways.set_shipping_method_active)
resize_delivery_slot = transacts(slots.resize_delivery_slot)
create_delivery = transacts(delivering.create_delivery)
cancel_delivery = transacts(commands.cancel_delivery)
schedule_delivery = transacts(commands.schedule_delivery)
return_delivery = transacts(commands.return_delivery)
pick_up_delivery = transacts(commands.pick_up_delivery)
assign_driver = transacts(commands.assign_driver)
unassign_driver = transacts(commands.unassign_driver)
ingest_carrier_tracking = transacts(commands.ingest_carrier_tracking)
set_driver_status = transacts(drivers.set_driver_status)
create_delivery_batch = transacts(touring.create_delivery_batch)
optimize_batch_route = transacts(touring.optimize_batch_route)
dispatch_batch = transacts(touring.dispatch_batch)


@dataclass(frozen=True, kw_only=True)
class OpenedSlots:
    """The slots that were opened."""

    slots: Sequence[slots.DeliverySlot]


async def open_delivery_slots(
    context: Context, command: slots.OpenDeliverySlots, idempotency_key: str | None = None
) -> OpenedSlots:
    made = await context.transact(delivering.open_delivery_slots, command, idempotency_key=idempotency_key)
    return OpenedSlots(slots=made)


async def start_delivery(
    context: Context, command: commands.StartDelivery, idempotency_key: str | None = None
) -> Delivery:
    return await _moved(context, commands.start_delivery, command, idempotency_key)


async def complete_delivery(
    context: Context, command: commands.CompleteDelivery, idempotency_key: str | None = None
) -> Delivery:
    return await _moved(context, commands.complete_delivery, command, idempotency_key)


async def fail_delivery(
    context: Context, command: commands.FailDelivery, idempotency_key: str | None = None
) -> Delivery:
    return await _moved(context, commands.fail_delivery, command, idempotency_key)


async def _moved(
    context: Context, handler: Callable[..., Awaitable[Delivery]], command: Any, idempotency_key: str | None
) -> Delivery:
    delivery = await context.transact(handler, command, idempotency_key=idempotency_key)
    if delivery.driver_id is not None:
        context.service(Legs).forget(context.require_tenant(), delivery.driver_id)
    return delivery


async def update_delivery_location(
    context: Context,
    command: UpdateDeliveryLocation,
    idempotency_key: str | None = None,  # noqa: ARG001 — told twice, a position is refused as a duplicate.
) -> LocationReceipt:
    """Take positions without a transaction; only what is worth telling is written at once."""
    receipt, crossed = await update_location(
        command,
        context.work(),
        context.service(Positions),
        context.service(Legs),
        context.service(PositionLog),
        context.service(DriverSignals),
    )
    if crossed:
        await context.transact(commands.note_crossings, commands.NoteCrossings(crossings=tuple(crossed)))
    return receipt


async def deliveries_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the deliveries that the caller may see: one's own, those one drives, and those of stores one dispatches for."""
    return _seen(context, await context.read(DeliveryReads).by_id(ids))


async def deliveries_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    found = await context.read(DeliveryReads).of_orders(order_ids)
    return [[each for each in _seen(context, rows) if each is not None] for rows in found]


async def delivery_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the delivery of each order that is the furthest from its end, for whoever has one store in mind."""
    found = await deliveries_of_orders(context, order_ids)
    return [next((each for each in rows if each.state != DeliveryState.CANCELLED), None) for rows in found]


def _seen(context: Context, rows: Sequence[Any]) -> list[Any]:
    return [row if row is not None and sees(context.principal, row) else None for row in rows]


async def history_of_deliveries(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(DeliveryReads).history(ids)


async def scans_of_deliveries(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(DeliveryReads).scans(ids)


async def drivers_by_user(context: Context, user_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(DispatchReads).drivers(user_ids)


async def arrivals_of_deliveries(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give when deliveries arrive that are on the way: where their drivers are is asked once for all of them."""
    found = await context.read(DeliveryReads).by_id(ids)
    under_way = [row for row in found if row is not None and row.state == DeliveryState.EN_ROUTE and row.driver_id]
    known = await _arrivals(context, sorted({row.driver_id for row in under_way}))
    return [known.get(each) for each in ids]


async def _arrivals(context: Context, driver_ids: Sequence[UUID]) -> dict[UUID, Any]:
    if not driver_ids:
        return {}
    tours = await context.read(DeliveryReads).tours(driver_ids)
    pings = await _pings(context, driver_ids)
    now = context.now()
    return {
        key: value for tour, ping in zip(tours, pings, strict=True) for key, value in arrivals(tour, ping, now).items()
    }


async def _pings(context: Context, driver_ids: Sequence[UUID]) -> list[Ping | None]:
    return await context.service(Positions).last(context.require_tenant(), driver_ids)


async def zones_of_stores(context: Context, store_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(OfferingReads).zones_of(store_ids)


async def slots_of_stores(
    context: Context, store_ids: Sequence[UUID], *, from_day: date, to_day: date | None = None
) -> Sequence[Any]:
    last = to_day or from_day
    if not 0 <= (last - from_day).days < MOST_DAYS:
        raise InvalidInput(field="toDay", reason=f"it is the same day or later, and at most {MOST_DAYS} days are shown")
    return await context.read(OfferingReads).slots(store_ids, from_day, last)


async def deliveries_of_batches(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(DispatchReads).deliveries_of(ids)


async def delivery(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(deliveries_by_id, id)


async def deliveries(
    context: Context,
    page: PageRequest,
    filter: DeliveryFilter | None = None,  # noqa: A002 — GraphQL's conventional name.
) -> Page[Any]:
    """List the deliveries of the stores that the caller dispatches for."""
    wanted = filter or DeliveryFilter()
    if wanted.store_id is not None:
        _require_store(context, wanted.store_id)
    mine = None if context.principal.may("stores.any") else context.principal.store_ids
    return await context.read(DeliveryReads).matching(wanted, mine, page)


async def track_delivery(context: Context, tracking_number: str) -> DeliveryTracking | None:
    """Say how far a delivery is, to whoever has its number; the answer has nothing of whose it is."""
    (found,) = await context.read(DeliveryReads).by_number([_number(tracking_number)])
    return None if found is None else await _tracking(context, found)


def _number(text: str) -> str:
    if len(text) > 100:
        raise InvalidInput(field="trackingNumber", reason="it is not one of ours")
    return "".join(text.split()).upper()


async def _tracking(context: Context, found: Any) -> DeliveryTracking:
    reads = context.read(DeliveryReads)
    (history,) = await reads.history([found.id])
    tour: Sequence[Any] = ()
    ping: Ping | None = None
    if found.state == DeliveryState.EN_ROUTE and found.driver_id is not None:
        (tour,) = await reads.tours([found.driver_id])
        (ping,) = await _pings(context, [found.driver_id])
        # What the driver told before setting out is nobody's business.
        ping = ping if ping and found.started_at and ping.at >= found.started_at else None
    return public_tracking(found, history, ping, tour, context.now())


async def delivery_zones(context: Context, store_id: UUID) -> Sequence[Any]:
    (found,) = await context.read(OfferingReads).zones_of([store_id])
    return [each for each in found if each.is_active or _manages(context, store_id)]


def _manages(context: Context, store_id: UUID) -> bool:
    return context.principal.may(drivers.MANAGE) and context.principal.works_at(store_id)


async def delivery_quote(
    context: Context,
    address: shipping.DeliveryDestination,
    items: Sequence[shipping.DeliveryItem],
) -> Sequence[shipping.StoreDeliveryQuote]:
    named = sorted({each.store_id for each in items if each.store_id})
    for store_id, store in zip(named, await context.read(StoreReads).by_id(named), strict=True):
        if store is None:
            raise NotFound(kind="Store", id=str(store_id))
    offers = await context.read(OfferReads).by_sku([each.sku for each in items])
    facts, geometry = context.read(shipping.ShippingFactsReads), context.service(Geometry)
    return await shipping.delivery_quote(address, items, offers, facts, geometry)


async def shipping_methods(
    context: Context, address: shipping.DeliveryDestination | None = None, store_id: UUID | None = None
) -> Sequence[Any]:
    """List the ways to send something that are offered by all stores, or by one, as far as they reach an address."""
    found = await context.read(OfferingReads).methods([store_id] if store_id else [])
    if address is None:
        return found
    places = {address.target.country, address.target.region}
    return [each for each in found if not each.countries or not places.isdisjoint(each.countries)]


async def delivery_slots(context: Context, store_id: UUID, date: date) -> Sequence[Any]:  # noqa: A002, RUF100 — the GraphQL argument's name.
    (found,) = await context.read(OfferingReads).slots([store_id], date, date)
    return found


@dataclass(frozen=True, kw_only=True)
class ValidateAddress:
    """A postal address; `country` is an ISO 3166-1 code, `region` a province, state or prefecture."""

    country: str
    street: tuple[str, ...]
    city: str = ""
    region: str = ""
    district: str = ""
    postal_code: str = ""
    sorting_code: str = ""
    recipient: str = ""
    company: str = ""


async def validate_address(context: Context, input: ValidateAddress) -> AddressCheck:  # noqa: A002 — GraphQL's conventional name.
    return context.service(AddressValidator).check(DeliveryAddress(**vars(input)))


async def driver_run_sheet(context: Context) -> Sequence[Any]:
    """Give what the caller has to deliver, in the order of the tour."""
    (tour,) = await context.read(DeliveryReads).tours([context.principal.require_user()])
    return tour


async def delivery_batches(
    context: Context, page: PageRequest, store_id: UUID, state: BatchState | None = None
) -> Page[Any]:
    _require_store(context, store_id)
    return await context.read(DispatchReads).batches(store_id, state, page)


async def delivery_batch(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    (found,) = await context.read(DispatchReads).batches_by_id([id])
    return found if found is not None and dispatches(context.principal, found.store_id) else None


@dataclass(frozen=True, kw_only=True)
class DispatchOverview:
    """What a dispatcher has before them: what is to be delivered, and who could."""

    store_id: UUID
    deliveries: Sequence[Any]
    drivers: Sequence[Any]


async def dispatch_overview(context: Context, store_id: UUID) -> DispatchOverview:
    """Show what is open in a store, the oldest first."""
    _require_store(context, store_id)
    return DispatchOverview(
        store_id=store_id,
        deliveries=await context.read(DeliveryReads).open_in_store(store_id, MOST_ON_A_BOARD),
        drivers=await context.read(DispatchReads).drivers_of_store(store_id),
    )


@dataclass(frozen=True, kw_only=True)
class OnTimeRate:
    """How many deliveries came within what was agreed; the rate is a fraction of one."""

    delivered: int
    timed: int
    on_time: int

    @property
    def rate(self) -> float | None:
        return self.on_time / self.timed if self.timed else None


async def on_time_rate(context: Context, store_id: UUID, since: datetime) -> OnTimeRate:
    _require_store(context, store_id)
    found = await context.read(DeliveryReads).on_time(store_id, since)
    return OnTimeRate(delivered=found.delivered, timed=found.timed, on_time=found.on_time)


@dataclass(frozen=True, kw_only=True)
class DeliveryUpdated:
    """Something that happened to a delivery, and what the delivery is by now."""

    cursor: str
    event: str
    delivery: Any


async def delivery_updated(
    context: Context, delivery_id: UUID | None = None, order_id: UUID | None = None, after: str | None = None
) -> Feed:
    """Follow one delivery, or all of an order."""
    if (delivery_id is None) == (order_id is None):
        raise InvalidInput(field="deliveryId", reason="name the delivery, or its order")
    if delivery_id is not None:
        if await context.load(deliveries_by_id, delivery_id) is None:
            raise missing(delivery_id)
        topic = delivery_topic(delivery_id)
    else:
        if not await context.load(deliveries_of_orders, order_id):
            raise NotFound(kind="Order", id=str(order_id))
        topic = order_deliveries_topic(order_id)
    return Feed(topics=[topic], values=_updates, after=after, allows=_sees_event(context))


async def _updates(context: Context, events: Sequence[TopicEvent]) -> list[DeliveryUpdated | None]:
    ids = sorted({event.aggregate_id for event in events if event.aggregate_id})
    found = dict(zip(ids, await deliveries_by_id(context, ids), strict=True))
    return [
        DeliveryUpdated(cursor=event.cursor, event=event.name, delivery=found[event.aggregate_id])
        if event.aggregate_id and found[event.aggregate_id] is not None
        else None
        for event in events
    ]


def _sees_event(context: Context) -> Callable[[TopicEvent], None]:
    """Look at every event whether its follower still has to do with the delivery: drivers change."""

    def allows(event: TopicEvent) -> None:
        people = {name: _id(event.data.get(name)) for name in ("customer_id", "driver_id", "store_id")}
        if not sees(context.principal, SimpleNamespace(**people)):
            raise missing(event.aggregate_id)

    return allows


def _id(text: Any) -> UUID | None:
    return None if text is None else UUID(text)


@dataclass(frozen=True, kw_only=True)
class DriverLocation:
    """Where the driver of a delivery is."""

    delivery_id: UUID
    latitude: float
    longitude: float
    at: datetime


async def driver_location(context: Context, delivery_id: UUID) -> Feed:
    """Follow the driver while the delivery is on the way: where they are now, and then at most once a second."""
    if await context.load(deliveries_by_id, delivery_id) is None:
        raise missing(delivery_id)

    async def shown(context: Context, events: Sequence[TopicEvent]) -> list[DriverLocation | None]:
        (found,) = await deliveries_by_id(context, [delivery_id])
        under_way = found is not None and found.state == DeliveryState.EN_ROUTE
        return [_location(delivery_id, event) if under_way else None for event in events]

    async def opening(context: Context) -> list[DriverLocation]:
        (found,) = await deliveries_by_id(context, [delivery_id])
        if found is None or found.driver_id is None or found.state != DeliveryState.EN_ROUTE:
            return []
        (ping,) = await _pings(context, [found.driver_id])
        if ping is None:
            return []
        here = ping.position
        return [DriverLocation(delivery_id=delivery_id, latitude=here.latitude, longitude=here.longitude, at=ping.at)]

    signal = driver_signal(delivery_id)
    return Feed(
        signals=[signal],
        values=shown,
        opening=opening,
        while_open=[(signal, str(uuid7()))],
        interval_seconds=SIGNAL_SECONDS,
    )


def _location(delivery_id: UUID, event: TopicEvent) -> DriverLocation:
    return DriverLocation(
        delivery_id=delivery_id,
        latitude=event.data["latitude"],
        longitude=event.data["longitude"],
        at=datetime.fromisoformat(event.data["at"]),
    )


async def dispatch_board(context: Context, store_id: UUID, after: str | None = None) -> Feed:
    """Follow what happens to the deliveries of a store."""
    _require_store(context, store_id)
    return Feed(topics=[dispatch_topic(store_id)], values=_updates, after=after)


async def tracking_updated(context: Context, tracking_number: str) -> Feed:
    """Follow a delivery by its number: everybody who has it is shown the same."""
    (found,) = await context.read(DeliveryReads).by_number([_number(tracking_number)])
    if found is None:
        raise missing(tracking_number)
    delivery_id = found.id

    async def shown(context: Context, events: Sequence[TopicEvent]) -> list[DeliveryTracking | None]:
        (row,) = await context.read(DeliveryReads).by_id([delivery_id])
        latest = None if row is None else await _tracking(context, row)
        # Of what came together the last says it all.
        return [None] * (len(events) - 1) + [latest]

    async def opening(context: Context) -> list[DeliveryTracking]:
        return [each for each in await shown(context, [_OPENING]) if each is not None]

    signal = driver_signal(delivery_id)
    return Feed(
        topics=[delivery_topic(delivery_id)],
        signals=[signal],
        values=shown,
        opening=opening,
        shared=True,
        while_open=[(signal, str(uuid7()))],
        interval_seconds=SIGNAL_SECONDS,
    )


_OPENING = TopicEvent(tenant_id=UUID(int=0), topics=(), name="opening", data={})


def _require_store(context: Context, store_id: UUID) -> None:
    if not dispatches(context.principal, store_id):
        raise NotFound(kind="Store", id=str(store_id))
