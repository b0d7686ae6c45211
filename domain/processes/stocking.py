"""Putting goods of the catalogue on the shelves of a store."""

from domain.catalog import Skus
from domain.inventory import AdjustStock, StockJournal, StockLevel, StockLevels, require_store
from domain.kernel import NotFound, Work
from domain.tenancy import Stores


async def adjust_stock(
    command: AdjustStock, work: Work, stores: Stores, skus: Skus, levels: StockLevels, journal: StockJournal
) -> StockLevel:
    """Change the stock of a SKU that the catalogue knows, in a store that the tenant has.

    Raises: NotFound, InsufficientStock, InvalidInput.
    """
    require_store(work.actor, command.store_id)
    if await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    item = await skus.find(command.sku)
    if item is None:
        raise NotFound(kind="SKU", id=command.sku)
    level = await levels.lock_or_create(
        StockLevel(
            tenant_id=work.tenant_id,
            store_id=command.store_id,
            sku=command.sku,
            product_id=item.product_id,
            variant_id=item.variant_id,
        )
    )
    await journal.add(level.adjust(command.change, command.kind, command.reason, work))
    return level
