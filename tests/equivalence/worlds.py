"""Two servers on equal data: the graph in one process, and in four groups of subgraphs behind Hive Gateway."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from typing import Any

import httpx

from server.groups import GROUPS
from tests.gateway.processes import READY, ROOT, Caller, agora, process, stock
from tests.schema.fuzz.generating import CURSORS, cursor_variables, cursors_in
from tests.schema.fuzz.shop import FERNHILL, Shop

INDEXED_SECONDS = 120
CALM_LOOKS = 20
"""So often in a row there is nothing to do before the worker is taken to have come to an end."""
PEOPLE = {"buyer": "buyer", "admin": "admin", "seller": "seller1", "platform": "super.admin"}


@dataclass
class World:
    """One of the servers, and what it has answered."""

    url: str
    caller: Caller
    answers: dict[str, Any] = field(default_factory=dict)

    async def ask(self, document: str, variables: Any = None, **more: Any) -> Any:
        return await self.caller.send(f"{self.url}/graphql", document, variables, **more)


@dataclass
class Worlds:
    """Both servers; `parts` is the one in parts, and `groups` tells where they are."""

    whole: World
    parts: World
    groups: dict[str, str]
    homes: dict[str, Path]
    shop: Shop
    neighbour: Shop
    cursors: dict[str, list[str]]

    async def both(self, document: str, variables: Any = None, **more: Any) -> tuple[Any, Any]:
        whole, parts = await asyncio.gather(
            *(world.ask(document, variables, **more) for world in (self.whole, self.parts))
        )
        return whole, parts


async def open_worlds(folder: Path) -> AsyncIterator[Worlds]:
    """Stock one home, make two of it, and serve the one whole and the other in parts."""
    home = folder / "home"
    async with httpx.AsyncClient(timeout=60) as client:
        caller = Caller(client, {})
        with agora(home) as url:
            shop, neighbour = await stock(home)
            await _indexed(caller, url)
            await _settled(client, url)
            await caller.log_in(f"{url}/graphql", **PEOPLE)
            caller.tokens["forged"] = _forged(caller.tokens["buyer"])
            answer = await caller.send(f"{url}/graphql", CURSORS, cursor_variables(shop), person="admin")
        homes = {name: folder / name / "home" for name in ("whole", "parts")}
        for copy in homes.values():
            copy.parent.mkdir()
            # Who owns the folders of the engines matters, and shutil forgets it.
            await asyncio.to_thread(subprocess.run, ["cp", "-a", str(home), str(copy)], check=True)
        with _together(agora(homes["whole"]), gateway(homes["parts"])) as (whole, parts):
            groups = dict(zip(GROUPS, _following(parts), strict=False))
            yield Worlds(
                World(whole, caller), World(parts, caller), groups, homes, shop, neighbour, cursors_in(answer["data"])
            )


@contextmanager
def gateway(home: Path) -> Iterator[str]:
    """Serve a home in parts; gives the address of the gateway, without a path."""
    log = home.parent / "gateway.log"
    command = [sys.executable, "-m", "server.cli", "gateway", "--home", str(home), "--no-demo"]
    with process(
        [*command, "--port", str(_free_ports(len(GROUPS) + 1))], log, lambda: READY in log.read_text(), cwd=ROOT
    ):
        yield log.read_text().partition(READY)[2].split()[0].removesuffix("/graphql")


def _free_ports(count: int) -> int:
    """Give the first of several free ports in a row, of those that the system gives to nobody by itself."""
    while True:
        first = randrange(20_000, 30_000)
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first


def _following(url: str) -> Iterator[str]:
    host, _, port = url.rpartition(":")
    return (f"{host}:{int(port) + number}" for number in range(1, len(GROUPS) + 1))


@contextmanager
def _together(*managers: Any) -> Iterator[list[Any]]:
    """Enter several at the same time."""
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        entering = [threads.submit(stack.enter_context, each) for each in managers]
        yield [each.result() for each in entering]


async def _indexed(caller: Caller, url: str) -> None:
    deadline, total = time.monotonic() + INDEXED_SECONDS, 0
    while total < FERNHILL.products:
        assert time.monotonic() < deadline, f"{total} products are searchable"
        answer = await caller.send(f"{url}/graphql", "{ searchProducts(first: 1) { total } }")
        total = answer["data"]["searchProducts"]["total"]
        await asyncio.sleep(0.1)


async def _settled(client: httpx.AsyncClient, url: str) -> None:
    """Wait until the worker has nothing to do: what it did later in one of the worlds would differ from the other."""
    deadline, calm = time.monotonic() + INDEXED_SECONDS, 0
    while calm < CALM_LOOKS:
        assert time.monotonic() < deadline, "the worker does not come to an end"
        bus = (await client.get(f"{url}/health")).json()["parts"]["bus"]
        calm = calm + 1 if bus.get("backlog") == 0 and bus.get("lag_seconds") == 0 else 0
        await asyncio.sleep(0.2)


def _forged(token: str) -> str:
    """Give the token with another's signature."""
    head, _, signature = token.rpartition(".")
    return f"{head}.{signature[::-1]}"
