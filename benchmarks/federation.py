"""One operation over five subgraphs: in one process, and in four groups of subgraphs behind Hive Gateway.

Both answer from equal data; the table has latencies, and what a request costs in CPU of each part. It needs what `npm ci` in
deploy/gateway installs, and takes two minutes.
Run: python benchmarks/federation.py [seconds per measurement]
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import randrange
from typing import Any

import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _figures import load as machine
from _figures import number, percentile, table
from _graph_data import fill
from _load import load, post
from _system import Agora, Program, agora, ask, cpu_seconds

from server.groups import GROUPS

OPERATION = """query {
  products(first: 20, sort: NAME) {
    nodes {
      sku name price { amountMinor currency } category { name }
      store { code name } stock { available } rating { average total } effectivePrice { net { amountMinor } }
    } } }"""
SUBGRAPHS = ("catalog", "tenancy", "inventory", "reviews", "pricing")
CONNECTIONS = (1, 16)
WARM_UP_REQUESTS = 60

Parts = Mapping[str, Callable[[], Sequence[psutil.Process]]]


def main() -> None:
    """Measure both, and print one table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="agora-federation-") as folder:
        home = Path(folder) / "home"
        with Agora(home) as filling:
            shop = fill(filling)
        request = post("/graphql", OPERATION, None, shop.headers)
        answers = []
        for name, program, parts in (_whole(home), _in_parts(home)):
            with program:
                answers.append(ask(program.port, OPERATION, **shop.headers))
                rows += _measured(name, program.port, parts, [request], seconds)
        assert answers[0] == answers[1], "the two do not answer alike"
    print(f"One operation over {', '.join(SUBGRAPHS)}: 20 products ({machine()})")
    print(table(["system", "connections", "per second", "p50 ms", "p99 ms", "CPU ms", "of these"], rows))


def _whole(home: Path) -> tuple[str, Program, Parts]:
    server = Agora(home, "--no-worker")
    return (
        "one process",
        server,
        {"server": lambda: [psutil.Process(server.pid)], "PostgreSQL": lambda: server.postgres},
    )


def _in_parts(home: Path) -> tuple[str, Program, Parts]:
    port = randrange(20_000, 30_000)
    command = agora("gateway", "--no-demo", "--home", str(home), "--port", str(port))
    program = Program(command, port, home / "gateway.log", alive="/readiness")
    program.environment = {"AGORA_WORKER": "false"}
    parts: dict[str, Any] = {"gateway": lambda: program.children("gateway.config.mjs")}
    for group in GROUPS:
        parts[group] = lambda group=group: program.children(f"--only {group}")
    return "four groups and Hive Gateway", program, parts | {"PostgreSQL": lambda: program.children("postgres")}


def _measured(name: str, port: int, parts: Parts, requests: list[bytes], seconds: float) -> list[list[str]]:
    load(port, requests, most=WARM_UP_REQUESTS, seconds=60.0, wanted='"nodes"')
    rows = []
    for connections in CONNECTIONS:
        before = {part: cpu_seconds(processes()) for part, processes in parts.items()}
        run = load(port, requests, connections=connections, seconds=seconds, wanted='"nodes"')
        assert not run.errors, run
        spent = {
            part: 1000 * (cpu_seconds(processes()) - before[part]) / len(run.latencies)
            for part, processes in parts.items()
        }
        told = ", ".join(f"{part} {number(each, '')}" for part, each in spent.items() if each >= 0.01)
        rows.append(
            [name, str(connections), number(run.per_second, ""), *(number(percentile(run.latencies, share), "") for share in (0.5, 0.99)),
             number(sum(spent.values()), ""), told]
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
