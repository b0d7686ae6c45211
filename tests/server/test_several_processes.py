"""Two servers and two workers on one database and one Valkey: they do each other's work, and nothing twice."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from benchmarks._buyers import ADD, CHECKOUT, TORONTO, Bazaar, shelve
from benchmarks._shop import open_shop
from data.bus import RedisBus, connect
from data.database import Database
from data.embedded import Engines
from domain.kernel import uuid7
from domain.payments.policy import PaymentPolicy
from server.services import open_services
from server.settings import Settings
from tests.server.application import Application, eventually, next_message
from tests.server.test_cli import AGORA, ROOT, environment

PATIENCE_SECONDS = 120.0
BOUGHT_AT_ONCE = 6
NEW_ORDERS = 'subscription($store: ID!) { newStoreOrders(storeId: $store, after: "0") { cursor } }'
# Of every kind of event about orders, how often each handler has handled one; and what nobody could handle.
HANDLED = """
SELECT e.name, i.handler, count(DISTINCT i.event_id) AS handled,
       (SELECT count(*) FROM platform.event_log n WHERE n.name = e.name AND n.tenant_id = :tenant) AS happened
FROM platform.event_log e JOIN platform.inbox i ON i.event_id = e.event_id
WHERE e.tenant_id = :tenant AND split_part(e.name, '.', 1) IN ('order', 'payment', 'inventory')
GROUP BY e.name, i.handler
"""
LEFT = """
SELECT (SELECT count(*) FROM platform.dead_letter WHERE tenant_id = :tenant)
     + (SELECT count(*) FROM platform.event_retry WHERE tenant_id = :tenant)
"""
ORDERS = """SELECT count(*) FILTER (WHERE state = 'paid') FROM orders."order" WHERE tenant_id = :tenant"""
SHELVES = "SELECT sum(reserved) FROM inventory.stock_level WHERE tenant_id = :tenant"


@contextmanager
def started(settings: Settings, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process of ours in a home of its own, on the engines of everybody; it is killed in the end."""
    process = subprocess.Popen(
        [*AGORA, *command], cwd=ROOT, env=environment(**settings.as_environment()), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def address(server: subprocess.Popen[str]) -> str:
    """Wait until a server is ready, and give its address."""
    assert server.stdout is not None
    for line in server.stdout:
        if " is ready at " in line:
            return line.split()[-1].removesuffix("/graphql")
    raise AssertionError("the server did not start")


@pytest.fixture
def home_of(
    tmp_path_factory: pytest.TempPathFactory, engines: Engines, new_database: Callable[[str], str]
) -> Callable[[], Settings]:
    url = new_database("several")

    def make() -> Settings:
        return Settings(
            home=tmp_path_factory.mktemp("several"),
            database_url=url,
            redis_url=engines.redis_url,
            redis_namespace="several",
            secret_key="a secret that is long enough for tests",
            log_format="json",
        )

    return make


@pytest.fixture
async def bazaar(home_of: Callable[[], Settings]) -> Bazaar:
    settings = home_of()
    async with open_services(settings) as services:
        shop = await open_shop(settings, services, "several", ("north", "south"), "CAD")
        async with services.database.session(shop.tenant_id) as session:
            session.add(PaymentPolicy(tenant_id=shop.tenant_id, version=1, review_score=100, reject_score=101))
        skus = ("good-1", "good-2")
        await shelve(services, shop, skus, 1_000)
    return Bazaar(settings, shop, skus)


async def buy(bazaar: Bazaar, url: str) -> None:
    """Buy one of each, and have it paid."""
    (headers,) = bazaar.logged_in([uuid7()])
    wanted = {"lines": [{"sku": sku, "quantity": 1} for sku in bazaar.skus]}
    paid = {"input": {"address": TORONTO, "paymentToken": "sbx_card_ok"}, "key": f"buy-{uuid7()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        for document, variables in ((ADD, {"input": wanted}), (CHECKOUT, paid)):
            answer = (await client.post("/graphql", json={"query": document, "variables": variables})).json()
            (made,) = answer["data"].values()
            assert made["__typename"] in {"Cart", "Order"}, made


class TestTwoServersAndTwoWorkers:
    async def test_handle_every_event_once_and_go_on_when_the_leading_worker_is_killed(
        self, home_of: Callable[[], Settings], bazaar: Bazaar
    ) -> None:
        with ExitStack() as stack:
            flags = ("serve", "--no-worker", "--no-demo", "--port", "0")
            servers = [stack.enter_context(started(home_of(), *flags)) for _ in range(2)]
            urls = [address(each) for each in servers]
            leading = stack.enter_context(started(home_of(), "worker"))
            database = Database(bazaar.settings.database_url, read_pool=1, write_pool=1)
            async with database, connect(bazaar.settings.redis_url) as redis:
                bus = RedisBus(redis, "several")

                async def asked(statement: str) -> Any:
                    async with database.session(None) as session:
                        found = await session.execute(text(statement), {"tenant": bazaar.shop.tenant_id})
                        return found.all()

                async def settled(orders: int) -> bool:
                    """Say whether everything that happened has been heard of by whoever must."""
                    rows = await asked(HANDLED)
                    return (
                        bool(rows)
                        and (await asked(ORDERS))[0][0] == orders
                        and all(row.handled == row.happened for row in rows)
                        and all(each.caught_up for each in await bus.backlogs())
                    )

                async def working(number: int) -> bool:
                    return len(await bus.workers()) == number

                await eventually(lambda: working(1), PATIENCE_SECONDS)
                follower = Application(bazaar.settings, urls[1])
                token = bazaar.shop.token
                async with follower.socket(authorization=f"Bearer {token}", tenant=bazaar.shop.tenant) as socket:
                    store = str(bazaar.shop.stores["north"])
                    assert (await next_message(socket))["type"] == "connection_ack"
                    payload = {"query": NEW_ORDERS, "variables": {"store": store}}
                    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
                    await buy(bazaar, urls[0])
                    assert json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS))["type"] == "next"
                await eventually(lambda: settled(1), PATIENCE_SECONDS)
                stack.enter_context(started(home_of(), "worker"))

                await eventually(lambda: working(2), PATIENCE_SECONDS)
                await asyncio.gather(*(buy(bazaar, urls[number % 2]) for number in range(BOUGHT_AT_ONCE)))
                leading.send_signal(signal.SIGKILL)
                await asyncio.gather(*(buy(bazaar, urls[number % 2]) for number in range(BOUGHT_AT_ONCE)))
                await eventually(lambda: settled(1 + 2 * BOUGHT_AT_ONCE), PATIENCE_SECONDS)
                assert (await asked(LEFT))[0][0] == 0
                assert (await asked(SHELVES))[0][0] == (1 + 2 * BOUGHT_AT_ONCE) * len(bazaar.skus)
