"""Which vehicle goes to whom, in which order: the problem, its solution, and the port of whoever solves it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from math import ceil
from typing import Protocol
from uuid import UUID

from domain.delivery.geography import Position, distance_metres
from domain.kernel import DomainError, InvalidInput

MAX_STOPS = 1_000


@dataclass(frozen=True)
class TimeWindow:
    """From an instant to another, both included.

    Raises: InvalidInput.
    """

    opens: datetime
    closes: datetime

    def __post_init__(self) -> None:
        if self.opens.tzinfo is None or self.closes.tzinfo is None:
            raise InvalidInput(field="window", reason="its instants need a time zone")
        if self.closes < self.opens:
            raise InvalidInput(field="window", reason="it must not close before it opens")


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """`count` vehicles alike, each with a driver on one shift, who come back to the depot within it.

    `fixed_cost_metres` is what sending one out costs at all, in metres of driving: a high one saves vehicles first.

    Raises: InvalidInput.
    """

    id: UUID
    capacity: int
    shift: TimeWindow
    count: int = 1
    start: Position | None = None
    max_duration_seconds: int | None = None
    fixed_cost_metres: int = 0

    def __post_init__(self) -> None:
        _not_negative(capacity=self.capacity, fixedCostMetres=self.fixed_cost_metres)
        if self.count < 1:
            raise InvalidInput(field="count", reason="it must be at least 1")
        if self.max_duration_seconds is not None and self.max_duration_seconds <= 0:
            raise InvalidInput(field="maxDurationSeconds", reason="it must be more than 0")


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Somebody who waits for `demand` units; the window is that of the arrival, and who comes early waits.

    Raises: InvalidInput.
    """

    id: UUID
    position: Position
    demand: int = 1
    service_seconds: int = 0
    window: TimeWindow | None = None

    def __post_init__(self) -> None:
        _not_negative(demand=self.demand, serviceSeconds=self.service_seconds)


