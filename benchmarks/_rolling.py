"""Two servers behind HAProxy that are restarted one after the other while people shop, talk and follow."""

import asyncio
import itertools
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks._buyers import ADD, CHECKOUT, TORONTO
from benchmarks._outages import COMPLETE, LOOK
from benchmarks._reconnecting import Party, Talk, begin_at, followers_of
from benchmarks._system import Agora, attached, free_port
from benchmarks.realtime import set_up
from data.embedded.processes import launch, stop
from domain.kernel import uuid7

HANDOVER_SECONDS = "3"
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
CHATS_PER_SECOND, LINES_PER_SECOND, SAID_BETWEEN = 2.0, 1.0, 5
CONFIG = """
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout check 5s
  option httpchk GET /health/ready
  option redispatch 1
  retries 3
  default-server check inter 200ms fall 2 rise 1
listen graph
  bind 127.0.0.1:{port}
  balance roundrobin
{servers}
"""


def missing() -> str | None:
    """Say what keeps this from running here."""
    return None if shutil.which("haproxy") else "HAProxy is not installed"


@contextmanager
def balanced(ports: Sequence[int], folder: Path) -> Iterator[int]:
    """Run HAProxy before servers, which asks them whether they are ready; gives its port."""
    port, config = free_port(), folder / "haproxy.cfg"
    servers = "\n".join(f"  server s{each} 127.0.0.1:{each}" for each in ports)
    config.write_text(CONFIG.format(port=port, servers=servers))
    with (folder / "haproxy.log").open("wb") as log:
        running = launch([shutil.which("haproxy") or "haproxy", "-db", "-f", str(config)], output=log)
    try:
        yield port
    finally:
        stop(running, [(signal.SIGTERM, 5.0)])


@dataclass
class Visits:
    """What everybody who came through the balancer was told, request by request, without a second try."""

    told: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """How many requests were not answered as they should be."""
        return self.told.total() - self.told[COMPLETE]

    async def ask(self, http: httpx.AsyncClient, document: str, variables: object, headers: dict[str, str]) -> None:
        """Ask once, and note what came of it."""
        try:
            reply = await http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
            body = reply.json() if reply.status_code == httpx.codes.OK else {}
        except (httpx.HTTPError, ValueError) as error:
            self.told[type(error).__name__] += 1
            return
        refused = [each for each in (body.get("data") or {}).values() if isinstance(each, dict) and "code" in each]
        good = bool(body) and not body.get("errors") and not refused
        self.told[COMPLETE if good else f"{reply.status_code} {body.get('errors') or refused}"[:200]] += 1


@dataclass
class Shift:
    """Everything that is there: the servers, who talks and follows, and who visits."""

    servers: Sequence[Agora]
    party: Party
    port: int
    visits: Visits = field(default_factory=Visits)

    async def visit(self, enough: asyncio.Event) -> None:
        """Look around and buy, over connections that are kept."""
        bazaar = self.party.scene.bazaar
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as http:
            for number in itertools.count():
                if enough.is_set():
                    return
                await self.visits.ask(http, LOOK, {"sku": "good"}, bazaar.shop.headers)
                if number % 4 == 0:
                    (buyer,), sku = bazaar.logged_in([uuid7()]), bazaar.skus[number % len(bazaar.skus)]
                    await self.visits.ask(http, ADD, {"input": {"lines": [{"sku": sku, "quantity": 1}]}}, buyer)
                    how = {"input": {"address": TORONTO, "paymentToken": "sbx_card_ok"}, "key": f"shift-{uuid7()}"}
                    await self.visits.ask(http, CHECKOUT, how, buyer)
                await asyncio.sleep(PAUSE_SECONDS)

    async def restart(self, server: Agora) -> float:
        """Ask a server to stop, start it again when it has, and wait until the balancer uses it; gives the seconds."""
        began = time.monotonic()
        await asyncio.to_thread(server.__exit__)
        await asyncio.to_thread(server.__enter__)
        async with httpx.AsyncClient() as http:
            await until_ready(http, server.port)
        # The balancer looks five times a second.
        await asyncio.sleep(1)
        return time.monotonic() - began


async def until_ready(http: httpx.AsyncClient, port: int) -> None:
    """Wait until a server says that it is ready.

    Raises: TimeoutError.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{port}/health/ready")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def shift(folder: Path, clients: int) -> AsyncIterator[Shift]:
    """Open a marketplace with two servers behind a balancer; a third process keeps the engines and the worker."""
    keeper = Agora(folder / "home")
    with keeper:
        scene = await set_up(keeper, clients)
        begin = await begin_at(scene)
        servers = [attached(keeper.home, place) for place in (1, 2)]
        for each in servers:
            each.environment["AGORA_HANDOVER_SECONDS"] = HANDOVER_SECONDS
        with servers[0], servers[1], balanced([each.port for each in servers], folder) as port:
            async with httpx.AsyncClient() as http:
                await until_ready(http, port)
            followers = followers_of(port, scene, begin, clients)
            following = [asyncio.create_task(each.follow()) for each in followers]
            talk = Talk(scene, port, CHATS_PER_SECOND, LINES_PER_SECOND)
            party = Party(keeper, servers[0], scene, begin, talk, followers)
            try:
                await party.everybody()
                yield Shift(servers, party, port)
            finally:
                for task in following:
                    task.cancel()
                await asyncio.gather(*following, return_exceptions=True)


async def restart_all(made: Shift, visitors: int) -> list[float]:
    """Restart one server after the other under load; gives the seconds that each took."""
    enough, took = asyncio.Event(), []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(visitors):
            tasks.create_task(made.visit(enough))
        tasks.create_task(made.party.talk.go_on(enough))
        try:
            for each in made.servers:
                await made.party.more(SAID_BETWEEN)
                took.append(await made.restart(each))
            await made.party.more(SAID_BETWEEN)
        finally:
            enough.set()
    return took
