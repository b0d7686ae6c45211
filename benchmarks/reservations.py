"""How many reservations of one hot SKU a second are durable, at the grouping desk and one transaction each.

Run as `python -m benchmarks.reservations [buyers at once] [reservations]`; PostgreSQL is started in a temporary folder, with
fsync on, and shares the processors with the buyers.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

import psycopg

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from benchmarks._figures import Figure, percentile, report
from data.database import Database
from data.embedded import Engines
from data.inventory import GroupedStockDesk
from data.migrations import upgrade
from data.transactions import SqlTransactions
from domain.inventory import InsufficientStock, ReserveStock, StockClaim, reserve_stock
from domain.kernel import NOBODY, Work, uuid7

BUYERS = 256
RESERVATIONS = 8_000
# One by one is slow by nature; a sample of it says enough.
ALONE = 800
COLD_SKUS = 100
STORE = UUID(int=1)
TENANT = """
INSERT INTO tenancy.tenant (id, tenant_id, version, code, name, status, subscription_tier, max_stores, currency)
VALUES (%(tenant)s, %(tenant)s, 1, 'bench', 'Bench', 'active', 'standard', 1, 'CAD')
"""
SHELF = """
INSERT INTO inventory.stock_level
    (id, tenant_id, version, store_id, sku, product_id, on_hand, reserved, reorder_point, reorder_quantity)
VALUES (gen_random_uuid(), %(tenant)s, 1, %(store)s, %(sku)s, gen_random_uuid(), %(units)s, 0, 0, 0)
"""
Reserve = Callable[[ReserveStock, Work], Awaitable[object]]


def furnish(url: str, tenant_id: UUID, shelves: dict[str, int]) -> None:
    """Make a tenant with its shelves."""
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE agora_system")
        connection.execute(TENANT, {"tenant": tenant_id})
        for sku, units in shelves.items():
            connection.execute(SHELF, {"tenant": tenant_id, "store": STORE, "sku": sku, "units": units})


class Crowd:
    """Buyers of whom each reserves one unit, and another as soon as that is settled."""

    def __init__(self, tenant_id: UUID, buyers: int) -> None:
        self.tenant_id = tenant_id
        self.buyers = buyers
        self.latencies_ms: list[float] = []
        self.refused = 0

    async def buy(self, reserve: Reserve, skus: Sequence[str], reservations: int) -> tuple[float, float]:
        """Give the seconds that it took, and the seconds of CPU that this process took for it."""
        turns = count()

        async def buyer() -> None:
            while (turn := next(turns)) < reservations:
                await self._once(reserve, skus[turn % len(skus)])

        began, cpu = perf_counter(), process_time()
        await asyncio.gather(*(buyer() for _ in range(self.buyers)))
        return perf_counter() - began, process_time() - cpu

    async def _once(self, reserve: Reserve, sku: str) -> None:
        claim = StockClaim(store_id=STORE, sku=sku, quantity=1)
        work = Work(tenant_id=self.tenant_id, actor=NOBODY, now=datetime.now(UTC), correlation_id="bench")
        began = perf_counter()
        try:
            await reserve(ReserveStock(order_id=uuid7(), claims=(claim,)), work)
        except InsufficientStock:
            self.refused += 1
        self.latencies_ms.append((perf_counter() - began) * 1000)


async def measure(
    name: str, crowd: Crowd, reserve: Reserve, skus: Sequence[str], reservations: int, target: float | None = None
) -> list[Figure]:
    """Measure one way to reserve."""
    seconds, cpu = await crowd.buy(reserve, skus, reservations)
    note = f"{crowd.buyers} buyers, {reservations:,} reservations, {crowd.refused} refused"
    return [
        Figure(name, reservations / seconds, "/s", target=target, at_least=True, note=note),
        Figure("  latency, median", percentile(crowd.latencies_ms, 0.5), "ms"),
        Figure("  latency, p99", percentile(crowd.latencies_ms, 0.99), "ms"),
        Figure("  CPU of the server's process each", cpu / reservations * 1000, "ms"),
    ]


async def main(url: str, buyers: int, reservations: int) -> list[Figure]:
    """Measure the desk with one hot SKU and with many, a sale that is over, and one transaction each."""
    tenant_id = uuid7()
    cold = [f"cold-{at}" for at in range(COLD_SKUS)]
    furnish(url, tenant_id, {"hot": 10**6, "scarce": 10, **dict.fromkeys(cold, 10**6)})
    async with Database(url) as database:
        desk = GroupedStockDesk(database)
        transactions = SqlTransactions(database)

        async def alone(command: ReserveStock, work: Work) -> object:
            return await transactions.run(reserve_stock, command, work)

        await Crowd(tenant_id, buyers).buy(desk.reserve, ["hot", *cold], 2 * buyers)
        before = desk.groups_served
        figures = await measure(
            "one hot SKU, at the desk", Crowd(tenant_id, buyers), desk.reserve, ["hot"], reservations, 1_000
        )
        served = desk.groups_served - before
        figures += await measure(
            f"{COLD_SKUS} SKUs, at the desk", Crowd(tenant_id, buyers), desk.reserve, cold, reservations
        )
        figures += await measure(
            "16 buyers, one hot SKU", Crowd(tenant_id, 16), desk.reserve, ["hot"], reservations // 4
        )
        figures += await measure("10 units, the desk", Crowd(tenant_id, buyers), desk.reserve, ["scarce"], reservations)
        figures += await measure("one hot SKU, a transaction each", Crowd(tenant_id, buyers), alone, ["hot"], ALONE)
        await desk.close()
    figures.append(Figure("reservations in a group, on average", reservations / max(served, 1), ""))
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE agora_system")
        oversold = connection.execute(OVERSOLD).fetchone()
    figures.append(
        Figure("shelves that promise more than they have", float(oversold[0] if oversold else -1), "", target=0)
    )
    return figures


OVERSOLD = """
SELECT count(*) FROM inventory.stock_level l WHERE l.reserved > l.on_hand OR l.reserved <> (
    SELECT coalesce(sum(quantity - consumed), 0) FROM inventory.reservation r
    WHERE r.tenant_id = l.tenant_id AND r.store_id = l.store_id AND r.sku = l.sku AND r.state = 'active')
"""


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    with Engines(Path(tempfile.mkdtemp())) as running:
        upgrade(running.database_url)
        chosen = (*given, *(BUYERS, RESERVATIONS)[len(given) :])
        print(report("Reservations", asyncio.run(main(running.database_url, *chosen[:2]))))
