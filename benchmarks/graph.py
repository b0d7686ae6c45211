"""The graph under storefront documents, beside the floor, graphql-core depth first, and whatever peers.toml names.

Every system answers the same documents over HTTP from one database; the table has what a request costs in CPU of the server
and of PostgreSQL, its statements and latencies, and the ratios, all of one run. It takes about six minutes.
Run: python benchmarks/graph.py [seconds per measurement] [rounds]
"""

import statistics
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _figures import Figure, number, percentile, report, table
from _graph_data import fill, newest
from _graph_documents import REFUSED, Shape, fields, shapes
from _load import begin, finish, load, post
from _measuring import MANY, SINGLE, Cell, Target, measure, warm
from _statements import logged
from _system import Agora, Program, Shop, free_port
from engine_shapes import GATEWAY
from engine_shapes import LIST as TOY_LIST

from data.database import asyncpg_url
from schema.graph import CONTEXTS

HERE = Path(__file__).parent
OURS, FLOOR, DEPTH = "Agora", "floor", "depth first"
LOGGED_REQUESTS = 20
SLOW = "query Slow { slow }"
Cells = dict[tuple[str, str], Cell]
Plan = dict[tuple[str, str], tuple[Target, list[bytes]]]


def process(pid: int) -> Any:
    """A list of one process, as a target wants it."""
    return lambda: [psutil.Process(pid)]


class Bench:
    """All systems on one database, and the documents that they answer."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        with Agora(home) as filling:
            self.shop: Shop = fill(filling)
        # Without its worker the database does nothing but answer.
        self.server = stack.enter_context(Agora(home, "--no-worker"))
        self.url = asyncpg_url(self.server.settings().database_url)
        floor = self._program(stack, "_floor.py", "--url", self.url, "--tenant", str(self.shop.tenant_id))
        depth = self._program(stack, "_depth_first.py", "serve", "--only", ",".join(CONTEXTS))
        self.targets = {
            OURS: Target(OURS, self.server.port, process(self.server.pid), lambda: self.server.postgres),
            FLOOR: Target(FLOOR, floor.port, process(floor.pid), lambda: self.server.postgres),
            DEPTH: Target(DEPTH, depth.port, process(depth.pid), lambda: self.server.postgres),
        }
        after, sku = newest(self.server, self.shop)
        self.shapes = shapes(after, sku)

    def _program(self, stack: ExitStack, script: str, *arguments: str) -> Program:
        port, home = free_port(), self.server.home
        command = [sys.executable, str(HERE / script), *arguments, "--home", str(home), "--port", str(port)]
        return stack.enter_context(Program(command, port, home / f"{script}.log"))

    def requests(self, name: str, shape: Shape) -> list[bytes]:
        """What is sent to a system for a shape; the floor has a path per document."""
        operation = shape.document.split()[1].partition("(")[0]
        path = f"/{operation}" if name == FLOOR else "/graphql"
        return [post(path, shape.document, shape.variables, self.shop.headers)]

    def plan(self) -> Plan:
        """Every system with every shape."""
        return {
            (shape.name, name): (target, self.requests(name, shape))
            for shape in self.shapes
            for name, target in self.targets.items()
        }

    def answer(self, name: str, shape: Shape) -> bytes:
        """The body of one answer."""
        path = f"/{shape.document.split()[1].partition('(')[0]}" if name == FLOOR else "/graphql"
        body = orjson.dumps({"query": shape.document, "variables": shape.variables})
        headers = {"Content-Type": "application/json", **self.shop.headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.targets[name].port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            found: bytes = response.read()
        return found

    def check(self) -> dict[str, int]:
        """Make sure that all systems answer the same bytes; gives the number of fields per shape.

        Raises: RuntimeError.
        """
        counted = {}
        for shape in self.shapes:
            ours = self.answer(OURS, shape)
            counted[shape.name] = fields(orjson.loads(ours)["data"])
            for name in (FLOOR, DEPTH):
                other = self.answer(name, shape)
                if other != ours:
                    raise RuntimeError(f"{shape.name}: {name} answers otherwise:\n{ours[:3_000]!r}\n{other[:3_000]!r}")
        return counted

    def statements(self, target: Target, requests: Sequence[bytes]) -> str:
        """Count what reaches PostgreSQL per request: selects, and what opens and ends their snapshots."""
        with logged(self.server, self.url) as texts:
            load(target.port, requests, seconds=10, most=LOGGED_REQUESTS)
        others = sum(text.startswith(("BEGIN", "COMMIT", "SET", "INSERT", "UPDATE")) for text in texts)
        selects = len(texts) - others
        return f"{selects / LOGGED_REQUESTS:g}+{others / LOGGED_REQUESTS:g}"


def peers() -> Plan:
    """What peers.toml names."""
    found: Plan = {}
    for peer in tomllib.loads((HERE / "peers.toml").read_text()).get("peers", []):
        url = urlsplit(peer["url"])
        target = Target(peer["name"], url.port or 80, _named(peer.get("server")), _named(peer.get("database")))
        for shape, asked in peer["documents"].items():
            request = post(url.path or "/", asked["query"], asked.get("variables"), peer.get("headers"))
            found[shape, peer["name"]] = (target, [request])
    return found


def _named(word: str | None) -> Any:
    def processes() -> list[psutil.Process]:
        everybody = psutil.process_iter(["cmdline"])
        return [each for each in everybody if word and word in " ".join(each.info["cmdline"] or ())]

    return processes


def run_all(plan: Plan, seconds: float, rounds: int) -> Cells:
    """Measure everything, in rounds, so that whatever else the machine does hits all systems alike."""
    cells: Cells = {key: Cell() for key in plan}
    for target, requests in plan.values():
        warm(target, requests)
    for target in {id(target): target for target, _ in plan.values()}.values():
        target.settle()
    for _ in range(rounds):
        for key, (target, requests) in plan.items():
            cells[key].single.append(measure(target, requests, SINGLE, seconds))
            cells[key].many.append(measure(target, requests, MANY, seconds))
            cells[key].resident_mb = target.resident_mb()
    return cells


HEADINGS = (
    "shape", "fields", "system", "server ms", "PostgreSQL ms", "SQL", "× ours", "per second",
    "p50/p99 ms at 1", "p50/p99 ms at 16", "MB",
)  # fmt: skip


def rows(cells: Cells, counted: dict[str, int]) -> list[list[str]]:
    """The table: CPU in milliseconds per request, and how many times ours it is."""
    found = []
    for (shape, name), cell in cells.items():
        ours = cells.get((shape, OURS), cell)
        single = "/".join(number(cell.latency(share, cell.single), "") for share in (0.5, 0.99))
        many = "/".join(number(cell.latency(share, cell.many), "") for share in (0.5, 0.99))
        found.append(
            [shape, str(counted.get(shape, "")), name, f"{cell.server_ms:.2f}", f"{cell.database_ms:.2f}",
             cell.statements, f"{cell.server_ms / ours.server_ms:.2f}", f"{cell.per_second:,.0f}", single, many,
             f"{cell.resident_mb:.0f}"]
        )  # fmt: skip
    return found


def targets(cells: Cells) -> list[Figure]:
    """What the table was made for."""
    twenty, floor, depth = (cells["list of 20", name] for name in (OURS, FLOOR, DEPTH))
    more, deeper = cells["list of 200", OURS], cells["list of 200", DEPTH]
    ours, least = (cell.server_ms + cell.database_ms for cell in (twenty, floor))
    return [
        Figure("list of 20: CPU of the server", twenty.server_ms, "ms", 1.0),
        Figure("list of 20: depth first costs", depth.server_ms / twenty.server_ms, "×", 5.0, at_least=True),
        Figure("list of 200: depth first costs", deeper.server_ms / more.server_ms, "×", 8.0, at_least=True),
        Figure("list of 20: server and PostgreSQL, of the floor's", ours / least, "×", 2.0),
    ]


def refusal(bench: Bench, seconds: float) -> list[Figure]:
    """What an operation costs that the limits refuse, its document having been seen."""
    target, requests = bench.targets[OURS], [post("/graphql", REFUSED, None, bench.shop.headers)]
    load(target.port, requests, seconds=5, most=50)
    measured = [measure(target, requests, MANY, seconds) for _ in range(3)]
    if any(each.run.refused + each.run.errors == 0 for each in measured):
        raise RuntimeError("the document that is too deep was not refused")
    selects, _, others = bench.statements(target, requests).partition("+")
    cost = statistics.median(each.server_ms for each in measured)
    return [
        Figure("refused operation: CPU of the server", cost, "ms", 0.3),
        Figure("refused operation: statements", float(selects) + float(others), "", 0.0),
    ]


def in_memory(stack: ExitStack, home: Path, seconds: float, rounds: int) -> tuple[list[list[str]], list[Figure]]:
    """The gateway's 1,650 fields without a database, and fast requests beside slow fields."""
    started = {}
    for name, options in ((OURS, ()), (DEPTH, ("--depth-first",))):
        port = free_port()
        command = [sys.executable, str(HERE / "_memory_server.py"), "--port", str(port), *options]
        program = stack.enter_context(Program(command, port, home / f"memory-{name[:5]}.log"))
        started[name] = Target(name, port, process(program.pid))
    plan = {("1,650 fields, in memory", name): (each, [post("/graphql", GATEWAY)]) for name, each in started.items()}
    cells = run_all(plan, seconds, rounds)
    ours, depth = (cells["1,650 fields, in memory", name] for name in (OURS, DEPTH))
    ratio = depth.server_ms / ours.server_ms
    figures = [
        Figure("1,650 fields: requests on one process", ours.per_second, "/s", 480.0, at_least=True, note="or ≥ 6×"),
        Figure("1,650 fields: depth first costs", ratio, "×", 6.0, at_least=True, note="or ≥ 480 /s"),
        beside_slow(started[OURS], seconds),
    ]
    return rows(cells, {"1,650 fields, in memory": 1_650}), figures


