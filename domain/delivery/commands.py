"""What drivers and dispatchers do with deliveries."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.delivery.batches import DeliveryBatches
from domain.delivery.carriers import CarrierScan, CarrierScans, KeptScan, state_of
from domain.delivery.deliveries import Delivery, Proof
from domain.delivery.drivers import Drivers
from domain.delivery.geography import Position
from domain.delivery.offers import free_slots
from domain.delivery.ports import Deliveries, dispatches, missing
from domain.delivery.positions import Crossing
from domain.delivery.slots import DeliverySlots
from domain.delivery.states import WITH_THE_DRIVER, BatchState, FailureReason
from domain.kernel import InvalidInput, NotFound, Work

MAX_SCANS = 200


@dataclass(frozen=True, kw_only=True)
class AssignDriver:
    """Give a delivery to a driver who is available."""

    delivery_id: UUID
    driver_id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class UnassignDriver:
    """Take a delivery from its driver, who has not set out with it."""

    delivery_id: UUID


@dataclass(frozen=True, kw_only=True)
class PickUpDelivery:
    """Say that the driver has the goods."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class StartDelivery:
    """Say that the driver is on the way to the door."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class CompleteDelivery:
    """Say that it was handed over; the keys are those of files in the object store."""

    id: UUID
    signature_key: str | None = None
    photo_key: str | None = None
    code: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    recipient: str | None = None


@dataclass(frozen=True, kw_only=True)
class FailDelivery:
    """Say that it could not be handed over, and why."""

    id: UUID
    reason: FailureReason
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReturnDelivery:
    """Say that what nobody took is back in the store."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class CancelDelivery:
    """Call a delivery off that nobody has set out with."""

    id: UUID
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleDelivery:
    """Agree on another time: a slot of the store, or a spell."""

    id: UUID
    slot_id: UUID | None = None
    opens: datetime | None = None
    closes: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class IngestCarrierTracking:
    """Tell what a carrier saw of one of its parcels; scans may come late, twice and in any order."""

    carrier: str
    reference: str
    scans: tuple[CarrierScan, ...]


@dataclass(frozen=True, kw_only=True)
class NoteCrossings:
    """Note what a driver's positions say about the deliveries that are under way."""

    crossings: tuple[Crossing, ...]


async def assign_driver(command: AssignDriver, work: Work, deliveries: Deliveries, drivers: Drivers) -> Delivery:
    """Give it to somebody; of two dispatchers who want the same driver or the same delivery, one gets it.

    Raises: NotFound, DriverNotAvailable, InvalidStateTransition, ConcurrentModification.
    """
    delivery = await dispatched(command.delivery_id, work, deliveries)
    delivery.expect_version(command.expected_version)
    driver = await drivers.lock(command.driver_id)
    if driver is None:
        raise NotFound(kind="Driver", id=str(command.driver_id))
    delivery.assign(driver.user_id, driver.vehicle_type, work)
    driver.engage(work)
    return delivery


async def unassign_driver(
    command: UnassignDriver, work: Work, deliveries: Deliveries, drivers: Drivers, batches: DeliveryBatches
) -> Delivery:
    delivery = await dispatched(command.delivery_id, work, deliveries)
    driver_id, batch_id = delivery.driver_id, delivery.batch_id
    delivery.unassign(work)
    await _let_go(driver_id, batch_id, work, deliveries, drivers, batches)
    return delivery


async def pick_up_delivery(command: PickUpDelivery, work: Work, deliveries: Deliveries) -> Delivery:
    delivery = await driven(command.id, work, deliveries)
    delivery.pick_up(work)
    return delivery


async def start_delivery(command: StartDelivery, work: Work, deliveries: Deliveries) -> Delivery:
    delivery = await driven(command.id, work, deliveries)
    delivery.start(work)
    return delivery


async def complete_delivery(
    command: CompleteDelivery, work: Work, deliveries: Deliveries, drivers: Drivers, batches: DeliveryBatches
) -> Delivery:
    """Hand it over.

    Raises: NotFound, InvalidStateTransition, ProofRequired, ProofAlreadyUsed, WrongDeliveryCode, InvalidInput.
    """
    delivery = await driven(command.id, work, deliveries)
    delivery.complete(_proof(command), work)
    await _after(delivery, work, deliveries, drivers, batches)
    return delivery


async def fail_delivery(
    command: FailDelivery, work: Work, deliveries: Deliveries, drivers: Drivers, batches: DeliveryBatches
) -> Delivery:
    delivery = await driven(command.id, work, deliveries)
    delivery.fail(command.reason, command.note, work)
    await _after(delivery, work, deliveries, drivers, batches)
    return delivery


async def return_delivery(command: ReturnDelivery, work: Work, deliveries: Deliveries) -> Delivery:
    delivery = await driven(command.id, work, deliveries)
    delivery.return_to_store(work)
    return delivery


async def cancel_delivery(
    command: CancelDelivery,
    work: Work,
    deliveries: Deliveries,
    drivers: Drivers,
    batches: DeliveryBatches,
    slots: DeliverySlots,
) -> Delivery:
    delivery = await dispatched(command.id, work, deliveries)
    await call_off(delivery, command.reason, work, deliveries, drivers, batches, slots)
    return delivery


async def call_off(
    delivery: Delivery,
    reason: str | None,
    work: Work,
    deliveries: Deliveries,
    drivers: Drivers,
    batches: DeliveryBatches,
    slots: DeliverySlots,
) -> None:
    """Cancel a delivery and let go of its driver and its place in a slot. Raises: InvalidStateTransition."""
    delivery.cancel(reason, work)
    await _after(delivery, work, deliveries, drivers, batches)
    await free_slots([delivery.slot_id], slots)
    delivery.slot_id = None


