"""One target, one document, some seconds: requests per second, latencies, and the CPU of the server and of its database."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _figures import percentile
from _load import Run, load
from _system import cpu_seconds

SINGLE, MANY = 1, 16
WARM_UP_REQUESTS = 60
IDLE_SECONDS = 1.5

Processes = Callable[[], Sequence[psutil.Process]]


@dataclass
class Target:
    """A server that answers; what it costs is read off its processes and those of its database."""

    name: str
    port: int
    server: Processes
    database: Processes = list
    host: str = "127.0.0.1"
    idle: tuple[float, float] = (0.0, 0.0)

    def settle(self) -> None:
        """Learn what the processes use while nobody asks: that is not charged to requests."""
        before, began = self.cpu(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        seconds = time.perf_counter() - began
        self.idle = tuple((now - then) / seconds for now, then in zip(self.cpu(), before, strict=True))  # type: ignore[assignment]

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU used so far, by the server and by the database."""
        return cpu_seconds(self.server()), cpu_seconds(self.database())

    def resident_mb(self) -> float:
        """Resident memory of the server's processes."""
        return float(sum(each.memory_info().rss for each in self.server())) / 2**20


@dataclass
class Round:
    """One run with what it cost per request, in milliseconds of CPU."""

    run: Run
    server_ms: float
    database_ms: float


@dataclass
class Cell:
    """What was measured of one target in one shape; the median of the rounds counts."""

    single: list[Round] = field(default_factory=list)
    many: list[Round] = field(default_factory=list)
    statements: str = ""
    resident_mb: float = 0.0

    @property
    def server_ms(self) -> float:
        """CPU of the server per request, at 16 connections."""
        return statistics.median(each.server_ms for each in self.many)

    @property
    def database_ms(self) -> float:
        """CPU of the database per request, at 16 connections."""
        return statistics.median(each.database_ms for each in self.many)

    @property
    def per_second(self) -> float:
        """Requests per second at 16 connections."""
        return statistics.median(each.run.per_second for each in self.many)

    def latency(self, share: float, rounds: Sequence[Round]) -> float:
        """A percentile of the latency, in ms: the median of the rounds."""
        return statistics.median(percentile(each.run.latencies, share) for each in rounds)


def warm(target: Target, requests: Sequence[bytes]) -> None:
    """Let the server fill its caches, and find out whether it answers.

    Raises: RuntimeError for errors and refusals.
    """
    run = load(target.port, requests, connections=4, seconds=20, most=WARM_UP_REQUESTS)
    if run.errors or run.refused or not run.latencies:
        raise RuntimeError(f"{target.name} answers with {run.errors} errors, statuses {run.statuses}")


def measure(target: Target, requests: Sequence[bytes], connections: int, seconds: float) -> Round:
    """Load a target for some seconds."""
    before, began = target.cpu(), time.perf_counter()
    run = load(target.port, requests, connections=connections, seconds=seconds)
    passed = time.perf_counter() - began
    after = target.cpu()
    used = [now - then - idle * passed for now, then, idle in zip(after, before, target.idle, strict=True)]
    server_ms, database_ms = (1000 * max(each, 0.0) / len(run.latencies) for each in used)
    return Round(run, server_ms, database_ms)
