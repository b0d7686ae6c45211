from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.delivery.geography import Position
from domain.delivery.routing import (
    BrokenRoute,
    RoutePlan,
    RoutingProblem,
    Stop,
    StraightLineTravel,
    TimeWindow,
    TravelMatrix,
    Unserved,
    UnservedReason,
    Vehicle,
    Visit,
    time_route,
    unservable,
)
from domain.kernel import InvalidInput

EIGHT = datetime(2026, 5, 1, 8, tzinfo=UTC)
HERE = Position(45.5, -73.6)
FIRST, SECOND, VAN = UUID(int=1), UUID(int=2), UUID(int=9)


def at(minutes: float) -> datetime:
    return EIGHT + timedelta(minutes=minutes)


def window(opens: float, closes: float) -> TimeWindow:
    return TimeWindow(at(opens), at(closes))


def stop(stop_id: UUID, **values) -> Stop:
    return Stop(**{"id": stop_id, "position": HERE, "service_seconds": 300} | values)


def van(**values) -> Vehicle:
    return Vehicle(**{"id": VAN, "capacity": 10, "shift": window(0, 240)} | values)


def ten_minutes_apart(vehicles, stops) -> RoutingProblem:
    points = 1 + len(stops) + sum(each.start is not None for each in vehicles)
    ways = [[0 if a == b else 1 for b in range(points)] for a in range(points)]
    return RoutingProblem(
        depot=HERE,
        vehicles=vehicles,
        stops=stops,
        travel=TravelMatrix(
            metres=[[each * 5_000 for each in row] for row in ways],
            seconds=[[each * 600 for each in row] for row in ways],
        ),
    )


class TestInput:
    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: TimeWindow(at(1), at(0)),
            lambda: TimeWindow(at(0).replace(tzinfo=None), at(1)),
            lambda: van(capacity=-1),
            lambda: van(count=0),
            lambda: van(max_duration_seconds=0),
            lambda: van(fixed_cost_metres=-1),
            lambda: stop(FIRST, demand=-1),
            lambda: stop(FIRST, service_seconds=-1),
            lambda: StraightLineTravel(detour_factor=0.9),
            lambda: StraightLineTravel(speed_kmh=0),
            lambda: RoutingProblem(depot=HERE, vehicles=[], stops=[]),
            lambda: RoutingProblem(depot=HERE, vehicles=[van(), van()], stops=[]),
            lambda: RoutingProblem(depot=HERE, vehicles=[van()], stops=[stop(FIRST), stop(FIRST)]),
            lambda: RoutingProblem(depot=HERE, vehicles=[van()], stops=[stop(UUID(int=n)) for n in range(1_001)]),
            lambda: RoutingProblem(depot=HERE, vehicles=[van()], stops=[], travel=TravelMatrix([[0]], [[0, 1]])),
            lambda: RoutingProblem(depot=HERE, vehicles=[van()], stops=[], travel=TravelMatrix([[-1]], [[0]])),
        ],
    )
    def test_is_refused_when_it_makes_no_sense(self, wrong):
        with pytest.raises(InvalidInput):
            wrong()

    def test_numbers_the_points_depot_first_then_stops_then_starts(self):
        home = Position(45.6, -73.5)
        there = Position(45.4, -73.7)
        own = van(id=UUID(int=8), start=home)
        problem = RoutingProblem(depot=HERE, vehicles=[van(), own], stops=[stop(FIRST, position=there)])
        assert problem.points == (HERE, there, home)
        assert problem.start_points == {VAN: 0, own.id: 2}
        assert problem.stop_points == {FIRST: 1}


class TestStraightLineTravel:
    def test_makes_the_great_circle_longer_and_drives_it_at_the_speed(self):
        travel = StraightLineTravel(detour_factor=1.5, speed_kmh=36)
        matrix = travel.matrix([Position(0, 0), Position(0, 1)])
        assert matrix.metres == [[0, 166_793], [166_793, 0]]
        assert matrix.seconds == [[0, 16_680], [16_680, 0]]


