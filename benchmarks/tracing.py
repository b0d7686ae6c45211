"""What watching costs: the same servers on one database without traces, with one trace in a hundred, and with all of them.

Spans go by OTLP over HTTP to a receiver that throws them away; the CPU per request is that of the server, which makes and sends
them. Metrics are always on. It takes about two minutes.
Run: python benchmarks/tracing.py [seconds per measurement] [rounds]
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _figures import load as machine
from _figures import number, table
from _graph_data import fill, newest
from _graph_documents import shapes
from _load import post
from _measuring import MANY, Cell, Target, measure, warm
from _system import Agora, Program, agora, free_port

from schema.graph import CONTEXTS

SHAPES = ("list of 20", "detail", "deep, 5 subgraphs")
WAYS = {"no traces": None, "1 of 100 traces": "0.01", "all traces": "1.0"}


@contextmanager
def receiver() -> Iterator[tuple[str, list[int]]]:
    """Take spans and throw them away; gives the address, and the lengths of what came."""
    lengths: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            lengths.append(len(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", lengths
    finally:
        server.shutdown()
        server.server_close()


def serving(home: Path, stack: ExitStack, url: str, ratio: str | None) -> Program:
    """Start a server on the engines of the home, which traces as it is told."""
    port = free_port()
    command = agora("serve", "--only", ",".join(CONTEXTS), "--home", str(home), "--port", str(port))
    program = Program(command, port, home / f"serve-{ratio}.log")
    if ratio is not None:
        program.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "AGORA_TRACE_RATIO": ratio}
    return stack.enter_context(program)


def main(seconds: float = 4.0, rounds: int = 5) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        with Agora(home) as filling:
            shop = fill(filling)
        running = stack.enter_context(Agora(home, "--no-worker"))
        after, sku = newest(running, shop)
        url, lengths = stack.enter_context(receiver())
        targets = {}
        for way, ratio in WAYS.items():
            program = serving(home, stack, url, ratio)
            targets[way] = Target(way, program.port, _alone(program.pid), lambda: running.postgres)
        asked = {
            shape.name: [post("/graphql", shape.document, shape.variables, shop.headers)]
            for shape in shapes(after, sku)
            if shape.name in SHAPES
        }
        cells = {(name, way): Cell() for name in asked for way in WAYS}
        for target in targets.values():
            for requests in asked.values():
                warm(target, requests)
            target.settle()
        for turn in range(rounds):
            for name, requests in asked.items():
                # In another order each time: whoever comes first finds a colder machine.
                for way in list(WAYS)[turn % len(WAYS) :] + list(WAYS)[: turn % len(WAYS)]:
                    cells[name, way].many.append(measure(targets[way], requests, MANY, seconds))
        for way in WAYS:
            cells[next(iter(asked)), way].resident_mb = targets[way].resident_mb()
        print(f"What traces cost ({machine()}); {sum(lengths) / 2**20:.0f} MB of spans were received")
        print(
            table(["shape", "traces", "server ms", "× none", "p50/p99 ms at 16", "MB"], list(_rows(cells, list(asked))))
        )


def _alone(pid: int) -> Any:
    return lambda: [psutil.Process(pid)]


def _rows(cells: dict[tuple[str, str], Cell], names: list[str]) -> Iterator[list[str]]:
    for name in names:
        for way in WAYS:
            cell = cells[name, way]
            times = "/".join(number(cell.latency(share, cell.many), "") for share in (0.5, 0.99))
            ratio = number(cell.server_ms / cells[name, "no traces"].server_ms, "×")
            held = number(cell.resident_mb, "") if cell.resident_mb else ""
            yield [name, way, number(cell.server_ms, ""), ratio, times, held]


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((float, int), sys.argv[1:], strict=False)))
