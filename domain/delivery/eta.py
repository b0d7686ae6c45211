"""When a driver will be there: from where the driver is, what is still to be done, and the pace of today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from uuid import UUID

from domain.delivery.geography import Ping, Position
from domain.delivery.routing import StraightLineTravel

# Of ten arrivals that scatter normally, eight lie within so many standard deviations.
BAND_DEVIATIONS = 1.2816
# How far a single way and a single service scatter around what is expected of them.
WAY_VARIATION = 0.25
SERVICE_VARIATION = 0.5
# The plan counts as much as this long a drive does: one red light at the first corner says little about the day.
PLAN_WEIGHT_SECONDS = 1_200.0
SLOWEST, FASTEST = 3.0, 0.5


@dataclass(frozen=True)
class DrivenLeg:
    """How long a way was to take, and how long it took; in seconds, without the service at its end."""

    planned_seconds: float
    actual_seconds: float


@dataclass(frozen=True)
class Pace:
    """How the ways of today compare with the plan: a ratio of 1.2 takes a fifth longer, give or take the uncertainty."""

    ratio: float = 1.0
    uncertainty: float = WAY_VARIATION


@dataclass(frozen=True, kw_only=True)
class RemainingStop:
    """A stop that is still to be driven to, and how long the way from the stop before was planned to take."""

    id: UUID
    position: Position
    service_seconds: int = 0
    opens_at: datetime | None = None
    planned_seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """When a stop is reached: the expected instant within a band that four of five arrivals keep."""

    stop_id: UUID
    earliest: datetime
    expected: datetime
    latest: datetime


def observed_pace(legs: Sequence[DrivenLeg]) -> Pace:
    """Give the pace of the legs driven so far, drawn towards the plan while there are few of them."""
    planned = PLAN_WEIGHT_SECONDS + sum(leg.planned_seconds for leg in legs)
    actual = PLAN_WEIGHT_SECONDS + sum(leg.actual_seconds for leg in legs)
    ratio = min(SLOWEST, max(FASTEST, actual / planned))
    return Pace(ratio, WAY_VARIATION * sqrt(PLAN_WEIGHT_SECONDS / planned))


def estimate_arrivals(
    ping: Ping,
    remaining: Sequence[RemainingStop],
    *,
    now: datetime,
    pace: Pace | None = None,
    travel: StraightLineTravel | None = None,
) -> list[Arrival]:
    """Give the arrival at each remaining stop, in the order in which they are driven to.

    The first way begins where the driver was last seen, and when; no arrival lies before `now`. The scatter of ways and
    services is independent and adds up as a variance, while an error of the pace is the same on every way.
    """
    pace, travel = pace or Pace(), travel or StraightLineTravel()
    clock, place, driven, variance = ping.at, ping.position, 0.0, 0.0
    arrivals: list[Arrival] = []
    for number, stop in enumerate(remaining):
        planned = stop.planned_seconds if number else None
        way = travel.seconds(travel.metres(place, stop.position)) if planned is None else planned
        driven += way
        variance += (WAY_VARIATION * way * pace.ratio) ** 2
        expected = max(now, clock + timedelta(seconds=round(way * pace.ratio)))
        band = timedelta(seconds=round(BAND_DEVIATIONS * sqrt(variance + (pace.uncertainty * driven) ** 2)))
        arrivals.append(
            Arrival(stop_id=stop.id, earliest=max(now, expected - band), expected=expected, latest=expected + band)
        )
        clock = max(expected, stop.opens_at or expected) + timedelta(seconds=stop.service_seconds)
        place = stop.position
        variance += (SERVICE_VARIATION * stop.service_seconds) ** 2
    return arrivals
