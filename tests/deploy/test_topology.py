"""What docker-compose.yml describes, as plain processes: the same commands, settings, order and health checks, and a sale."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest

from benchmarks._buyers import ADD, CHECKOUT, TORONTO, Bazaar, open_bazaar
from data.embedded import EmbeddedPostgres, EmbeddedValkey
from domain.kernel import uuid7
from server.settings import Settings
from tests.deploy.test_compose import services

ROOT = Path(__file__).parents[2]
KEY = "a secret that is long enough for tests"
SECRETS = dict.fromkeys(("AGORA_SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD", "MEILI_MASTER_KEY"), KEY)
PATIENCE_SECONDS = 300
# In containers every process has a host of its own.
PORTS = ("AGORA_PORT", "AGORA_METRICS_PORT", "AGORA_WORKER_METRICS_PORT")


def interpolated(text: str) -> str:
    """Put in what the environment of compose would: the secrets, and defaults for the rest."""
    return re.sub(
        r"\$\{([A-Z_]+)(?::[-?]([^}]*))?\}",
        lambda found: SECRETS.get(found[1], "" if found[1] in SECRETS else found[2] or ""),
        text,
    )


class Process:
    """One container's process, with the health check of its service."""

    def __init__(self, service: str, environment: dict[str, str]) -> None:
        self.service = services()[service]
        self.environment = environment
        self.url = f"http://127.0.0.1:{environment['AGORA_PORT']}"
        self.running = subprocess.Popen(
            [sys.executable, "-m", "server.cli", *self.service["command"]],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def is_healthy(self) -> bool:
        kind, program, *arguments = self.service["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        asked = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=self.environment, check=False)
        return asked.returncode == 0

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.is_healthy():
            if self.running.poll() is not None or time.monotonic() > deadline:
                self.running.kill()
                raise AssertionError(f"{self.service['command']} is not healthy: {self.running.communicate()[0]}")

    def stop(self) -> tuple[int, str]:
        """End it as compose does."""
        self.running.send_signal(signal.SIGTERM)
        printed, _ = self.running.communicate(timeout=float(self.service["stop_grace_period"].removesuffix("s")))
        return self.running.returncode, printed


class Machine:
    """Engines as processes of their own, and whatever is started of the compose file."""

    def __init__(self, home: Path, database_url: str, redis_url: str) -> None:
        self.home = home
        # The mail, the search and the rest of what is outside are not there; the bank is one to try out.
        self.instead = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "AGORA_HOME": str(home),
            "AGORA_HOST": "127.0.0.1",
            "AGORA_MEILISEARCH_URL": "http://127.0.0.1:1",
            "AGORA_SANDBOX": "true",
        }
        self.processes: list[Process] = []
        self._port = _free_ports()

    def environment(self, service: str) -> dict[str, str]:
        told = {name: interpolated(value) for name, value in services()[service]["environment"].items()}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AGORA_")}
        return plain | told | self.instead | {name: str(next(self._port)) for name in PORTS}

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server.cli", *services()[service]["command"]]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def start(self, service: str) -> list[Process]:
        """Start as many of a service as there shall be."""
        replicas = range(services()[service]["deploy"]["replicas"])
        started = [Process(service, self.environment(service)) for _ in replicas]
        self.processes += started
        return started

    def settings(self) -> Settings:
        return Settings(
            home=self.home,
            database_url=self.instead["DATABASE_URL"],
            redis_url=self.instead["REDIS_URL"],
            public_url=interpolated(services()["api"]["environment"]["AGORA_PUBLIC_URL"]),
            secret_key=KEY,
            sandbox=True,
        )


def _free_ports() -> Iterator[int]:
    import socket

    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        yield port


@contextmanager
def machine(home: Path) -> Iterator[Machine]:
    # The folder must be one that an engine's own user can enter.
    home.chmod(0o711)
    with ExitStack() as stack:
        for folder in ("postgres", "valkey", "home"):
            (home / folder).mkdir()
            (home / folder).chmod(0o711)
        postgres = stack.enter_context(EmbeddedPostgres(home / "postgres", durable=False))
        valkey = stack.enter_context(EmbeddedValkey(home / "valkey", durable=False))
        made = Machine(home / "home", postgres.url(), valkey.url())
        try:
            yield made
        finally:
            for each in made.processes:
                each.running.kill()
                each.running.communicate()


async def buy(url: str, headers: dict[str, str], skus: tuple[str, ...]) -> dict[str, Any]:
    """Put something into a cart and pay."""
    lines = {"lines": [{"sku": sku, "quantity": 1} for sku in skus]}
    pay = {"input": {"address": TORONTO, "paymentToken": "sbx_card_ok"}, "key": f"buy-{uuid7()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        filled = await client.post("/graphql", json={"query": ADD, "variables": {"input": lines}})
        assert "errors" not in filled.json(), filled.text
        paid = await client.post("/graphql", json={"query": CHECKOUT, "variables": pay})
    found: dict[str, Any] = paid.json()["data"]["checkout"]
    return found


def _ask(machine: Machine, statement: str) -> Any:
    with psycopg.connect(machine.instead["DATABASE_URL"]) as connection:
        return connection.execute(statement).fetchone()  # type: ignore[call-overload]


async def _told(machine: Machine) -> None:
    """Wait until the workers have handled everything that happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    statement = "SELECT sequence >= (SELECT max(sequence) FROM platform.event_log) FROM platform.relay_cursor"
    while not _ask(machine, statement)[0]:
        assert time.monotonic() < deadline, "the workers relay nothing"
        await asyncio.sleep(0.1)


class TestTheSameAsPlainProcesses:
    @pytest.mark.timeout(900)
    async def test_sells_through_every_server_and_drains(self, tmp_path: Path) -> None:
        with machine(tmp_path) as running:
            refused = running.run("api")
            assert refused.returncode == 1
            assert re.search(r"The database lacks \d+ migrations; run `agora migrate` first", refused.stderr)
            migrated = running.run("migrate")
            assert migrated.returncode == 0, migrated.stderr
            servers, workers = running.start("api"), running.start("worker")
            assert (len(servers), len(workers)) == (2, 2)
            for each in (*servers, *workers):
                each.wait_until_healthy()
            bazaar = await open_bazaar(SimpleNamespace(settings=running.settings))  # type: ignore[arg-type]
            await self._sells(running, servers, bazaar)
            await self._drains(running, servers, workers, bazaar)

    async def _sells(self, running: Machine, servers: list[Process], bazaar: Bazaar) -> None:
        users = bazaar.logged_in(uuid7() for _ in range(4))
        bought = [await buy(servers[number % 2].url, headers, bazaar.skus[:2]) for number, headers in enumerate(users)]
        assert [each["state"] for each in bought] == ["PAID"] * 4, bought
        assert _ask(running, "SELECT count(*) FROM orders.\"order\" WHERE state = 'paid'") == (4,)
        await _told(running)

    async def _drains(self, running: Machine, servers: list[Process], workers: list[Process], bazaar: Bazaar) -> None:
        first, second = servers
        (headers, later) = bazaar.logged_in(uuid7() for _ in range(2))
        buying = asyncio.create_task(buy(second.url, headers, bazaar.skus[2:4]))
        code, printed = await asyncio.to_thread(first.stop)
        assert code == 0, printed
        assert (await buying)["state"] == "PAID"
        assert (await buy(second.url, later, bazaar.skus[2:4]))["state"] == "PAID"
        await _told(running)
        for each in (*workers, second):
            code, printed = await asyncio.to_thread(each.stop)
            assert code == 0, printed
