"""The search for routes, as the program of a process: a problem in integers comes in as JSON, sequences of stops go out."""

import sys
import warnings
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import orjson

# So much of the budget must do to serve everybody; if that finds no way, some stops are given up for the rest of it.
# Tight fleets need it: a plan that keeps every limit may be found late, and leaving out whom it costs most is quick.
SHARE_FOR_ALL = 0.8
# The search accepts what is better than so many steps before. The default of 300 is made for minutes; in the seconds
# that a dispatcher waits, a shorter memory finds plans for tight fleets that the longer one does not find.
REMEMBERED_STEPS = 50


class Budget:
    """How long the search goes on: by iterations where they are given, else by the clock."""

    def __init__(self, seconds: float, iterations: int | None) -> None:
        self._seconds = seconds
        self._iterations = iterations
        self._begun = perf_counter()
        self._done = 0

    def spent(self) -> float:
        """Give the share of the budget that is used up; asked once an iteration."""
        self._done += 1
        if self._iterations is not None:
            return (self._done - 1) / self._iterations
        return (perf_counter() - self._begun) / self._seconds


def solve(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the routes as the number of a vehicle and the numbers of its stops, in the order of the visits."""
    budget = Budget(task["seconds"], task["iterations"])
    best = _search_for_all(task, budget)
    if not best.is_feasible():
        best = _search_for_most(task, budget, _kept_routes(best))
    return _kept_routes(best)


def _kept_routes(solution: Any) -> list[dict[str, Any]]:
    return [
        {"vehicle": route.vehicle_type(), "stops": [each.idx for each in route if each.is_client()]}
        for route in solution.routes()
        if route.is_feasible() and route.num_clients()
    ]


def _search_for_all(task: Mapping[str, Any], budget: Budget) -> Any:
    """Search for routes that serve everybody; until there are any, only for a share of the budget."""
    import pyvrp  # noqa: PLC0415 — numpy comes with it, and only this process is to hold them.
    from numpy import iinfo, int64  # noqa: PLC0415

    nothing_found = iinfo(int64).max

    def stop(best_cost: float) -> bool:
        spent = budget.spent()
        return spent >= 1.0 or (best_cost >= nothing_found and spent >= SHARE_FOR_ALL)

    params = pyvrp.SolveParams(ils=pyvrp.IteratedLocalSearchParams(history_length=REMEMBERED_STEPS))
    return pyvrp.solve(_data(task), stop, seed=task["seed"], params=params, collect_stats=False).best


def _search_for_most(task: Mapping[str, Any], budget: Budget, begun: list[dict[str, Any]]) -> Any:
    """Search on from routes that keep every limit, giving up whom they cannot serve: so the best one always keeps them."""
    import pyvrp  # noqa: PLC0415 — see _search_for_all.

    prize = _prize(task)
    data = _data(task, required=False, prize=prize)
    params = pyvrp.SolveParams(
        ils=pyvrp.IteratedLocalSearchParams(history_length=REMEMBERED_STEPS),
        # The search begins at half the highest penalty: no stop is worth a second too late or a unit too much.
        penalty=pyvrp.PenaltyParams(max_penalty=2.0 * prize),
    )
    return pyvrp.solve(
        data,
        lambda _: budget.spent() >= 1.0,
        seed=task["seed"],
        params=params,
        collect_stats=False,
        initial_solution=pyvrp.Solution(data, [pyvrp.Route(data, route["stops"], route["vehicle"]) for route in begun]),
    ).best


def _prize(task: Mapping[str, Any]) -> int:
    """Give more than any single stop can cost, so that none is left out to save a way that could be gone."""
    longest = max(map(max, task["metres"]))
    return 4 * int(longest) + int(max(each["fixed_cost"] for each in task["vehicles"])) + 1


def _data(task: Mapping[str, Any], **optional: Any) -> Any:
    import pyvrp  # noqa: PLC0415 — see _search_for_all.
    from numpy import array, int64  # noqa: PLC0415

    metres: Any = array(task["metres"], dtype=int64)
    seconds: Any = array(task["seconds_between"], dtype=int64)
    return pyvrp.ProblemData(
        # The matrices say how far points are; nobody draws them.
        [pyvrp.Location(0, 0) for _ in task["metres"]],
        [pyvrp.Client(place, **each, **optional) for place, each in enumerate(task["clients"], start=1)],
        [pyvrp.Depot(place) for place in task["depots"]],
        [pyvrp.VehicleType(end_depot=0, **each) for each in task["vehicles"]],
        [metres],
        [seconds],
    )


if __name__ == "__main__":
    # A penalty at its limit is how the search says that a problem is tight, which its answer says better.
    warnings.simplefilter("ignore")
    sys.stdout.buffer.write(orjson.dumps(solve(orjson.loads(sys.stdin.buffer.read()))))
