"""A marketplace under load whose parts are killed one after the other, and what its shoppers were told meanwhile.

Shoppers come back with the same key until they are answered, as every good client does; visitors look once and go on. What
both were told is written down with its moment.
"""

import asyncio
import itertools
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks._buyers import ADD, CHECKOUT, TORONTO, Bazaar, open_bazaar
from benchmarks._races import contradictions
from benchmarks._system import Agora, attached, free_port
from data.bus import RedisBus
from data.database import Database
from data.embedded.binaries import valkey_program
from data.embedded.postgres import EmbeddedPostgres
from data.embedded.processes import launch, stop
from data.migrations import upgrade
from domain.kernel import uuid7

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
THINK_SECONDS = 0.5
COMPLETE, PARTIAL, REFUSED, CUT, MASKED = "complete", "partial", "refused", "cut", "masked"
"""An answer without errors; one with data and typed errors; typed errors alone; no answer; an error that nobody foresaw."""
LOOK = """query Look($sku: String!) {
  products(first: 5) { nodes { id name stock { available } rating { average } } }
  searchProducts(query: $sku, first: 3) { total }
  provinces { code } }"""
ADD_ONCE = ADD.replace("($input: AddToCartInput!)", "($input: AddToCartInput!, $key: String!)").replace(
    "(input: $input)", "(input: $input, idempotencyKey: $key)"
)
PROGRESS = """
SELECT (SELECT coalesce(max(sequence), 0) FROM platform.event_log) AS newest, sequence AS relayed
FROM platform.relay_cursor WHERE id = 1
"""


@dataclass(frozen=True)
class Told:
    """What somebody was told, when, in seconds of the monotonic clock, and the codes of the errors."""

    at: float
    what: str
    codes: tuple[str, ...] = ()


class Valkey:
    """A Valkey that keeps what it was told, and may be killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [
            valkey_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
            "--dir", str(folder), "--daemonize", "no",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = launch(self._command, output=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            stop(self._process, [(signal.SIGKILL, 10.0)])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Postgres:
    """A PostgreSQL that writes safely, and may be killed with everything that it does."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)

    @property
    def url(self) -> str:
        return self._server.url()

    def start(self) -> None:
        self._server = EmbeddedPostgres(self._server.home)
        self._server.start()

    def kill(self) -> None:
        """End all of its processes at once, as a power failure does."""
        process = self._server._process  # noqa: SLF001 — nobody but us ends it so.
        assert process
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(10)
        psutil.wait_procs(family, timeout=10)
        self._server._lock.release()  # noqa: SLF001 — as the kernel would, had we died with it.

    def __enter__(self) -> Self:
        self._server.start()
        upgrade(self.url)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


@dataclass
class Shopper:
    """Somebody who buys, and asks again under the same keys until there is an answer."""

    headers: dict[str, str]
    orders: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


