"""Which stores have what is put into a cart; a projection may look into several contexts at once."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.kernel import implements
from domain.processes.carting import Shelf, Shelves

_OF_SKUS = """
SELECT l.store_id, l.sku, l.on_hand - l.reserved AS available
FROM inventory.stock_level l JOIN tenancy.store s ON s.id = l.store_id
WHERE l.sku = ANY($1) AND s.status <> 'suspended'
"""


@implements(Shelves)
class SqlShelves:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_skus(self, skus: Sequence[str]) -> list[Shelf]:
        return [Shelf(**row) for row in await direct(self._session, _OF_SKUS, list(skus))]
