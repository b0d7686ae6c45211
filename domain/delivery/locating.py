"""What a driver's device tells of its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from domain.delivery.geography import Ping
from domain.delivery.ports import missing
from domain.delivery.positions import (
    MAX_POSITIONS,
    Crossing,
    DevicePosition,
    DriverSignals,
    KeptPosition,
    Leg,
    Legs,
    LocationReceipt,
    PositionLog,
    PositionRefusal,
    Positions,
    RejectedPosition,
    crossings,
    judge,
    ping_of,
)
from domain.kernel import InvalidInput, Work


@dataclass(frozen=True, kw_only=True)
class UpdateDeliveryLocation:
    """Tell where the caller's device was, the oldest first; without a delivery for all that the caller has under way."""

    positions: tuple[DevicePosition, ...]
    delivery_id: UUID | None = None


async def update_location(
    command: UpdateDeliveryLocation,
    work: Work,
    positions: Positions,
    legs: Legs,
    log: PositionLog,
    signals: DriverSignals,
) -> tuple[LocationReceipt, list[Crossing]]:
    """Believe what can be believed, keep the newest, and give what is worth telling; no transaction is needed for it.

    Raises: Unauthenticated, NotFound, InvalidInput.
    """
    driver_id = work.actor.require_user()
    if not 1 <= len(command.positions) <= MAX_POSITIONS:
        raise InvalidInput(field="positions", reason=f"there are between 1 and {MAX_POSITIONS}")
    under_way = await _legs(command.delivery_id, driver_id, work, legs)
    (last,) = await positions.last(work.tenant_id, [driver_id])
    judged = judge(command.positions, last, work.now)
    if not judged.believed:
        return LocationReceipt(accepted=0, rejections=judged.rejected), []
    newest = ping_of(judged.believed[-1])
    if not await positions.keep(work.tenant_id, driver_id, newest):
        return _all_late(command.positions, judged.rejected), []
    for each in judged.believed:
        log.note(_kept(each, driver_id, work))
    for leg in under_way:
        signals.tell(work.tenant_id, leg.delivery_id, newest)
    way = [last, *map(ping_of, judged.believed)]
    crossed = [each for leg in under_way for each in _crossed(leg, way)]
    return LocationReceipt(accepted=len(judged.believed), rejections=judged.rejected), crossed


async def _legs(delivery_id: UUID | None, driver_id: UUID, work: Work, legs: Legs) -> Sequence[Leg]:
    under_way = await legs.of_driver(work.tenant_id, driver_id)
    if delivery_id is None or any(each.delivery_id == delivery_id for each in under_way):
        return under_way
    # It may have been begun a moment ago, through another process.
    legs.forget(work.tenant_id, driver_id)
    under_way = await legs.of_driver(work.tenant_id, driver_id)
    if not any(each.delivery_id == delivery_id for each in under_way):
        raise missing(delivery_id)
    return under_way


def _all_late(told: Sequence[DevicePosition], rejected: Sequence[RejectedPosition]) -> LocationReceipt:
    """Refuse all: a newer position of the same driver came in between."""
    known = {each.index: each for each in rejected}
    late = PositionRefusal.OUT_OF_ORDER
    all_of_them = [known.get(index) or RejectedPosition(index=index, reason=late) for index in range(len(told))]
    return LocationReceipt(accepted=0, rejections=all_of_them)


def _crossed(leg: Leg, way: Sequence[Ping | None]) -> list[Crossing]:
    return [
        crossing for before, after in pairwise(way) if after is not None for crossing in crossings(leg, before, after)
    ]


def _kept(told: DevicePosition, driver_id: UUID, work: Work) -> KeptPosition:
    return KeptPosition(
        tenant_id=work.tenant_id,
        driver_id=driver_id,
        at=told.at,
        latitude=told.latitude,
        longitude=told.longitude,
        accuracy=told.accuracy,
        speed=told.speed,
    )