async def schedule_delivery(
    command: ScheduleDelivery, work: Work, deliveries: Deliveries, slots: DeliverySlots
) -> Delivery:
    """Move it to another slot of its store, whose place it takes, or to any time.

    Raises: NotFound, SlotFull, SlotClosed, InvalidInput, InvalidStateTransition.
    """
    delivery = await dispatched(command.id, work, deliveries)
    before = delivery.slot_id
    if command.slot_id is None:
        if command.opens is None or command.closes is None:
            raise InvalidInput(field="slotId", reason="name a slot, or when it begins and ends")
        delivery.schedule(command.opens, command.closes, None, work)
    else:
        slot = await slots.lock(command.slot_id)
        if slot is None or slot.store_id != delivery.store_id:
            raise NotFound(kind="DeliverySlot", id=str(command.slot_id))
        if slot.id != before:
            slot.book(work.now)
        delivery.schedule(slot.starts_at, slot.ends_at, slot.id, work)
    if before != delivery.slot_id:
        await free_slots([before], slots)
    return delivery


async def ingest_carrier_tracking(
    command: IngestCarrierTracking, work: Work, deliveries: Deliveries, scans: CarrierScans
) -> Delivery:
    """Keep each scan once; what a delivery comes to does not depend on their order.

    Raises: NotFound, InvalidInput.
    """
    if not 1 <= len(command.scans) <= MAX_SCANS:
        raise InvalidInput(field="scans", reason=f"there are between 1 and {MAX_SCANS}")
    delivery = await deliveries.by_reference(command.carrier, command.reference)
    if delivery is None or not dispatches(work.actor, delivery.store_id):
        raise missing(command.reference)
    for each in await scans.keep([_kept(delivery, scan, work) for scan in command.scans]):
        if each.state is not None:
            delivery.track(each.state, each.at)
    return delivery


async def note_crossings(command: NoteCrossings, work: Work, deliveries: Deliveries) -> None:
    """Tell who waits; positions that came late change nothing, for the delivery knows what it has told."""
    known = {each.id: each for each in await deliveries.lock_many({each.delivery_id for each in command.crossings})}
    for crossing in command.crossings:
        delivery = known.get(crossing.delivery_id)
        if delivery is None:
            continue
        if crossing.fence is None:
            delivery.arrive(work)
        else:
            delivery.cross(crossing.fence, inside=crossing.inside, at=crossing.at)


async def dispatched(delivery_id: UUID, work: Work, deliveries: Deliveries) -> Delivery:
    """Give a delivery to somebody who dispatches in its store. Raises: NotFound."""
    delivery = await deliveries.lock(delivery_id)
    if delivery is None or not dispatches(work.actor, delivery.store_id):
        raise missing(delivery_id)
    return delivery


async def driven(delivery_id: UUID, work: Work, deliveries: Deliveries) -> Delivery:
    """Give a delivery to its driver, or to somebody who dispatches in its store. Raises: NotFound."""
    delivery = await deliveries.lock(delivery_id)
    own = delivery is not None and work.actor.user_id is not None and delivery.driver_id == work.actor.user_id
    if delivery is None or not (own or dispatches(work.actor, delivery.store_id)):
        raise missing(delivery_id)
    return delivery


async def _after(
    delivery: Delivery, work: Work, deliveries: Deliveries, drivers: Drivers, batches: DeliveryBatches
) -> None:
    if delivery.state not in WITH_THE_DRIVER:
        await _let_go(delivery.driver_id, delivery.batch_id, work, deliveries, drivers, batches)


async def _let_go(
    driver_id: UUID | None,
    batch_id: UUID | None,
    work: Work,
    deliveries: Deliveries,
    drivers: Drivers,
    batches: DeliveryBatches,
) -> None:
    """See whether a driver is free again, and a tour at its end."""
    driver = None if driver_id is None else await drivers.lock(driver_id)
    if driver is not None and not await drivers.open_deliveries(driver.user_id):
        driver.release(work)
    batch = None if batch_id is None else await batches.lock(batch_id)
    if batch is not None and batch.state is BatchState.DISPATCHED and not await deliveries.open_in_batch(batch.id):
        batch.complete(work)


def _proof(command: CompleteDelivery) -> Proof:
    if (command.latitude is None) != (command.longitude is None):
        raise InvalidInput(field="latitude", reason="a position has a latitude and a longitude")
    placed = command.latitude is not None and command.longitude is not None
    return Proof(
        signature_key=command.signature_key,
        photo_key=command.photo_key,
        code=command.code,
        position=Position(command.latitude, command.longitude) if placed else None,  # type: ignore[arg-type]  # both are there, or neither.
        recipient=(command.recipient or "").strip()[:200] or None,
    )


def _kept(delivery: Delivery, scan: CarrierScan, work: Work) -> KeptScan:
    if not 0 < len(scan.scan_id) <= 200 or len(scan.status) > 200 or len(scan.description or "") > 1_000:
        raise InvalidInput(field="scans", reason="ids and statuses have at most 200 characters, descriptions 1,000")
    if scan.at > work.now:
        raise InvalidInput(field="scans", reason="nobody has seen anything in the future")
    return KeptScan(
        tenant_id=work.tenant_id,
        delivery_id=delivery.id,
        scan_id=scan.scan_id,
        status=scan.status,
        state=state_of(scan.status),
        at=scan.at,
        description=scan.description,
    )
