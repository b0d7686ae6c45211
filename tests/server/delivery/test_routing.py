import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from domain.delivery.geography import Position
from domain.delivery.routing import (
    BrokenRoute,
    RoutePlan,
    RoutingProblem,
    Stop,
    TimeWindow,
    TravelMatrix,
    Unserved,
    UnservedReason,
    Vehicle,
    time_route,
)
from domain.kernel import InvalidInput, Unavailable
from server.delivery.routing import PyVrpOptimizer

EIGHT = datetime(2026, 5, 1, 8, tzinfo=UTC)
DEPOT = Position(45.50, -73.60)
ITERATIONS = 200


def window(opens: float, closes: float) -> TimeWindow:
    return TimeWindow(EIGHT + timedelta(minutes=opens), EIGHT + timedelta(minutes=closes))


def van(number: int = 1, **values) -> Vehicle:
    return Vehicle(**{"id": UUID(int=1000 + number), "capacity": 100, "shift": window(0, 480)} | values)


def east(number: int, kilometres: float, **values) -> Stop:
    """A stop on the street that leads east from the depot; a degree of longitude is 78 km there."""
    return Stop(id=UUID(int=number), position=Position(45.50, -73.60 + kilometres / 78), **values)


def city(stops: int, **values) -> list[Stop]:
    random = Random(11)
    places = [Position(45.5 + random.uniform(-0.1, 0.1), -73.6 + random.uniform(-0.1, 0.1)) for _ in range(stops)]
    return [Stop(id=UUID(int=number), position=place, **values) for number, place in enumerate(places, start=1)]


ONE_STOP = RoutingProblem(depot=DEPOT, vehicles=[van()], stops=[east(1, 1)])


async def optimise(vehicles, stops, **values) -> RoutePlan:
    problem = RoutingProblem(**{"depot": DEPOT, "vehicles": vehicles, "stops": stops} | values)
    return await PyVrpOptimizer().optimise(problem, iterations=ITERATIONS, seed=1)


def numbers(plan: RoutePlan) -> list[list[int]]:
    return [[stop_id.int for stop_id in route.stop_ids] for route in plan.routes]


def left_out(plan: RoutePlan) -> dict[int, UnservedReason]:
    return {each.stop_id.int: each.reason for each in plan.unserved}


class TestOptimise:
    async def test_drives_along_a_street_and_back(self):
        plan = await optimise([van()], [east(3, 3), east(1, 1), east(2, 2)])
        assert numbers(plan)[0] in ([1, 2, 3], [3, 2, 1], [1, 3, 2], [2, 3, 1])
        assert plan.distance_metres == pytest.approx(2 * 3_000 * 1.3, rel=0.01)
        assert plan.unserved == []

    async def test_keeps_windows_at_the_price_of_a_detour(self):
        stops = [
            east(1, 1, window=window(120, 130)),
            east(2, 2, window=window(60, 70)),
            east(3, 3, window=window(0, 30)),
        ]
        assert numbers(await optimise([van()], stops)) == [[3, 2, 1]]

    async def test_loads_no_vehicle_beyond_its_capacity(self):
        plan = await optimise([van(1, capacity=5), van(2, capacity=7, count=2)], city(9, demand=2))
        # Two parcels of two in the small one and three in each of the large ones are eight; one parcel has no place.
        capacities = {UUID(int=1001): 2, UUID(int=1002): 3}
        assert all(len(route.visits) <= capacities[route.vehicle_id] for route in plan.routes)
        assert sum(len(route.visits) for route in plan.routes) == 8
        assert set(left_out(plan).values()) == {UnservedReason.NO_VEHICLE_LEFT}

    async def test_lets_every_vehicle_of_a_kind_drive(self):
        plan = await optimise([van(count=3, capacity=3)], city(9))
        assert sorted(map(len, numbers(plan))) == [3, 3, 3]

    async def test_saves_a_vehicle_that_costs_more_than_it_spares(self):
        west = Stop(id=UUID(int=2), position=Position(45.50, -73.60 - 5 / 78))
        homes = [van(1, start=Position(45.50, -73.50)), van(2, start=Position(45.50, -73.70))]
        assert len((await optimise(homes, [east(1, 5), west])).routes) == 2
        dear = [van(each, start=home.start, fixed_cost_metres=100_000) for each, home in enumerate(homes, start=1)]
        assert len((await optimise(dear, [east(1, 5), west])).routes) == 1

    async def test_begins_where_the_vehicle_is(self):
        plan = await optimise([van(start=Position(45.50, -73.60 + 10 / 78))], [east(1, 1), east(2, 9)])
        assert numbers(plan) == [[2, 1]]
        assert plan.distance_metres == pytest.approx(10_000 * 1.3, rel=0.01)

    async def test_lets_nobody_drive_longer_than_allowed(self):
        plan = await optimise([van(count=4, max_duration_seconds=5_400)], city(20, service_seconds=300))
        assert plan.routes
        assert all(route.duration_seconds <= 5_400 for route in plan.routes)

    async def test_believes_the_matrix_rather_than_the_map(self):
        one_way = [[0, 100, 900], [900, 0, 100], [100, 900, 0]]
        travel = TravelMatrix(metres=one_way, seconds=one_way)
        plan = await optimise([van()], [east(1, 1), east(2, 1)], travel=travel)
        assert numbers(plan) == [[1, 2]]
        assert (plan.distance_metres, plan.duration_seconds) == (300, 300)

    async def test_finds_the_same_plan_again_by_the_same_seed(self):
        stops = city(25, demand=3, service_seconds=120)
        assert await optimise([van(count=2)], stops) == await optimise([van(count=2)], stops)

    async def test_ends_when_its_time_is_over(self):
        problem = RoutingProblem(depot=DEPOT, vehicles=[van()], stops=city(10))
        plan = await PyVrpOptimizer().optimise(problem, seconds=0.2)
        assert len(plan.routes[0].visits) == 10


