"""Which stores have what is put into a cart; a projection may look into several contexts at once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.kernel import implements
from domain.inventory import AllocationStrategy
from domain.processes.allocating import STRATEGY_SETTING, Shelf, Shelves, StockedStore
from domain.tenancy import GeoLocation

_OF_SKUS = """
SELECT l.store_id, l.sku, l.on_hand - l.reserved AS available
FROM inventory.stock_level l JOIN tenancy.store s ON s.id = l.store_id
WHERE l.sku = ANY($1) AND l.tenant_id = :tenant AND s.tenant_id = :tenant AND s.status <> 'suspended'
"""
_STOCKED = """
SELECT l.store_id, l.on_hand - l.reserved AS available, s.latitude, s.longitude,
  (SELECT min(b.received_at) FROM inventory.lot b
   WHERE b.store_id = l.store_id AND b.sku = l.sku AND b.quantity_remaining > 0) AS oldest,
  (SELECT t.value FROM tenancy.store_setting t WHERE t.store_id IS NULL AND t.key = $2) AS strategy
FROM inventory.stock_level l JOIN tenancy.store s ON s.id = l.store_id
WHERE l.sku = $1 AND l.tenant_id = :tenant AND s.tenant_id = :tenant AND s.status <> 'suspended' AND l.on_hand > l.reserved
"""


@implements(Shelves)
class SqlShelves:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_skus(self, skus: Sequence[str]) -> list[Shelf]:
        return [Shelf(**row) for row in await direct(self._session, _OF_SKUS, list(skus))]

    async def stocked(self, sku: str) -> tuple[AllocationStrategy, list[StockedStore]]:
        rows = await direct(self._session, _STOCKED, sku, STRATEGY_SETTING)
        named = next((str(row["strategy"]) for row in rows), "")
        strategy = AllocationStrategy(named) if named in set(AllocationStrategy) else AllocationStrategy.FEWEST_PARCELS
        return strategy, [_store(row) for row in rows]


def _store(row: Any) -> StockedStore:
    placed = row["latitude"] is not None and row["longitude"] is not None
    return StockedStore(
        store_id=row["store_id"],
        available=row["available"],
        oldest=row["oldest"],
        location=GeoLocation(float(row["latitude"]), float(row["longitude"])) if placed else None,
    )