@dataclass(frozen=True)
class TravelMatrix:
    """Metres and seconds from each point of a problem (row) to each other (column), in the order of `RoutingProblem.points`."""

    metres: Sequence[Sequence[int]]
    seconds: Sequence[Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class StraightLineTravel:
    """Travel without a map: the great circle, made longer by the detours of streets, at an average speed.

    Source: Ballou, Rahardja and Sakai, "Selected country circuity factors for road travel distance estimation" (2002),
    find 1.2 to 1.5 in most countries; 30 km/h is a van between the doors of a city.

    Raises: InvalidInput.
    """

    detour_factor: float = 1.3
    speed_kmh: float = 30.0

    def __post_init__(self) -> None:
        if self.detour_factor < 1 or self.speed_kmh <= 0:
            raise InvalidInput(field="travel", reason="a detour is no shorter than the way, and a speed is more than 0")

    def metres(self, a: Position, b: Position) -> int:
        return ceil(distance_metres(a, b) * self.detour_factor)

    def seconds(self, metres: int) -> int:
        return ceil(metres * 3.6 / self.speed_kmh)

    def matrix(self, points: Sequence[Position]) -> TravelMatrix:
        metres = [[self.metres(a, b) for b in points] for a in points]
        return TravelMatrix(metres, [[self.seconds(each) for each in row] for row in metres])


@dataclass(frozen=True, kw_only=True)
class RoutingProblem:
    """Vehicles at a depot and the stops that they are to serve.

    Raises: InvalidInput.
    """

    depot: Position
    vehicles: Sequence[Vehicle]
    stops: Sequence[Stop]
    travel: TravelMatrix | StraightLineTravel = StraightLineTravel()

    def __post_init__(self) -> None:
        for name, entries in (("vehicles", self.vehicles), ("stops", self.stops)):
            if len({each.id for each in entries}) != len(entries):
                raise InvalidInput(field=name, reason="each must be named once")
        if not self.vehicles:
            raise InvalidInput(field="vehicles", reason="at least one is needed")
        if len(self.stops) > MAX_STOPS:
            raise InvalidInput(field="stops", reason=f"at most {MAX_STOPS:,} are planned at once")
        if isinstance(self.travel, TravelMatrix):
            _check_matrix(self.travel, len(self.points))

    @cached_property
    def points(self) -> tuple[Position, ...]:
        """The depot, then the stops in their order, then the starts of those vehicles that have one of their own."""
        starts = (each.start for each in self.vehicles if each.start is not None)
        return (self.depot, *(each.position for each in self.stops), *starts)

    @cached_property
    def matrix(self) -> TravelMatrix:
        return self.travel if isinstance(self.travel, TravelMatrix) else self.travel.matrix(self.points)

    @cached_property
    def stop_points(self) -> Mapping[UUID, int]:
        return {stop.id: place for place, stop in enumerate(self.stops, start=1)}

    def stop(self, stop_id: UUID) -> Stop:
        return self.stops[self.stop_points[stop_id] - 1]

    @cached_property
    def start_points(self) -> Mapping[UUID, int]:
        """Where each vehicle sets out: the depot, or a point of its own."""
        own = iter(range(1 + len(self.stops), len(self.points)))
        return {each.id: 0 if each.start is None else next(own) for each in self.vehicles}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One stop on a route; service begins when the vehicle has arrived and the window is open."""

    stop_id: UUID
    arrives_at: datetime
    begins_at: datetime
    leaves_at: datetime
    metres: int
    """The way from the point before."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one vehicle does from its start until it is back at the depot."""

    vehicle_id: UUID
    visits: Sequence[Visit]
    leaves_at: datetime
    returns_at: datetime
    distance_metres: int

    @property
    def stop_ids(self) -> list[UUID]:
        return [visit.stop_id for visit in self.visits]

    @property
    def duration_seconds(self) -> int:
        return round((self.returns_at - self.leaves_at).total_seconds())


class UnservedReason(StrEnum):
    """Why a stop is on no route: too much for any vehicle, too far or too late for any, or all are busy with others."""

    EXCEEDS_CAPACITY = "exceeds_capacity"
    OUT_OF_REACH = "out_of_reach"
    NO_VEHICLE_LEFT = "no_vehicle_left"


@dataclass(frozen=True)
class Unserved:
    """A stop that no vehicle can serve at all, or none beside the others."""

    stop_id: UUID
    reason: UnservedReason


@dataclass(frozen=True, kw_only=True)
class RoutePlan:
    """Routes that keep every window, shift and capacity, and the stops that are left over."""

    routes: Sequence[Route]
    unserved: Sequence[Unserved]

    @property
    def distance_metres(self) -> int:
        return sum(route.distance_metres for route in self.routes)

    @property
    def duration_seconds(self) -> int:
        return sum(route.duration_seconds for route in self.routes)


@dataclass(eq=False)
class BrokenRoute(DomainError):
    """A sequence of stops that the vehicle cannot drive as promised."""

    vehicle_id: str
    stop_id: str | None
    reason: str
    template = "Vehicle {vehicle_id} cannot drive this route: {reason}."


class RouteOptimizer(Protocol):
    """Plans routes; the shortest ones it finds within the time, serving as many stops as can be served."""

    async def optimise(
        self, problem: RoutingProblem, *, seconds: float = 5.0, seed: int = 0, iterations: int | None = None
    ) -> RoutePlan:
        """Plan within `seconds`, or in so many `iterations` of the search: then a seed gives the same plan every time.

        Raises: InvalidInput, Unavailable.
        """
        ...


def time_route(problem: RoutingProblem, vehicle: Vehicle, stop_ids: Sequence[UUID]) -> Route:
    """Say when a vehicle is where if it goes to these stops in this order: back as early as can be, set out as late.

    Raises: BrokenRoute.
    """
    if sum(problem.stop(each).demand for each in stop_ids) > vehicle.capacity:
        raise BrokenRoute(str(vehicle.id), None, "it holds more than the vehicle does")
    back_at = _drive(problem, vehicle, stop_ids, vehicle.shift.opens).returns_at
    route = _drive(problem, vehicle, stop_ids, _latest_departure(problem, vehicle, stop_ids, back_at))
    if route.returns_at > vehicle.shift.closes:
        raise BrokenRoute(str(vehicle.id), None, "it ends after the shift")
    if vehicle.max_duration_seconds is not None and route.duration_seconds > vehicle.max_duration_seconds:
        raise BrokenRoute(str(vehicle.id), None, "it takes longer than the driver may be out")
    return route


def unservable(problem: RoutingProblem) -> list[Unserved]:
    """List the stops that no vehicle could serve even if it had nothing else to do."""
    largest = max(vehicle.capacity for vehicle in problem.vehicles)
    return [
        Unserved(stop.id, UnservedReason.EXCEEDS_CAPACITY if stop.demand > largest else UnservedReason.OUT_OF_REACH)
        for stop in problem.stops
        if not any(_can_serve(problem, vehicle, stop) for vehicle in problem.vehicles)
    ]


def _can_serve(problem: RoutingProblem, vehicle: Vehicle, stop: Stop) -> bool:
    try:
        time_route(problem, vehicle, [stop.id])
    except BrokenRoute:
        return False
    return True


def _drive(problem: RoutingProblem, vehicle: Vehicle, stop_ids: Sequence[UUID], leaves_at: datetime) -> Route:
    matrix, place, clock = problem.matrix, problem.start_points[vehicle.id], leaves_at
    visits: list[Visit] = []
    for stop in map(problem.stop, stop_ids):
        there = problem.stop_points[stop.id]
        arrives_at = clock + timedelta(seconds=matrix.seconds[place][there])
        begins_at = max(arrives_at, stop.window.opens) if stop.window else arrives_at
        if stop.window and begins_at > stop.window.closes:
            raise BrokenRoute(str(vehicle.id), str(stop.id), "it comes to a stop after its window has closed")
        clock = begins_at + timedelta(seconds=stop.service_seconds)
        metres = matrix.metres[place][there]
        visits.append(
            Visit(stop_id=stop.id, arrives_at=arrives_at, begins_at=begins_at, leaves_at=clock, metres=metres)
        )
        place = there
    return Route(
        vehicle_id=vehicle.id,
        visits=visits,
        leaves_at=leaves_at,
        returns_at=clock + timedelta(seconds=matrix.seconds[place][0]),
        distance_metres=sum(visit.metres for visit in visits) + matrix.metres[place][0],
    )


def _latest_departure(
    problem: RoutingProblem, vehicle: Vehicle, stop_ids: Sequence[UUID], returns_at: datetime
) -> datetime:
    """From the return backwards, the latest instant at which each stop may begin, and with it the departure."""
    place, latest = 0, returns_at
    for stop in map(problem.stop, reversed(stop_ids)):
        here = problem.stop_points[stop.id]
        latest -= timedelta(seconds=problem.matrix.seconds[here][place] + stop.service_seconds)
        latest = min(latest, stop.window.closes) if stop.window else latest
        place = here
    return latest - timedelta(seconds=problem.matrix.seconds[problem.start_points[vehicle.id]][place])


def _not_negative(**values: int) -> None:
    for name, value in values.items():
        if value < 0:
            raise InvalidInput(field=name, reason="it must not be negative")


def _check_matrix(matrix: TravelMatrix, points: int) -> None:
    for rows in (matrix.metres, matrix.seconds):
        if len(rows) != points or any(len(row) != points for row in rows):
            raise InvalidInput(field="travel", reason=f"the matrix must have {points} rows and columns")
        if any(min(row) < 0 for row in rows):
            raise InvalidInput(field="travel", reason="no way is shorter than nothing")
