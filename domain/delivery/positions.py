"""Where drivers are: which of the positions that a device tells are believed, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Protocol
from uuid import UUID

from domain.delivery.geography import POSITION_NOISE_METRES, Ping, Position, distance_metres, is_plausible

MAX_POSITIONS = 100
CLOCKS_DIFFER_BY = timedelta(seconds=30)
LONGEST_AGO = timedelta(minutes=30)
WORST_ACCURACY_METRES = 500.0
ARRIVING_METRES = 500.0
FENCE_METRES = {"customer": 150.0, "store": 200.0}
"""Around the door and around the store; coming in and going out is told."""

KEPT_EVERY = timedelta(seconds=15)
KEPT_EVERY_METRES = 50.0


class PositionRefusal(StrEnum):
    """Why a position is not believed."""

    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    IN_THE_FUTURE = "in_the_future"
    TOO_OLD = "too_old"
    IMPOSSIBLE_SPEED = "impossible_speed"
    INACCURATE = "inaccurate"
    NOT_ON_EARTH = "not_on_earth"


@dataclass(frozen=True, kw_only=True)
class DevicePosition:
    """What a device tells: when it was where; accuracy in metres, speed in metres per second."""

    at: datetime
    latitude: float
    longitude: float
    accuracy: float | None = None
    speed: float | None = None


@dataclass(frozen=True, kw_only=True)
class RejectedPosition:
    """A position that changed nothing; `index` is its place among those that were told."""

    index: int
    reason: PositionRefusal


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The positions that are believed, oldest first, and those that are not."""

    believed: Sequence[DevicePosition]
    rejected: Sequence[RejectedPosition]


def judge(told: Sequence[DevicePosition], last: Ping | None, now: datetime) -> Judgement:
    """Believe each position that follows from the ones before it; the others are refused one by one."""
    believed: list[DevicePosition] = []
    rejected: list[RejectedPosition] = []
    for index, each in enumerate(told):
        reason = _refusal(each, last, now)
        if reason is None:
            believed.append(each)
            last = ping_of(each)
        else:
            rejected.append(RejectedPosition(index=index, reason=reason))
    return Judgement(believed=believed, rejected=rejected)


def ping_of(told: DevicePosition) -> Ping:
    """Give where and when."""
    return Ping(Position(told.latitude, told.longitude), told.at)


def _refusal(told: DevicePosition, last: Ping | None, now: datetime) -> PositionRefusal | None:
    reason = _out_of_time(told, now) or _imprecise(told)
    if reason is not None or last is None:
        return reason
    ping = ping_of(told)
    if ping.at <= last.at:
        return PositionRefusal.DUPLICATE if ping == last else PositionRefusal.OUT_OF_ORDER
    return None if is_plausible(last, ping) else PositionRefusal.IMPOSSIBLE_SPEED


def _out_of_time(told: DevicePosition, now: datetime) -> PositionRefusal | None:
    if told.at > now + CLOCKS_DIFFER_BY:
        return PositionRefusal.IN_THE_FUTURE
    return PositionRefusal.TOO_OLD if told.at < now - LONGEST_AGO else None


def _imprecise(told: DevicePosition) -> PositionRefusal | None:
    if not 0 <= (told.accuracy or 0.0) <= WORST_ACCURACY_METRES or not isfinite(told.speed or 0.0):
        return PositionRefusal.INACCURATE
    on_earth = abs(told.latitude) <= 90 and abs(told.longitude) <= 180
    return None if on_earth else PositionRefusal.NOT_ON_EARTH


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A delivery that a driver has under way, as far as positions matter for it."""

    delivery_id: UUID
    door: Position | None
    store: Position | None


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Something on the way that is worth telling: nearly there, or in or out of a fence."""

    delivery_id: UUID
    at: datetime
    fence: str | None = None
    inside: bool = True


def crossings(leg: Leg, before: Ping | None, after: Ping) -> list[Crossing]:
    """Compare two successive positions with what lies around a delivery; the first of all comes from nowhere."""
    found: list[Crossing] = []
    for fence, center in (("store", leg.store), ("customer", leg.door)):
        if center is None:
            continue
        now_away, radius = distance_metres(after.position, center), FENCE_METRES[fence]
        was_away = distance_metres(before.position, center) if before else None
        if (now_away <= radius) != (was_away is not None and was_away <= radius):
            found.append(Crossing(delivery_id=leg.delivery_id, at=after.at, fence=fence, inside=now_away <= radius))
        near_before = was_away is not None and was_away <= ARRIVING_METRES
        if fence == "customer" and now_away <= ARRIVING_METRES and not near_before:
            found.append(Crossing(delivery_id=leg.delivery_id, at=after.at))
    return found


def worth_keeping(last_kept: Ping | None, ping: Ping) -> bool:
    """Say whether the history needs a position: one in so many seconds, or metres beyond the noise."""
    if last_kept is None or ping.at - last_kept.at >= KEPT_EVERY:
        return True
    return distance_metres(last_kept.position, ping.position) >= max(KEPT_EVERY_METRES, POSITION_NOISE_METRES)


@dataclass(frozen=True, kw_only=True)
class KeptPosition:
    """A position for the history."""

    tenant_id: UUID
    driver_id: UUID
    at: datetime
    latitude: float
    longitude: float
    accuracy: float | None
    speed: float | None

    @property
    def ping(self) -> Ping:
        return Ping(Position(self.latitude, self.longitude), self.at)


@dataclass(frozen=True, kw_only=True)
class LocationReceipt:
    """What became of the positions that a device told."""

    accepted: int
    rejections: Sequence[RejectedPosition] = ()


class Positions(Protocol):
    """Where drivers were last, for all processes; the newest wins, however late others arrive."""

    async def last(self, tenant_id: UUID, driver_ids: Sequence[UUID]) -> list[Ping | None]: ...

    async def keep(self, tenant_id: UUID, driver_id: UUID, ping: Ping) -> bool:
        """Keep a position; says no where a newer one is known already."""
        ...


class PositionLog(Protocol):
    """The history of positions; of what is noted it keeps what is worth keeping, and writes it a moment later."""

    def note(self, position: KeptPosition) -> None: ...


class Legs(Protocol):
    """What drivers have under way, remembered for seconds: positions come far more often than it changes."""

    async def of_driver(self, tenant_id: UUID, driver_id: UUID) -> Sequence[Leg]: ...

    def forget(self, tenant_id: UUID, driver_id: UUID) -> None:
        """Have it looked up anew."""
        ...


class DriverSignals(Protocol):
    """Tells those who watch a delivery where its driver is: the latest, at most once a second, and only if somebody does."""

    def tell(self, tenant_id: UUID, delivery_id: UUID, ping: Ping) -> None: ...
