"""Putting goods of the catalogue on the shelves of stores, and carrying them between stores."""

from uuid import UUID

from domain.catalog import SkuRef, Skus
from domain.inventory import (
    AdjustStock,
    HeldStock,
    Lots,
    MoveInventory,
    Movement,
    Movements,
    ReceiveStock,
    ReleaseStock,
    Reservations,
    ReserveStock,
    StockChange,
    StockJournal,
    StockLevel,
    StockLevels,
    carry,
    lot_of,
    require_store,
)
from domain.inventory import release_stock as release
from domain.inventory import reserve_stock as reserve
from domain.jobs import JobQueue
from domain.kernel import NotFound, Work
from domain.tenancy import Stores


async def adjust_stock(
    command: AdjustStock,
    work: Work,
    stores: Stores,
    skus: Skus,
    levels: StockLevels,
    journal: StockJournal,
    lots: Lots,
) -> StockLevel:
    """Change the stock of a SKU that the catalogue knows, in a store that the tenant has.

    Raises: NotFound, InsufficientStock, InvalidInput.
    """
    work.require("inventory.adjust", change=command.change, sku=command.sku, store_id=str(command.store_id))
    await _require_store(command.store_id, work, stores)
    level = await _shelf(command.store_id, command.sku, await _item(command.sku, skus), work, levels)
    await journal.add(level.adjust(command.change, command.kind, command.reason, work))
    if command.change < 0:
        await lots.take({(level.store_id, level.sku): -command.change})
    return level


async def receive_stock(
    command: ReceiveStock,
    work: Work,
    stores: Stores,
    skus: Skus,
    levels: StockLevels,
    journal: StockJournal,
    lots: Lots,
) -> StockLevel:
    """Put a delivery on a shelf, and note its batch.

    Raises: NotFound, InvalidInput.
    """
    await _require_store(command.store_id, work, stores)
    level = await _shelf(command.store_id, command.sku, await _item(command.sku, skus), work, levels)
    await journal.add(level.adjust(command.quantity, StockChange.PURCHASE, command.batch_lot, work))
    if command.batch_lot is not None:
        await lots.receive(lot_of(command, work))
    return level


async def move_inventory(
    command: MoveInventory,
    work: Work,
    stores: Stores,
    skus: Skus,
    levels: StockLevels,
    journal: StockJournal,
    lots: Lots,
    movements: Movements,
) -> Movement:
    """Carry units to another store of the tenant, the oldest lots first.

    Raises: NotFound, InsufficientStock, InvalidInput.
    """
    both = sorted((command.from_store_id, command.to_store_id))
    for store_id in both:
        await _require_store(store_id, work, stores)
    item = await _item(command.sku, skus)
    shelves = {store_id: await _shelf(store_id, command.sku, item, work, levels) for store_id in both}
    source, target = shelves[command.from_store_id], shelves[command.to_store_id]
    movement, taken, put = carry(command, source, target, work)
    await journal.add(taken)
    await journal.add(put)
    await lots.move((source.store_id, source.sku), target.store_id, command.quantity)
    await movements.add(movement)
    return movement


async def reserve_stock(command: ReserveStock, work: Work, reservations: Reservations, queue: JobQueue) -> HeldStock:
    """Reserve by hand, in stores where one works.

    Raises: NotFound, InsufficientStock, ReservationEnded, InvalidInput.
    """
    for claim in command.claims:
        require_store(work.actor, claim.store_id)
    return await reserve(command, work, reservations, queue)


async def release_stock(command: ReleaseStock, work: Work, reservations: Reservations) -> HeldStock:
    """Release by hand what stores hold where one works.

    Raises: NotFound.
    """
    known = (await reservations.of_orders([command.order_id])).get(command.order_id, ())
    if not known or not all(work.actor.works_at(each.store_id) for each in known):
        raise NotFound(kind="Reservation", id=str(command.order_id))
    return await release(command, work, reservations)


async def _require_store(store_id: UUID, work: Work, stores: Stores) -> None:
    require_store(work.actor, store_id)
    if await stores.get(store_id) is None:
        raise NotFound(kind="Store", id=str(store_id))


async def _item(sku: str, skus: Skus) -> SkuRef:
    item = await skus.find(sku)
    if item is None:
        raise NotFound(kind="SKU", id=sku)
    return item


async def _shelf(store_id: UUID, sku: str, item: SkuRef, work: Work, levels: StockLevels) -> StockLevel:
    blank = StockLevel(
        tenant_id=work.tenant_id, store_id=store_id, sku=sku, product_id=item.product_id, variant_id=item.variant_id
    )
    return await levels.lock_or_create(blank)