@dataclass
class Town:
    """Two servers, a worker, their engines, and what was told to whom."""

    keeper: Agora
    other: Agora
    postgres: Postgres
    valkey: Valkey
    bazaar: Bazaar
    looks: list[Told] = field(default_factory=list)
    purchases: list[Told] = field(default_factory=list)
    shoppers: list[Shopper] = field(default_factory=list)
    paid: dict[str, set[str]] = field(default_factory=dict)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    @property
    def ports(self) -> Sequence[int]:
        return self.keeper.port, self.other.port

    def kill_worker(self) -> None:
        """Kill the worker, which the server that keeps it starts again."""
        self.keeper.worker.kill()

    async def shop(self, enough: asyncio.Event) -> None:
        """Buy one thing after the other until it is enough; what was begun is brought to an end."""
        (headers,) = self.bazaar.logged_in([uuid7()])
        me = Shopper(headers)
        self.shoppers.append(me)
        async with httpx.AsyncClient(timeout=30) as http:
            while not enough.is_set():
                await self._buy(http, me)
                await asyncio.sleep(THINK_SECONDS)

    async def _buy(self, http: httpx.AsyncClient, me: Shopper) -> None:
        sku, key = self.bazaar.skus[next(self._turn) % len(self.bazaar.skus)], f"shop-{uuid7()}"
        wanted = {"input": {"lines": [{"sku": sku, "quantity": 1}]}, "key": f"{key}-add"}
        await self._until_answered(http, me, ADD_ONCE, wanted)
        how = {"input": {"address": TORONTO, "paymentToken": "sbx_card_ok"}, "key": key}
        answer = await self._until_answered(http, me, CHECKOUT, how)
        if answer["__typename"] == "Order":
            me.orders.append(answer["id"])
            self.paid.setdefault(key, set()).add(answer["id"])
        else:
            me.refusals.append(f"{answer['code']}: {answer['message']}")

    async def _until_answered(
        self, http: httpx.AsyncClient, me: Shopper, document: str, variables: dict[str, Any]
    ) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            told, data = await self._ask(http, document, variables, me.headers)
            self.purchases.append(told)
            (answer,) = (data or {"": None}).values()
            # A purchase that was begun and is being brought to an end by somebody else is asked for again.
            if answer and answer.get("code") not in {"PROCESS_UNFINISHED", "UNAVAILABLE"}:
                return dict(answer)
            await asyncio.sleep(PAUSE_SECONDS)
        raise TimeoutError(f"nobody answers: {Counter(each.codes for each in self.purchases[-20:])}")

    async def look(self, enough: asyncio.Event) -> None:
        """Look around until it is enough."""
        async with httpx.AsyncClient(timeout=10) as http:
            while not enough.is_set():
                told, _ = await self._ask(http, LOOK, {"sku": "good"}, self.bazaar.shop.headers)
                self.looks.append(told)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(
        self, http: httpx.AsyncClient, document: str, variables: dict[str, Any], headers: dict[str, str]
    ) -> tuple[Told, dict[str, Any] | None]:
        port = self.ports[next(self._turn) % len(self.ports)]
        try:
            reply = await http.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": document, "variables": variables}, headers=headers
            )
            body = reply.json()
        except (httpx.HTTPError, ValueError):
            return Told(time.monotonic(), CUT), None
        codes = tuple(each.get("extensions", {}).get("code", "") for each in body.get("errors", ()))
        data = body.get("data")
        has_data = bool(data) and any(each is not None for each in data.values())
        if not codes:
            what = COMPLETE
        elif "INTERNAL" in codes or "" in codes:
            what = MASKED
        else:
            what = PARTIAL if has_data else REFUSED
        return Told(time.monotonic(), what, codes), data if has_data else None

    async def recovered(self, since: float) -> float:
        """Wait until a visitor and a shopper were answered completely, and give the seconds since then.

        Raises: TimeoutError.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (moment := self._answered(since)) is None:  # noqa: ASYNC110 — it looks at what many tasks write.
                await asyncio.sleep(PAUSE_SECONDS)
        return moment - since

    def _answered(self, since: float) -> float | None:
        answers = [
            next((each.at for each in told if each.what == COMPLETE and each.at > since), None)
            for told in (self.looks, self.purchases)
        ]
        known = [each for each in answers if each is not None]
        return max(known) if len(known) == len(answers) else None

    async def handled(self) -> None:
        """Wait until the worker has carried over and handled everything that has happened by now.

        Raises: TimeoutError.
        """
        settings = self.bazaar.settings
        async with (
            Database(settings.database_url, read_pool=1, write_pool=1) as database,
            Redis.from_url(settings.redis_url) as redis,
        ):
            bus, (newest, _) = RedisBus(redis, settings.redis_namespace), await _progress(database)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while late := await _late(database, bus, newest):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"event {newest} was not handled: {late}")
                await asyncio.sleep(PAUSE_SECONDS)

    async def contradictions(self) -> list[str]:
        """Name everything in the books that contradicts something else, and what does not stand in them as it was told."""
        async with Database(self.bazaar.settings.database_url, read_pool=1, write_pool=1) as database:
            found = await contradictions(database, self.bazaar.shop.tenant_id)
            reads = database.system_reads()
            rows = await reads.text("""SELECT id, payment_status FROM orders."order" """)
            await reads.end()
        stands = {str(row["id"]): row["payment_status"] for row in rows}
        told = [order for each in self.shoppers for order in each.orders]
        found += [f"order {each} was promised and is not there" for each in told if each not in stands]
        found += [f"key {key} made {len(made)} orders" for key, made in self.paid.items() if len(made) != 1]
        return found


async def _progress(database: Database) -> tuple[int, int]:
    reads = database.system_reads()
    try:
        (row,) = await reads.text(PROGRESS)
    finally:
        await reads.end()
    return row["newest"], row["relayed"]


async def _late(database: Database, bus: RedisBus, sequence: int) -> list[str]:
    """Name what has not come to this event yet."""
    _, relayed = await _progress(database)
    late = [f"the relay is at {relayed}"] if relayed < sequence else []
    try:
        backlogs = await bus.backlogs()
    except RedisError as error:
        return [repr(error)]
    return late + [str(each) for each in backlogs if not each.caught_up and each.handled_to < sequence]


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    """Open a marketplace of two servers and a worker, on engines of its own."""
    with Postgres(folder / "postgres") as postgres, Valkey(folder / "valkey") as valkey:
        keeper = Agora(folder / "home")
        keeper.environment |= {"AGORA_DATABASE_URL": postgres.url, "AGORA_REDIS_URL": valkey.url}
        with keeper:
            other = attached(keeper.home, 1)
            other.environment |= keeper.environment
            with other:
                yield Town(keeper, other, postgres, valkey, await open_bazaar(keeper))


@dataclass(frozen=True)
class Outage:
    """One part that was killed, and what was told meanwhile.

    From its return are counted the seconds until callers were answered completely, and until all events were handled.
    """

    part: str
    away_seconds: float
    recovery_seconds: float
    handled_seconds: float
    looks: Counter[str]
    purchases: Counter[str]


@contextmanager
def _told_during(town: Town) -> Iterator[tuple[Counter[str], Counter[str]]]:
    looks, purchases = Counter[str](), Counter[str]()
    seen = len(town.looks), len(town.purchases)
    yield looks, purchases
    looks.update(each.what for each in town.looks[seen[0] :])
    purchases.update(each.what for each in town.purchases[seen[1] :])


async def live_through(town: Town, parts: Sequence[str], shoppers: int, away_seconds: float) -> list[Outage]:
    """Let people shop while one part after the other is killed, is away for a while, and comes back."""
    enough, gave = asyncio.Event(), []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(shoppers):
            tasks.create_task(town.shop(enough))
        tasks.create_task(town.look(enough))
        try:
            await town.recovered(time.monotonic())
            gave.extend([await _outage(town, part, away_seconds) for part in parts])
        finally:
            enough.set()
    await town.handled()
    return gave


async def _outage(town: Town, part: str, away_seconds: float) -> Outage:
    kill, start = _ways(town)[part]
    with _told_during(town) as (looks, purchases):
        began = time.monotonic()
        await asyncio.to_thread(kill)
        await asyncio.sleep(away_seconds)
        await asyncio.to_thread(start)
        back = time.monotonic()
        recovery = await town.recovered(back)
        await town.handled()
        handled = time.monotonic() - back
        # Those who still hold a connection from before are heard too.
        await asyncio.sleep(away_seconds)
    return Outage(part, back - began, recovery, handled, looks, purchases)


def _ways(town: Town) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    def nothing() -> None:
        """It comes back by itself."""

    return {
        "a server": (town.other.kill, town.other.__enter__),
        "the worker": (town.kill_worker, nothing),
        "Valkey": (town.valkey.kill, town.valkey.start),
        "PostgreSQL": (town.postgres.kill, town.postgres.start),
    }


PARTS = ("a server", "the worker", "Valkey", "PostgreSQL")