class TestInfeasible:
    async def test_names_the_stops_that_nobody_can_serve_and_serves_the_others(self):
        stops = [east(1, 1), east(2, 2, demand=101), east(3, 30, window=window(0, 10)), east(4, 400)]
        plan = await optimise([van()], stops)
        assert numbers(plan) == [[1]]
        assert left_out(plan) == {
            2: UnservedReason.EXCEEDS_CAPACITY,
            3: UnservedReason.OUT_OF_REACH,
            4: UnservedReason.OUT_OF_REACH,
        }

    async def test_leaves_out_one_of_two_that_want_the_driver_at_the_same_time(self):
        west = Stop(id=UUID(int=2), position=Position(45.50, -73.60 - 5 / 78), window=window(60, 65))
        plan = await optimise([van()], [east(1, 5, window=window(60, 65)), west, east(3, 1)])
        (route,) = numbers(plan)
        assert sorted(route) in ([1, 3], [2, 3])
        assert list(left_out(plan).values()) == [UnservedReason.NO_VEHICLE_LEFT]

    async def test_serves_as_many_as_there_is_time_for(self):
        hour = [van(shift=window(0, 60))]
        plan = await optimise(hour, [east(each, 1, service_seconds=900) for each in range(1, 6)])
        assert len(numbers(plan)[0]) == 3
        assert len(left_out(plan)) == 2

    async def test_leaves_nobody_out_who_could_be_visited_between_two_others(self):
        vehicles = [van(capacity=14, shift=window(0, 180))]
        plan = await optimise(vehicles, city(30, service_seconds=300, demand=1))
        problem = RoutingProblem(depot=DEPOT, vehicles=vehicles, stops=city(30, service_seconds=300, demand=1))
        (route,) = plan.routes
        assert len(plan.unserved) == 30 - len(route.visits)
        for each in plan.unserved:
            for place in range(len(route.visits) + 1):
                with pytest.raises(BrokenRoute):
                    time_route(problem, vehicles[0], [*route.stop_ids[:place], each.stop_id, *route.stop_ids[place:]])

    async def test_has_no_route_where_nobody_can_be_served(self):
        plan = await optimise([van(capacity=0)], [east(1, 1)])
        assert plan == RoutePlan(routes=[], unserved=[Unserved(UUID(int=1), UnservedReason.EXCEEDS_CAPACITY)])

    async def test_has_no_route_without_stops(self):
        assert await optimise([van()], []) == RoutePlan(routes=[], unserved=[])

    async def test_keeps_fractions_of_seconds(self):
        fraction = timedelta(milliseconds=400)
        shift = TimeWindow(EIGHT + fraction, EIGHT + timedelta(hours=1) - fraction)
        tight = TimeWindow(EIGHT + timedelta(minutes=20) + fraction, EIGHT + timedelta(minutes=21) - fraction)
        plan = await optimise([van(shift=shift)], [east(1, 1, window=tight), east(2, 2)])
        assert sorted(numbers(plan)[0]) == [1, 2]


class TestProcess:
    @pytest.mark.parametrize("budget", [{"seconds": 0}, {"seconds": -1}, {"iterations": 0}])
    async def test_does_not_begin_without_a_budget(self, budget):
        with pytest.raises(InvalidInput):
            await PyVrpOptimizer().optimise(ONE_STOP, **budget)

    async def test_leaves_the_event_loop_free(self):
        problem = RoutingProblem(depot=DEPOT, vehicles=[van()], stops=city(40))
        search = asyncio.create_task(PyVrpOptimizer().optimise(problem, iterations=ITERATIONS))
        turns = 0
        while not search.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 100
        assert (await search).unserved == []

    async def test_ends_with_the_one_who_waits_for_it(self, monkeypatch):
        begun: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()
        start = asyncio.create_subprocess_exec

        async def watched(*arguments, **values):
            process = await start(*arguments, **values)
            begun.set_result(process)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
        search = asyncio.create_task(PyVrpOptimizer().optimise(ONE_STOP, seconds=3_600))
        process = await begun
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert process.returncode is not None

    async def test_tells_when_it_fails(self):
        optimizer = PyVrpOptimizer(program=("-c", "raise SystemExit(3)"))
        with pytest.raises(Unavailable, match="route optimiser"):
            await optimizer.optimise(ONE_STOP, iterations=1)

    async def test_tells_when_it_does_not_end(self):
        optimizer = PyVrpOptimizer(program=("-c", "import time; time.sleep(3600)"), grace_seconds=0.1)
        with pytest.raises(Unavailable, match="route optimiser"):
            await optimizer.optimise(ONE_STOP, seconds=0.1)
