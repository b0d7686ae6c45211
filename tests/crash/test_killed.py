"""Servers and workers that are killed anywhere, and connections that are cut: every order ends, and every cent is somewhere."""

import asyncio
import json
import logging
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from data.database import Database
from domain.payments.paying_out import SetPayoutAccount, set_payout_account
from server.payments.sandbox_cards import TRANSFER_DELAYED
from tests.buying import market
from tests.conftest import tenant_maker
from tests.crash.buyers import GONE, SKUS
from tests.crash.street import Place, Street, street

log = logging.getLogger(__name__)
ORDERS = int(os.environ.get("AGORA_CRASH", "30"))
SEED = int(os.environ.get("AGORA_CRASH_SEED", 7 if ORDERS < 200 else random.randrange(10**6)))
AT_ONCE = 2
TROUBLE = {"error", "critical"}
BUYERS = 12 if ORDERS < 200 else 40
POINTS = [
    *(f"checkout.{step}.{place}" for step in ("place", "settle") for place in ("begin", "uncommitted", "done")),
    *(f"checkout.{step}.{place}" for step in ("reserve", "charge") for place in ("begin", "done")),
    *("checkout.charge.undo", "checkout.place.undo", "withdraw_order.uncommitted"),
    *(f"provider.{asked}.{place}" for asked in ("charge", "refund", "transfer", "void", "find")
      for place in ("begin", "answered")),
    *(f"{act}.{place}" for act in ("cancel_order", "refund_payment", "accept_return", "update_order_status", "pay_out")
      for place in ("uncommitted", "done")),
    *(f"{job}.{place}" for job in ("send_refund", "send_payout", "let_go") for place in ("uncommitted", "unnoted")),
    *("hear_provider.uncommitted", "hear_provider.unanswered", "release_escrow.uncommitted"),
]  # fmt: skip


@pytest.fixture
async def place(new_database: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Place]:
    """Open a market with few goods, in a database of its own: connections are cut there."""
    url = new_database(f"crash_{os.getpid()}")
    tenant_id = tenant_maker(url)()
    async with Database(url) as database, market(database, tenant_id) as opened:
        for number, sku in enumerate(SKUS):
            await opened.put_on_sale(sku, 4999 + 1750 * number, 40 + ORDERS // 2, seller=number % 2)
        books = str(tmp_path / "bank.sqlite")
        yield Place(
            database_url=url,
            tenant_id=tenant_id,
            books=books,
            stores=tuple(opened.stores),
            sellers=tuple(opened.sellers),
        )


async def _observer(url: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="observer")


async def _orders(url: str) -> int:
    async with await _observer(url) as connection:
        rows = await connection.execute('SELECT count(*) FROM orders."order"')
        return int((await rows.fetchall())[0][0])


async def _cut(url: str, dice: random.Random, stop: asyncio.Event) -> int:
    """Cut one connection after the other, whosever it is."""
    cut = 0
    async with await _observer(url) as connection:
        while not stop.is_set():
            await asyncio.sleep(dice.uniform(0.2, 0.8))
            done = await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name <> 'observer' AND backend_type = 'client backend' AND state <> 'idle' "
                "ORDER BY random() LIMIT 1) AS one"
            )
            cut += done.rowcount
    return cut


async def _crowd(place: Place, dice: random.Random, number: int) -> tuple[int | None, str, str]:
    told = asdict(place) | {
        "seed": SEED * 1_000 + number * BUYERS, "buyers": BUYERS, "point": dice.choice(POINTS), "times": dice.randint(1, BUYERS // 3)
    }  # fmt: skip
    crowd = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.buyers", json.dumps(told, default=str),
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            said, complaint = await crowd.communicate()
    except TimeoutError:
        crowd.kill()
        raise AssertionError(f"a process hangs: seed {SEED}, {told}") from None
    return crowd.returncode, said.decode().strip(), complaint.decode()


async def _open_accounts(shop: Street) -> None:
    for seller, destination in zip(shop.sellers, ("sbx_acct_1", TRANSFER_DELAYED), strict=True):
        account = SetPayoutAccount(currency="CAD", provider="sandbox", destination=destination, seller_id=seller)
        await shop.transactions.run(set_payout_account, account, shop.boss)


class TestKilledProcesses:
    @pytest.mark.timeout(1_800)
    async def test_leave_nothing_unfinished_and_nothing_that_contradicts_itself(self, place: Place) -> None:
        dice, gone, stop = random.Random(SEED), Counter[str](), asyncio.Event()
        async with Database(place.database_url) as database, street(database, place) as shop:
            await _open_accounts(shop)
        cutter = asyncio.create_task(_cut(place.database_url, dice, stop))
        number = 0
        while await _orders(place.database_url) < ORDERS:
            crowds = range(number, number + AT_ONCE)
            for code, said, complaint in await asyncio.gather(*(_crowd(place, dice, each) for each in crowds)):
                assert code in {0, GONE}, f"seed {SEED}: {complaint}"
                gone[said] += 1
            number += AT_ONCE
        stop.set()
        cut = await cutter
        async with Database(place.database_url) as database, street(database, place) as shop:
            with capture_logs() as logs:
                await shop.come_to_rest()
            amiss = await shop.amiss()
            orders = await _orders(place.database_url)
        log.info("seed %s: %s orders, %s connections cut, gone at %s", SEED, orders, cut, dict(gone))
        trouble = [each for each in logs if each["log_level"] in TROUBLE]
        assert not amiss, f"AGORA_CRASH_SEED={SEED}: {[str(each) for each in amiss]}, {trouble[:3]}"
        assert gone.total() > gone[""], "nobody was killed"
