"""When a driver will be there: from where the driver is, what is still to be done, and the pace of today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from uuid import UUID

from domain.delivery.geography import Ping
from domain.delivery.routing import Stop, StraightLineTravel


@dataclass(frozen=True)
class DrivenLeg:
    """How long a way was to take, and how long it took; in seconds, without the service at its end."""

    planned_seconds: float
    actual_seconds: float


@dataclass(frozen=True)
class Pace:
    """How the ways of today compare with the plan: 1.2 takes a fifth longer."""

    ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """When a stop is reached: the expected instant within a band that four of five arrivals keep."""

    stop_id: UUID
    earliest: datetime
    expected: datetime
    latest: datetime


def observed_pace(legs: Sequence[DrivenLeg]) -> Pace:
    """Give the pace of the legs driven so far, drawn towards the plan while there are few of them."""
    raise NotImplementedError


def estimate_arrivals(
    ping: Ping,
    remaining: Sequence[Stop],
    *,
    now: datetime,
    pace: Pace = Pace(),
    travel: StraightLineTravel = StraightLineTravel(),
) -> list[Arrival]:
    """Give the arrival at each remaining stop, in the order in which they are driven to."""
    raise NotImplementedError
