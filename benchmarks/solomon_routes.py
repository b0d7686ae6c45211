"""How near the planned routes come to the best known ones, on Solomon's 56 instances with time windows.

The best known solutions are hierarchical: the fewest vehicles first, then the shortest way in full precision, neither
rounded nor truncated. So the fleet of an instance is the best known number of vehicles, and the ways are compared. Where
the optimiser leaves customers out, it plans anew with one vehicle more: such a way is shorter, so it is counted apart.
What the optimiser answers is recomputed here from the coordinates.
"""

import argparse
import asyncio
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, dist
from pathlib import Path
from statistics import mean
from uuid import UUID

from _figures import Figure, load, report, table
from _system import DATA

from domain.delivery.geography import Position
from domain.delivery.routing import RoutePlan, RoutingProblem, Stop, TimeWindow, TravelMatrix, Vehicle
from server.delivery.routing import PyVrpOptimizer

FOLDER = DATA / "vrp-solomon"
TARGET_GAP_PERCENT = 1.5
SEED = 1
# A unit of the instances is so many metres, and seconds; ways are rounded up, so that what the plan keeps is kept.
SCALE = 1_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Customer:
    """One line of an instance; the first is the depot."""

    x: float
    y: float
    demand: int
    ready: int
    due: int
    service: int


@dataclass(frozen=True)
class Instance:
    """Who is to be served, with how many vehicles of which capacity."""

    name: str
    vehicles: int
    capacity: int
    customers: Sequence[Customer]

    def problem(self, vehicles: int) -> RoutingProblem:
        """Say it in metres, seconds and instants; customer 7 is the stop of id 7."""
        ways = [[ceil(dist((a.x, a.y), (b.x, b.y)) * SCALE) for b in self.customers] for a in self.customers]
        depot, *customers = self.customers
        fleet = Vehicle(id=UUID(int=0), count=vehicles, capacity=self.capacity, shift=_window(depot))
        stops = [
            Stop(
                id=UUID(int=number),
                position=_position(each),
                demand=each.demand,
                service_seconds=each.service * SCALE,
                window=_window(each),
            )
            for number, each in enumerate(customers, start=1)
        ]
        return RoutingProblem(
            depot=_position(depot), vehicles=[fleet], stops=stops, travel=TravelMatrix(metres=ways, seconds=ways)
        )


@dataclass(frozen=True)
class Best:
    """The best known solution: so many vehicles, and so long a way."""

    vehicles: int
    distance: float


@dataclass(frozen=True)
class Outcome:
    """What came of one instance; the fleet is the number of vehicles that it was to do with at last."""

    instance: Instance
    best: Best | None
    fleet: int
    vehicles: int
    unserved: int
    broken: int
    distance: float

    @property
    def gap_percent(self) -> float:
        """How much longer the way is than the best known; a plan that leaves somebody out is no plan."""
        assert self.best is not None
        return 100.0 if self.unserved or self.broken else (self.distance / self.best.distance - 1) * 100

    @property
    def extra_vehicles(self) -> int:
        """How many more vehicles it takes than the best known solution."""
        return max(0, self.vehicles - self.best.vehicles) if self.best else 0

    def cells(self) -> list[str]:
        """The outcome as a row."""
        known = (
            [f"{self.best.vehicles}", f"{self.best.distance:.2f}", f"{self.gap_percent:+.2f} %"] if self.best else []
        )
        return [self.instance.name, f"{self.vehicles}", f"{self.distance:.2f}", *(known or ["", "", ""])]


def _position(customer: Customer) -> Position:
    # The matrix says how far it is; a position only has to be one.
    return Position(customer.x / 1_000, customer.y / 1_000)


def _window(customer: Customer) -> TimeWindow:
    opens, closes = (EPOCH + timedelta(seconds=each * SCALE) for each in (customer.ready, customer.due))
    return TimeWindow(opens, closes)