class TestTimeRoute:
    def test_says_when_the_vehicle_is_where(self):
        problem = ten_minutes_apart([van()], [stop(FIRST), stop(SECOND)])
        route = time_route(problem, problem.vehicles[0], [SECOND, FIRST])
        assert route.visits == [
            Visit(stop_id=SECOND, arrives_at=at(10), begins_at=at(10), leaves_at=at(15), metres=5_000),
            Visit(stop_id=FIRST, arrives_at=at(25), begins_at=at(25), leaves_at=at(30), metres=5_000),
        ]
        assert (route.leaves_at, route.returns_at) == (at(0), at(40))
        assert (route.distance_metres, route.duration_seconds) == (15_000, 2_400)

    def test_sets_out_late_rather_than_wait_at_the_door(self):
        problem = ten_minutes_apart([van()], [stop(FIRST, window=window(60, 90))])
        route = time_route(problem, problem.vehicles[0], [FIRST])
        assert (route.leaves_at, route.visits[0].arrives_at, route.returns_at) == (at(50), at(60), at(75))

    def test_waits_where_an_earlier_window_asks_for_it(self):
        stops = [stop(FIRST, window=window(10, 20)), stop(SECOND, window=window(60, 90))]
        problem = ten_minutes_apart([van()], stops)
        route = time_route(problem, problem.vehicles[0], [FIRST, SECOND])
        assert route.leaves_at == at(10)
        assert [(each.arrives_at, each.begins_at) for each in route.visits] == [(at(20), at(20)), (at(35), at(60))]

    def test_begins_at_the_start_of_the_vehicle_and_ends_at_the_depot(self):
        problem = ten_minutes_apart([van(start=Position(45.6, -73.5))], [stop(FIRST)])
        assert time_route(problem, problem.vehicles[0], [FIRST]).distance_metres == 10_000

    @pytest.mark.parametrize(
        ("vehicle", "stops", "reason"),
        [
            (van(capacity=1), [stop(FIRST), stop(SECOND)], "holds more"),
            (van(), [stop(FIRST, window=window(30, 40)), stop(SECOND, window=window(0, 30))], "window has closed"),
            (van(shift=window(0, 39)), [stop(FIRST), stop(SECOND)], "after the shift"),
            (van(max_duration_seconds=2_399), [stop(FIRST), stop(SECOND)], "longer than"),
        ],
    )
    def test_refuses_what_cannot_be_driven(self, vehicle, stops, reason):
        problem = ten_minutes_apart([vehicle], stops)
        with pytest.raises(BrokenRoute, match=reason):
            time_route(problem, vehicle, [FIRST, SECOND])


class TestUnservable:
    def test_names_what_no_vehicle_could_serve_alone(self):
        stops = [
            stop(UUID(int=1), demand=11),
            stop(UUID(int=2), window=window(0, 9)),
            stop(UUID(int=3), window=window(230, 300)),
            stop(UUID(int=4)),
        ]
        assert unservable(ten_minutes_apart([van()], stops)) == [
            Unserved(UUID(int=1), UnservedReason.EXCEEDS_CAPACITY),
            Unserved(UUID(int=2), UnservedReason.OUT_OF_REACH),
            Unserved(UUID(int=3), UnservedReason.OUT_OF_REACH),
        ]

    def test_finds_the_one_vehicle_that_can(self):
        large = van(id=UUID(int=8), capacity=20, shift=window(0, 20))
        problem = ten_minutes_apart([van(), large], [stop(FIRST, demand=11), stop(SECOND)])
        assert unservable(problem) == [Unserved(FIRST, UnservedReason.OUT_OF_REACH)]


class TestRoutePlan:
    def test_adds_its_routes_up(self):
        problem = ten_minutes_apart([van()], [stop(FIRST), stop(SECOND)])
        routes = [time_route(problem, problem.vehicles[0], [each]) for each in (FIRST, SECOND)]
        plan = RoutePlan(routes=routes, unserved=[])
        assert (plan.distance_metres, plan.duration_seconds) == (20_000, 3_000)
        assert routes[0].stop_ids == [FIRST]
