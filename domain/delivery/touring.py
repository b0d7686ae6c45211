"""What dispatchers do with tours, and the job that plans them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.delivery.batches import DeliveryBatch, DeliveryBatches, routing_problem
from domain.delivery.carriers import Carriers, Consignment
from domain.delivery.deliveries import Delivery
from domain.delivery.drivers import Drivers
from domain.delivery.ports import Deliveries, dispatches
from domain.delivery.routing import RouteOptimizer
from domain.delivery.states import BatchState, DeliveryMode, DeliveryState
from domain.jobs import JobQueue, Jobs
from domain.kernel import InvalidInput, InvalidStateTransition, NotFound, Work

OPTIMISE = "delivery.optimise_batch"
BOOK = "delivery.book_carrier"
OPTIMISE_SECONDS = 3.0
_PLANNABLE = frozenset({BatchState.CREATED, BatchState.OPTIMISED})
_WAITING = frozenset({DeliveryState.PENDING, DeliveryState.RESCHEDULED})

jobs = Jobs()


@dataclass(frozen=True, kw_only=True)
class CreateDeliveryBatch:
    """Put deliveries of one store together into a tour."""

    store_id: UUID
    delivery_ids: tuple[UUID, ...]


@dataclass(frozen=True, kw_only=True)
class OptimizeBatchRoute:
    """Have the best order of a tour found; it takes some seconds, and the tour says when it is there."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class DispatchBatch:
    """Send a driver out with a tour."""

    id: UUID
    driver_id: UUID


async def create_delivery_batch(
    command: CreateDeliveryBatch, work: Work, deliveries: Deliveries, batches: DeliveryBatches
) -> DeliveryBatch:
    """Make a tour of what waits for a driver and is in no other tour.

    Raises: NotFound, InvalidInput, InvalidStateTransition.
    """
    if not dispatches(work.actor, command.store_id):
        raise NotFound(kind="Store", id=str(command.store_id))
    batch = DeliveryBatch(
        tenant_id=work.tenant_id, store_id=command.store_id, delivery_ids=list(command.delivery_ids), made_at=work.now
    )
    batch.create(work)
    found = {each.id: each for each in await deliveries.lock_many(command.delivery_ids)}
    for place, delivery_id in enumerate(command.delivery_ids):
        delivery = found.get(delivery_id)
        if delivery is None or delivery.store_id != command.store_id:
            raise NotFound(kind="Delivery", id=str(delivery_id))
        if delivery.mode is not DeliveryMode.OWN_FLEET or delivery.state not in _WAITING:
            raise InvalidStateTransition(kind="Delivery", current=delivery.state, requested=DeliveryState.ASSIGNED)
        if delivery.batch_id is not None:
            raise InvalidInput(field="deliveryIds", reason=f"{delivery_id} is in another batch")
        _put(delivery, batch.id, place)
    batches.add(batch)
    return batch


async def optimize_batch_route(
    command: OptimizeBatchRoute, work: Work, deliveries: Deliveries, batches: DeliveryBatches, queue: JobQueue
) -> DeliveryBatch:
    """Ask a worker for the best order. Raises: NotFound, NotRoutable, InvalidStateTransition."""
    batch = await _own(command.id, work, batches)
    batch.request_route(work)
    routing_problem(batch, await deliveries.many(batch.delivery_ids), work.now)
    await queue.defer(OPTIMISE, {"batch_id": str(batch.id)}, key=str(batch.id))
    return batch


async def dispatch_batch(
    command: DispatchBatch, work: Work, deliveries: Deliveries, batches: DeliveryBatches, drivers: Drivers
) -> DeliveryBatch:
    """Give all of a tour to one driver.

    Raises: NotFound, DriverNotAvailable, InvalidStateTransition.
    """
    batch = await _own(command.id, work, batches)
    batch.dispatch(command.driver_id, work)
    ours = [each for each in await deliveries.lock_many(batch.delivery_ids) if each.batch_id == batch.id]
    driver = await drivers.lock(command.driver_id)
    if driver is None:
        raise NotFound(kind="Driver", id=str(command.driver_id))
    driver.engage(work)
    for delivery in ours:
        delivery.assign(driver.user_id, driver.vehicle_type, work)
    return batch


@jobs.on(OPTIMISE)
async def optimise_batch(
    payload: Mapping[str, Any],
    work: Work,
    deliveries: Deliveries,
    batches: DeliveryBatches,
    optimizer: RouteOptimizer,
) -> None:
    """Find the best order; nothing is locked meanwhile, and what has changed by then is planned anew.

    Raises: Unavailable, ConcurrentModification.
    """
    batch = await batches.get(UUID(payload["batch_id"]))
    if batch is None or batch.state not in _PLANNABLE or batch.requested_at is None:
        return
    known = await deliveries.many(batch.delivery_ids)
    plan = await optimizer.optimise(routing_problem(batch, known, work.now), seconds=OPTIMISE_SECONDS)
    batch.optimise(plan, work)
    places = {delivery_id: place for place, delivery_id in enumerate(batch.delivery_ids)}
    for delivery in known:
        if delivery.batch_id == batch.id:
            _put(delivery, batch.id, places[delivery.id])


@jobs.on(BOOK)
async def book_carrier(payload: Mapping[str, Any], work: Work, deliveries: Deliveries, carriers: Carriers) -> None:
    """Hand a parcel over to its carrier, who knows it by our number and takes it once."""
    delivery = await deliveries.lock(UUID(payload["delivery_id"]))
    carrier = carriers.find(delivery.carrier or "") if delivery else None
    if delivery is None or carrier is None or delivery.carrier_reference or delivery.is_over:
        return
    consignment = Consignment(number=delivery.tracking_number, address=delivery.address, store_id=delivery.store_id)
    shipment = await carrier.book(consignment)
    delivery.book_carrier(shipment.reference, shipment.label_url, work)


def _put(delivery: Delivery, batch_id: UUID, place: int) -> None:
    # Nobody but the tour's own events tells of places, and the row is locked.
    delivery.batch_id, delivery.place_in_batch = batch_id, place
    delivery.version += 1


async def _own(batch_id: UUID, work: Work, batches: DeliveryBatches) -> DeliveryBatch:
    batch = await batches.lock(batch_id)
    if batch is None or not dispatches(work.actor, batch.store_id):
        raise NotFound(kind="DeliveryBatch", id=str(batch_id))
    return batch
