"""Real processes for tests: `agora serve` with a stocked shop, and Hive Gateway before it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from data.embedded import Engines
from schema.graph import build
from server.services import open_services
from server.settings import Settings
from tests.schema.fuzz.furnishing import furnish
from tests.schema.fuzz.shop import FERNHILL, QUARRYBANK, Shop, email_of, fill, password_of, survey

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "deploy" / "gateway"
READY = " is ready at "
START_SECONDS, STOP_SECONDS = 240, 90
LOGIN = """mutation($email: String!, $password: String!) {
  login(email: $email, password: $password) { __typename ... on Authentication { accessToken } } }"""


def environment() -> dict[str, str]:
    """Give an environment in which no setting of a developer decides."""
    strange = {"DATABASE_URL", "REDIS_URL"}
    return {name: value for name, value in os.environ.items() if name not in strange and name[:6] != "AGORA_"}


@contextmanager
def process(
    command: list[str], log: Path, ready: Callable[[], bool], variables: Mapping[str, str] | None = None, **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, wait until it is ready, and stop it in the end."""
    env = environment() | (variables or {})
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env, **more)
    with running:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready():
                assert running.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.05)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()


@contextmanager
def agora(home: Path, *arguments: str) -> Iterator[str]:
    """Serve a home on a free port; gives the address, without a path."""
    log = home.parent / f"agora{len(list(home.parent.glob('agora*.log')))}.log"
    command = [sys.executable, "-m", "server.cli", "serve", "--home", str(home), "--port", "0", "--no-demo", *arguments]
    with process(command, log, lambda: READY in log.read_text(), cwd=ROOT):
        yield log.read_text().partition(READY)[2].split()[0].removesuffix("/graphql")


async def stock(home: Path) -> tuple[Shop, Shop]:
    """Fill the home that another process serves; the search index follows from its events."""
    with Engines(home, attach=True) as engines:
        settings = Settings(home=home).with_engines(engines.database_url, engines.redis_url)
        async with open_services(settings) as services:
            await fill(services, index=False)
            url = engines.database_url
            await furnish(build(), services, await survey(url, FERNHILL), url)
            return await survey(url, FERNHILL), await survey(url, QUARRYBANK)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing() -> str | None:
    """Say what keeps the gateway from running here."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (GATEWAY / "node_modules").is_dir():
        return "the gateway is not installed: run `npm ci` in deploy/gateway"
    return None


@contextmanager
def hive_gateway(supergraph: Path, home: Path, **variables: str) -> Iterator[str]:
    """Start Hive Gateway before composed subgraphs of a home; gives the address, without a path."""
    port, log = free_port(), supergraph.with_suffix(".log")
    command = ["node", "node_modules/@graphql-hive/gateway/dist/bin.js", "supergraph", str(supergraph)]
    command += ["--config-path", "gateway.config.mjs", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/readiness", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    variables = {"AGORA_ROUTER_SECRET": Settings(home=home).router_key, **variables}
    with process(command, log, ready, variables, cwd=GATEWAY):
        yield url


@dataclass
class Caller:
    """Somebody who sends operations over HTTP."""

    client: httpx.AsyncClient
    tokens: dict[str, str]

    async def send(
        self,
        url: str,
        document: str,
        variables: Any = None,
        *,
        person: str = "guest",
        language: str = "en",
        operation: str | None = None,
        auth: httpx.Auth | None = None,
    ) -> Any:
        headers = {"x-agora-tenant": FERNHILL.code, "accept-language": language}
        if person in self.tokens:
            headers["authorization"] = f"Bearer {self.tokens[person]}"
        body = {"query": document, "variables": variables or {}} | ({"operationName": operation} if operation else {})
        answer = await self.client.post(url, json=body, headers=headers, auth=auth)
        return answer.json()

    async def log_in(self, url: str, **names: str) -> None:
        for person, name in names.items():
            variables = {"email": email_of(name), "password": password_of(email_of(name))}
            answer = await self.send(url, LOGIN, variables)
            self.tokens[person] = answer["data"]["login"]["accessToken"]