def beside_slow(target: Target, seconds: float) -> Figure:
    """How much the p99 of fast requests grows while 100 slow fields are waited for."""
    fast, slow = [post("/graphql", TOY_LIST, {"first": 20})], [post("/graphql", SLOW)]
    growths = []
    for _ in range(5):
        alone = load(target.port, fast, connections=4, seconds=seconds)
        client = begin(target.port, slow, connections=100, seconds=seconds + 1.5)
        time.sleep(0.7)
        beside = load(target.port, fast, connections=4, seconds=seconds)
        if finish(client).errors:
            raise RuntimeError("the slow field fails")
        growths.append(percentile(beside.latencies, 0.99) / percentile(alone.latencies, 0.99))
    return Figure("p99 of fast requests beside 100 slow fields", statistics.median(growths), "×", 2.0)


def main() -> int:
    """Measure, and print the tables."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory(prefix="agora-graph-") as folder, ExitStack() as stack:
        home = Path(folder)
        lines, figures = in_memory(stack, home, seconds, rounds)
        bench = Bench(home / "home", stack)
        counted = bench.check()
        plan = bench.plan() | peers()
        cells = run_all(plan, seconds, rounds)
        for key, (target, requests) in plan.items():
            if target in bench.targets.values():
                cells[key].statements = bench.statements(target, requests)
        figures = [*targets(cells), *figures, *refusal(bench, seconds)]
    print(table(HEADINGS, rows(cells, counted) + lines))
    print(report("Graph", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
