"""Plans routes with PyVRP, in a process of its own: the search keeps a processor busy, and numpy out of the server's memory."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any

import orjson
import structlog

from domain.delivery.routing import (
    RoutePlan,
    RoutingProblem,
    Stop,
    TimeWindow,
    Unserved,
    UnservedReason,
    Vehicle,
    time_route,
    unservable,
)
from domain.kernel import InvalidInput, Unavailable

log = structlog.get_logger("agora.delivery")

# What starting a process, building the matrices and a last round of the search may take beyond the budget.
GRACE_SECONDS = 30.0
SEARCH = ("-m", "server.delivery.solving")


class PyVrpOptimizer:
    """Implements `RouteOptimizer`; at most `at_once` searches run at a time, the others wait for their turn."""

    def __init__(
        self, *, at_once: int = 1, program: Sequence[str] = SEARCH, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._program = program
        self._grace_seconds = grace_seconds

    async def optimise(
        self, problem: RoutingProblem, *, seconds: float = 5.0, seed: int = 0, iterations: int | None = None
    ) -> RoutePlan:
        if seconds <= 0 or (iterations is not None and iterations < 1):
            raise InvalidInput(field="seconds", reason="a search needs more than nothing")
        # A thousand stops have a million ways between them, which take longer than a loop may stand still.
        hopeless, stops, task = await asyncio.to_thread(_prepared, problem)
        if not stops:
            return RoutePlan(routes=[], unserved=hopeless)
        budget = {"seconds": seconds, "iterations": iterations, "seed": seed}
        async with self._turns:
            timeout = None if iterations else seconds + self._grace_seconds
            found = await _solve(self._program, task | budget, timeout)
        return _plan(problem, stops, found, hopeless)


def _prepared(problem: RoutingProblem) -> tuple[list[Unserved], list[Stop], dict[str, Any]]:
    """Set apart the stops that can be served, and say the problem without the others."""
    hopeless = unservable(problem)
    left_out = {each.stop_id for each in hopeless}
    stops = [stop for stop in problem.stops if stop.id not in left_out]
    return hopeless, stops, _task(problem, stops)


def _plan(problem: RoutingProblem, stops: list[Stop], found: list[Any], hopeless: list[Unserved]) -> RoutePlan:
    # The domain times each route itself, and refuses one that breaks a promise, whoever made it.
    routes = [
        time_route(problem, problem.vehicles[each["vehicle"]], [stops[place].id for place in each["stops"]])
        for each in found
    ]
    served = {stop_id for route in routes for stop_id in route.stop_ids}
    left = [Unserved(stop.id, UnservedReason.NO_VEHICLE_LEFT) for stop in stops if stop.id not in served]
    return RoutePlan(routes=routes, unserved=[*hopeless, *left])


def _task(problem: RoutingProblem, stops: list[Stop]) -> dict[str, Any]:
    """Say the problem in the integers that the solver computes with: seconds since the first shift begins."""
    epoch = min(vehicle.shift.opens for vehicle in problem.vehicles).replace(microsecond=0)
    starts = sorted({place for place in problem.start_points.values() if place})
    points = [0, *(problem.stop_points[stop.id] for stop in stops), *starts]
    depots = {0: 0} | {place: number for number, place in enumerate(starts, start=1)}
    return {
        "metres": [[problem.matrix.metres[a][b] for b in points] for a in points],
        "seconds_between": [[problem.matrix.seconds[a][b] for b in points] for a in points],
        "depots": [0, *range(1 + len(stops), len(points))],
        "clients": [_client(stop, epoch) for stop in stops],
        "vehicles": [_vehicle(each, depots[problem.start_points[each.id]], epoch) for each in problem.vehicles],
    }


def _client(stop: Stop, epoch: datetime) -> dict[str, Any]:
    client: dict[str, Any] = {"delivery": [stop.demand], "service_duration": stop.service_seconds}
    return client if stop.window is None else client | _limits(stop.window, epoch)


def _vehicle(vehicle: Vehicle, depot: int, epoch: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "num_available": vehicle.count,
        "capacity": [vehicle.capacity],
        "start_depot": depot,
        "fixed_cost": vehicle.fixed_cost_metres,
    } | _limits(vehicle.shift, epoch)
    longest = vehicle.max_duration_seconds
    return values if longest is None else values | {"shift_duration": longest}


def _limits(window: TimeWindow, epoch: datetime) -> dict[str, int]:
    # Fractions of a second are rounded inwards, so that what the solver keeps is kept.
    opens, closes = (instant - epoch for instant in (window.opens, window.closes))
    second = timedelta(seconds=1)
    early = max(0, ceil(opens / second))
    return {"tw_early": early, "tw_late": max(early, floor(closes / second))}


async def _solve(program: Sequence[str], task: Mapping[str, Any], timeout: float | None) -> list[Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        answer, complaint = await asyncio.wait_for(process.communicate(orjson.dumps(task)), timeout)
    except TimeoutError as error:
        raise Unavailable(part="The route optimiser") from error
    finally:
        await _end(process)
    if process.returncode:
        log.error("route optimiser failed", code=process.returncode, complaint=complaint.decode(errors="replace"))
        raise Unavailable(part="The route optimiser")
    routes: list[Any] = orjson.loads(answer)
    return routes


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no search behind that nobody waits for any more."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
