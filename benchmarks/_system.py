"""A real `agora serve` in a home of its own: started for a benchmark, measured from outside, stopped with it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.

from data.embedded import Engines
from data.embedded.processes import launch, stop
from schema.graph import CONTEXTS
from server.settings import Settings

DATA = Path(os.environ.get("AGORA_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PATIENCE_SECONDS = 90.0
GRACE_SECONDS = 30.0
TENANT_HEADER = "X-Agora-Tenant"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def agora(*arguments: str) -> list[str]:
    """The `agora` command of this environment."""
    return [sys.executable, "-m", "server.cli", *arguments]


class Program:
    """A server process that a benchmark starts; it ends with the `with` block, and so do its children."""

    def __init__(self, command: Sequence[str], port: int, log: Path, *, alive: str = "/health/live") -> None:
        self.port = port
        self.log = log
        self.environment: dict[str, str] = {}
        self._command = command
        self._alive = alive
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        with self.log.open("wb") as output:
            environment = {**os.environ, "AGORA_LOG_FORMAT": "json", **self.environment}
            self._process = launch(self._command, environment=environment, output=output)
        try:
            self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            stop(self._process, [(signal.SIGTERM, GRACE_SECONDS)])

    def kill(self) -> None:
        """End it without a warning, as a crash does; entered again, it serves on the same port."""
        if self._process:
            stop(self._process, [(signal.SIGKILL, GRACE_SECONDS)])

    def _await_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert self._process
            if self._process.poll() is not None:
                break
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self._alive}", timeout=5),
            ):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{' '.join(self._command)} did not start:\n{self.log.read_text()[-4_000:]}")

    def resident_mb(self) -> float:
        """Resident memory of the process itself, without its children."""
        return resident_mb(self.pid)

    def children(self, word: str) -> list[psutil.Process]:
        """Descendants whose command line has the word."""
        found = []
        for each in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):
                if word in " ".join(each.cmdline()):
                    found.append(each)
        return found


class Agora(Program):
    """`agora serve` with its engines and its worker, in a home of its own."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        port = free_port()
        home.mkdir(parents=True, exist_ok=True)
        command = agora("serve", "--no-demo", "--home", str(home), "--port", str(port), *more)
        super().__init__(command, port, home / "serve.log")

    @property
    def postgres(self) -> list[psutil.Process]:
        """PostgreSQL's processes."""
        return self.children("postgres")

    @property
    def valkey(self) -> list[psutil.Process]:
        """Valkey's process."""
        return self.children("valkey-server")

    @property
    def worker(self) -> psutil.Process:
        """The worker's process."""
        return self.children("server.cli worker")[0]

    @property
    def engines(self) -> tuple[str, str] | None:
        """The addresses of engines that are not its own."""
        urls = self.environment.get("AGORA_DATABASE_URL"), self.environment.get("AGORA_REDIS_URL")
        return (urls[0], urls[1]) if urls[0] and urls[1] else None

    def settings(self) -> Settings:
        """The settings with which another process works in this home."""
        if engines := self.engines:
            return Settings(home=self.home, demo=False).with_engines(*engines)
        with Engines(self.home, attach=True) as endpoints:
            chosen: dict[str, Any] = {"home": self.home, "demo": False}
            return Settings(**chosen).with_engines(endpoints.database_url, endpoints.redis_url)


def attached(home: Path, place: int) -> Agora:
    """Give another server process on the engines of the one that serves this home."""
    found = Agora(home, "--only", ",".join(CONTEXTS))
    found.log = home / f"serve-{place}.log"
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of one process, files that it maps included."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def peak_mb(pid: int) -> float:
    """The largest resident memory that a living process ever had; where the system does not say, the present one."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return resident_mb(pid)
    return memory_field(pid, "VmHWM")


def private_mb(pid: int) -> float:
    """Resident memory that is the process's own: neither mapped files nor shared."""
    return memory_field(pid, "RssAnon") if Path(f"/proc/{pid}/status").exists() else resident_mb(pid)


def memory_field(pid: int, name: str) -> float:
    """A field of /proc/<pid>/status, in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields[name].split()[0]) / 1024


@dataclass(frozen=True)
class Finished:
    """What a command took: seconds by the clock and of CPU, and its largest resident memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run_measured(command: Sequence[str], log: Path) -> Finished:
    """Run a command to its end.

    Raises: RuntimeError when it fails.
    """
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()[-4_000:]}")
    kilobytes = used.ru_maxrss / 1024 if sys.platform == "darwin" else used.ru_maxrss
    return Finished(time.perf_counter() - began, used.ru_utime + used.ru_stime, kilobytes / 1024)


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """CPU that the processes and their ended children have used, user and system, in seconds."""
    total = 0.0
    for each in processes:
        with suppress(psutil.Error):
            # A connection that was closed is a process of PostgreSQL's that has ended.
            total += sum(each.cpu_times()[:4])
    return total


def ask(port: int, document: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
    """Run one operation over HTTP and give its data.

    Raises: RuntimeError for an answer with errors.
    """
    body = orjson.dumps({"query": document, "variables": variables or {}})
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json", **names}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{document[:200]}: {error.read()[:2_000]!r}") from error
    if answer.get("errors"):
        raise RuntimeError(f"{document[:200]}: {answer['errors'][:3]}")
    return answer["data"]


@dataclass(frozen=True)
class Shop:
    """The tenant and store that a benchmark works in, and the token of somebody who may do everything there."""

    tenant_id: UUID
    tenant: str
    stores: dict[str, UUID]
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What the public sends."""
        return {TENANT_HEADER: self.tenant}

    @property
    def staff_headers(self) -> dict[str, str]:
        """What somebody sends who works there."""
        return {**self.headers, "Authorization": f"Bearer {self.token}"}
