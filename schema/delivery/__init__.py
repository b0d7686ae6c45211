"""The delivery subgraph: what stores offer, deliveries with their drivers and tours, and following them."""

import strawberry

from domain.delivery import (
    batches,
    deliveries,
    drivers,
    slots,
)
from domain.delivery.geography import InvalidArea
from domain.kernel import AlreadyExists, InvalidStateTransition
from resolvers import delivery as resolvers
from schema.delivery.entities import (
    DISPATCH,
    DRIVE,
    MANAGE,
    AddressCheck,
    Delivery,
    DeliveryBatch,
    DeliverySlot,
    DeliveryTracking,
    DeliveryUpdated,
    DeliveryZone,
    DispatchOverview,
    Driver,
    DriverLocation,
    LocationReceipt,
    OnTimeRate,
    OpenedSlots,
    Order,
    ShippingMethod,
    Store,
    StoreDeliveryQuote,
)
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    command,
    connection,
    feed,
    make_subgraph,
    query,
)


@strawberry.type
class Query:
    delivery = query(resolvers.delivery, Delivery | None, who=AUTHENTICATED)
    deliveries = query(resolvers.deliveries, connection(Delivery), who=DISPATCH)
    track_delivery = query(resolvers.track_delivery, DeliveryTracking | None, who=PUBLIC)
    delivery_zones = query(resolvers.delivery_zones, list[DeliveryZone], who=PUBLIC, stale_ok=True)
    delivery_quote = query(resolvers.delivery_quote, list[StoreDeliveryQuote], who=PUBLIC)
    shipping_methods = query(resolvers.shipping_methods, list[ShippingMethod], who=PUBLIC, stale_ok=True)
    delivery_slots = query(resolvers.delivery_slots, list[DeliverySlot], who=PUBLIC)
    validate_address = query(resolvers.validate_address, AddressCheck, who=PUBLIC)
    driver_run_sheet = query(resolvers.driver_run_sheet, list[Delivery], who=DRIVE)
    delivery_batches = query(resolvers.delivery_batches, connection(DeliveryBatch), who=DISPATCH)
    delivery_batch = query(resolvers.delivery_batch, DeliveryBatch | None, who=DISPATCH)
    dispatch_overview = query(resolvers.dispatch_overview, DispatchOverview, who=DISPATCH)
    on_time_rate = query(resolvers.on_time_rate, OnTimeRate, who=DISPATCH)


STATE = [InvalidStateTransition]
PROVING = [deliveries.ProofRequired, deliveries.ProofAlreadyUsed, deliveries.WrongDeliveryCode]
BOOKING = [slots.SlotFull, slots.SlotClosed]


@strawberry.type
class Mutation:
    create_delivery_zone = command(resolvers.create_delivery_zone, DeliveryZone, errors=[InvalidArea], who=MANAGE)
    update_delivery_zone = command(resolvers.update_delivery_zone, DeliveryZone, who=MANAGE)
    update_zone_boundaries = command(resolvers.update_zone_boundaries, DeliveryZone, errors=[InvalidArea], who=MANAGE)
    create_shipping_method = command(resolvers.create_shipping_method, ShippingMethod, who=MANAGE)
    set_shipping_method_active = command(resolvers.set_shipping_method_active, ShippingMethod, who=MANAGE)
    open_delivery_slots = command(resolvers.open_delivery_slots, OpenedSlots, errors=[AlreadyExists], who=MANAGE)
    resize_delivery_slot = command(resolvers.resize_delivery_slot, DeliverySlot, who=MANAGE)
    create_delivery = command(resolvers.create_delivery, Delivery, errors=[AlreadyExists, *STATE], who=DISPATCH)
    assign_driver = command(
        resolvers.assign_driver, Delivery, errors=[drivers.DriverNotAvailable, *STATE], who=DISPATCH
    )
    unassign_driver = command(resolvers.unassign_driver, Delivery, errors=STATE, who=DISPATCH)
    pick_up_delivery = command(resolvers.pick_up_delivery, Delivery, errors=STATE, who=AUTHENTICATED)
    start_delivery = command(resolvers.start_delivery, Delivery, errors=STATE, who=AUTHENTICATED)
    update_delivery_location = command(resolvers.update_delivery_location, LocationReceipt, who=DRIVE)
    complete_delivery = command(resolvers.complete_delivery, Delivery, errors=[*PROVING, *STATE], who=AUTHENTICATED)
    fail_delivery = command(resolvers.fail_delivery, Delivery, errors=STATE, who=AUTHENTICATED)
    return_delivery = command(resolvers.return_delivery, Delivery, errors=STATE, who=AUTHENTICATED)
    cancel_delivery = command(resolvers.cancel_delivery, Delivery, errors=STATE, who=DISPATCH)
    schedule_delivery = command(resolvers.schedule_delivery, Delivery, errors=[*BOOKING, *STATE], who=DISPATCH)
    ingest_carrier_tracking = command(resolvers.ingest_carrier_tracking, Delivery, who=DISPATCH)
    create_delivery_batch = command(resolvers.create_delivery_batch, DeliveryBatch, errors=STATE, who=DISPATCH)
    optimize_batch_route = command(
        resolvers.optimize_batch_route, DeliveryBatch, errors=[batches.NotRoutable, *STATE], who=DISPATCH
    )
    dispatch_batch = command(
        resolvers.dispatch_batch, DeliveryBatch, errors=[drivers.DriverNotAvailable, *STATE], who=DISPATCH
    )
    set_driver_status = command(resolvers.set_driver_status, Driver, errors=[drivers.DriverStillBusy], who=DRIVE)


@strawberry.type
class Subscription:
    delivery_updated = feed(resolvers.delivery_updated, DeliveryUpdated, who=AUTHENTICATED)
    driver_location = feed(resolvers.driver_location, DriverLocation, who=AUTHENTICATED)
    dispatch_board = feed(resolvers.dispatch_board, DeliveryUpdated, who=DISPATCH)
    tracking_updated = feed(resolvers.tracking_updated, DeliveryTracking, who=PUBLIC)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[Order, Store])
