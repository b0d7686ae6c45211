"""How many positions a second one server process takes from ten thousand drivers, each with a delivery under way.

Run as `python -m benchmarks.positions [drivers] [positions]`; PostgreSQL and Valkey are started in a temporary folder and
share the processors with the server, whose graph is asked as its sockets would ask it.
"""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import psycopg

from benchmarks._figures import Figure, percentile, report
from benchmarks.reservations import TENANT
from data.embedded import Engines
from data.migrations import upgrade
from domain.kernel import Principal, uuid7
from resolvers.kernel import Context
from schema.graph import build
from server.services import Services, open_services
from server.settings import Settings

DRIVERS = 10_000
POSITIONS = 40_000
POSITIONS_A_CALL = 4
DEVICES_AT_ONCE = 64
TELL = """mutation($input: UpdateDeliveryLocationInput!) { updateDeliveryLocation(input: $input) {
  __typename ... on LocationReceipt { accepted rejections { index reason } } } }"""
UNDER_WAY = """
INSERT INTO delivery.delivery (id, tenant_id, version, order_id, sub_order_id, order_number, store_id, mode, state,
  tracking_number, address, latitude, longitude, store_latitude, store_longitude, fee_minor, currency, proof_kind,
  age_restricted, driver_id, fences, is_arriving, attempts, proof, made_at, started_at)
SELECT gen_random_uuid(), %(tenant)s, 1, gen_random_uuid(), gen_random_uuid(), 'ORD', gen_random_uuid(), 'own_fleet',
  'en_route', 'AG' || replace(gen_random_uuid()::text, '-', ''), '{}', 43.75, -79.4, 43.6, -79.4, 0, 'CAD', 'none',
  false, driver, '{}', false, 1, '{}', now(), now()
FROM unnest(%(drivers)s::uuid[]) AS driver
"""


def furnish(url: str, tenant_id: UUID, drivers: list[UUID]) -> None:
    """Make a tenant whose drivers are all on their way."""
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE agora_system")
        connection.execute(TENANT, {"tenant": tenant_id})
        connection.execute(UNDER_WAY, {"tenant": tenant_id, "drivers": drivers})


class Fleet:
    """Drivers who go north at ten metres a second, and tell of the last seconds together."""

    def __init__(self, graph: Any, services: Services, tenant_id: UUID, drivers: list[UUID]) -> None:
        self._graph = graph
        self._services = services
        self._tenant_id = tenant_id
        self._drivers = drivers
        self.accepted = 0
        self.latencies_ms: list[float] = []

    async def tell(self, calls: int) -> tuple[float, float]:
        """Give the seconds that it took, and the seconds of CPU that this process took for it."""
        turns = count()

        async def device() -> None:
            while (turn := next(turns)) < calls:
                await self._once(self._drivers[turn % len(self._drivers)], turn // len(self._drivers))

        began, cpu = perf_counter(), process_time()
        await asyncio.gather(*(device() for _ in range(DEVICES_AT_ONCE)))
        return perf_counter() - began, process_time() - cpu

    async def _once(self, driver: UUID, lap: int) -> None:
        first = datetime.now(UTC) - timedelta(seconds=60 - lap * POSITIONS_A_CALL)
        steps = [lap * POSITIONS_A_CALL + step for step in range(POSITIONS_A_CALL)]
        positions = [
            {
                "at": (first + timedelta(seconds=place)).isoformat(),
                "latitude": 43.61 + step * 0.00009,
                "longitude": -79.4,
            }
            for place, step in enumerate(steps)
        ]
        reads = self._services.database.reads(self._tenant_id)
        context = Context(
            reads=reads,
            transactions=self._services.transactions,
            services=self._services.by_port,
            principal=Principal(user_id=driver, tenant_id=self._tenant_id, permissions=frozenset({"delivery.drive"})),
            tenant_id=self._tenant_id,
        )
        began = perf_counter()
        result = await self._graph.execute(
            TELL, variable_values={"input": {"positions": positions}}, context_value=context
        )
        self.latencies_ms.append((perf_counter() - began) * 1_000)
        self.accepted += result.data["updateDeliveryLocation"]["accepted"]


async def measure(settings: Settings, drivers: int, positions: int) -> str:
    """Tell so many positions, and say how it went."""
    tenant_id, fleet_ids = uuid7(), [uuid7() for _ in range(drivers)]
    furnish(settings.database_url, tenant_id, fleet_ids)
    async with open_services(settings) as services:
        fleet = Fleet(build(), services, tenant_id, fleet_ids)
        seconds, cpu = await fleet.tell(positions // POSITIONS_A_CALL)
    note = f"{drivers:,} drivers, {POSITIONS_A_CALL} a call"
    figures = [
        Figure("positions taken", fleet.accepted / seconds, "/s", 2_500, at_least=True, note=note),
        Figure("of all that were told", 100 * fleet.accepted / positions, "%"),
        Figure("CPU of the server for one", cpu / positions * 1_000, "ms"),
        Figure("a call, half", percentile(fleet.latencies_ms, 0.5), "ms", note=f"{DEVICES_AT_ONCE} at once"),
        Figure("a call, 99 %", percentile(fleet.latencies_ms, 0.99), "ms"),
    ]
    return report("live positions", figures)


def main() -> None:
    """Start the engines, and print the table."""
    drivers, positions = [*map(int, sys.argv[1:]), *(DRIVERS, POSITIONS)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder, Engines(Path(folder)) as engines:
        upgrade(engines.database_url)
        settings = Settings(
            home=Path(folder) / "home",
            database_url=engines.database_url,
            redis_url=engines.redis_url,
            secret_key="b" * 40,
        )
        print(asyncio.run(measure(settings, drivers, positions)))


if __name__ == "__main__":
    main()