def instances() -> Iterator[Instance]:
    """Read Solomon's files out of their archive."""
    with tarfile.open(FOLDER / "solomon.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            name = Path(member.name).stem
            file = archive.extractfile(member)
            if file is not None and re.fullmatch(r"(c|r|rc)/[12]/\w+\.txt", member.name):
                numbers = [line.split() for line in file.read().decode().splitlines()]
                rows = [list(map(int, line)) for line in numbers if line and all(each.isdigit() for each in line)]
                (vehicles, capacity), *lines = rows
                yield Instance(name.upper(), vehicles, capacity, [Customer(*line[1:]) for line in lines])


def best_known() -> dict[str, Best]:
    """Read the best known solutions that were recomputed and found to keep their limits."""
    lines = (FOLDER / "solomon_bks_verified.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {name.upper(): Best(int(vehicles), float(way)) for name, vehicles, way, kept in rows if kept == "True"}


def recompute(instance: Instance, plan: RoutePlan) -> tuple[float, int]:
    """Give the length of all routes in full precision, and how many limits they break."""
    total, broken = 0.0, 0
    served = [stop_id.int for route in plan.routes for stop_id in route.stop_ids]
    broken += len(served) - len(set(served))
    for route in plan.routes:
        place, clock, loaded = instance.customers[0], 0.0, 0
        for customer in (*(instance.customers[stop_id.int] for stop_id in route.stop_ids), instance.customers[0]):
            way = dist((place.x, place.y), (customer.x, customer.y))
            total, clock, loaded, place = total + way, clock + way, loaded + customer.demand, customer
            broken += clock > customer.due
            clock = max(clock, customer.ready) + customer.service
        broken += loaded > instance.capacity
    return total, broken


async def solve(instance: Instance, best: Best | None, optimizer: PyVrpOptimizer, seconds: float) -> Outcome:
    """Plan one instance with the best known fleet, or with its own where none is known."""
    fleet = best.vehicles if best else instance.vehicles
    outcome = await plan(instance, best, fleet, optimizer, seconds)
    while outcome.unserved and outcome.fleet < instance.vehicles:
        print(f"{instance.name} left {outcome.unserved} customers out with {outcome.fleet} vehicles", flush=True)
        outcome = await plan(instance, best, outcome.fleet + 1, optimizer, seconds)
    print(" ".join(outcome.cells()), flush=True)
    return outcome


async def plan(instance: Instance, best: Best | None, fleet: int, optimizer: PyVrpOptimizer, seconds: float) -> Outcome:
    """Plan one instance with so many vehicles."""
    answer = await optimizer.optimise(instance.problem(fleet), seconds=seconds, seed=SEED)
    distance, broken = recompute(instance, answer)
    return Outcome(instance, best, fleet, len(answer.routes), len(answer.unserved), broken, distance)


async def solve_all(chosen: Sequence[Instance], seconds: float, at_once: int) -> list[Outcome]:
    """Plan all instances, one core each."""
    optimizer, known = PyVrpOptimizer(at_once=at_once), best_known()
    return await asyncio.gather(*(solve(each, known.get(each.name), optimizer, seconds) for each in chosen))


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Say how near the routes come."""
    compared = [each for each in outcomes if each.best]
    same_fleet = [each for each in compared if not each.extra_vehicles]
    gaps = [each.gap_percent for each in same_fleet] or [100.0]
    widest = max(compared, key=lambda each: each.gap_percent)
    reached = sum(gap <= 0.01 for gap in gaps)
    return [
        Figure(
            "mean gap, with the best known fleet",
            mean(gaps),
            "%",
            TARGET_GAP_PERCENT,
            note=f"{len(same_fleet)} instances",
        ),
        Figure(
            "mean gap, all that have a best known",
            mean(each.gap_percent for each in compared),
            "%",
            TARGET_GAP_PERCENT,
            note=f"{len(compared)} instances",
        ),
        Figure("largest gap", widest.gap_percent, "%", note=widest.instance.name),
        Figure("instances at the best known way", reached, "", note="same fleet, within 0.01 %"),
        Figure(
            "vehicles beyond the best known",
            sum(each.extra_vehicles for each in compared),
            "",
            note=f"of {sum(each.best.vehicles for each in compared if each.best)}",
        ),
        Figure("customers left out", sum(each.unserved for each in outcomes), "", 0, note=f"{len(outcomes)} instances"),
        Figure("limits broken, recomputed", sum(each.broken for each in outcomes), "", 0),
    ]


def classes(outcomes: Sequence[Outcome]) -> str:
    """The mean gap of each of Solomon's six classes."""
    groups = defaultdict(list)
    for each in outcomes:
        if each.best:
            groups[each.instance.name[:-2]].append(each)
    rows = [
        [
            name,
            str(len(group)),
            f"{mean(e.gap_percent for e in group):.2f} %",
            f"{max(e.gap_percent for e in group):.2f} %",
        ]
        for name, group in sorted(groups.items())
    ]
    return table(["class", "instances", "mean gap", "largest gap"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of search for each instance")
    parser.add_argument("--at-once", type=int, default=1, help="how many instances, a core each")
    parser.add_argument("--instances", default="", help="only these, as C101,R101")
    options = parser.parse_args()
    if not FOLDER.is_dir():
        print(f"Left out: no Solomon instances at {FOLDER} (set AGORA_DATA).")
        return 0
    names = set(filter(None, options.instances.upper().split(",")))
    chosen = [each for each in instances() if not names or each.name in names]
    print(f"{len(chosen)} instances, {options.seconds:g} s each, {options.at_once} at once; {load()}")
    outcomes = asyncio.run(solve_all(chosen, options.seconds, options.at_once))
    if not any(each.best for each in outcomes):
        print("No best known solution is at hand for these.")
        return 0
    print(
        table(["instance", "vehicles", "way", "best vehicles", "best way", "gap"], [each.cells() for each in outcomes])
    )
    print(classes(outcomes))
    measured = figures(outcomes)
    print(report("Solomon's routes", measured))
    return 0 if all(each.reached for each in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
