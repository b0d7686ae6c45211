"""Verbs of inventory."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain import inventory
from domain.inventory import (
    LotPick,
    ReservationFilter,
    ReservationReads,
    ReservationState,
    StockFilter,
    StockReads,
    require_store,
    suggest_lots,
)
from domain.paging import Page, PageRequest
from domain.processes import stocking
from resolvers.kernel import Context, transacts

adjust_stock = transacts(stocking.adjust_stock)
update_stock_thresholds = transacts(inventory.update_stock_thresholds)
receive_stock = transacts(stocking.receive_stock)
move_inventory = transacts(stocking.move_inventory)
reserve_stock = transacts(stocking.reserve_stock)
release_stock = transacts(stocking.release_stock)


async def levels_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(StockReads).by_id(ids)


async def levels_by_store_and_sku(context: Context, keys: Sequence[tuple[UUID, str]]) -> Sequence[Any]:
    return await context.read(StockReads).by_key(keys)


async def stock_of_products(context: Context, product_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(StockReads).by_product(product_ids)


async def availability_of_skus(context: Context, skus: Sequence[str], *, store_id: UUID | None = None) -> Sequence[Any]:
    return await context.read(StockReads).by_sku(skus, store_id)


async def stock_level(context: Context, store_id: UUID, sku: str) -> Any:
    require_store(context.principal, store_id)
    return await context.load(levels_by_store_and_sku, (store_id, sku))


async def check_stock(context: Context, sku: str, quantity: int, store_id: UUID | None = None) -> bool:
    found = await context.load(availability_of_skus, sku, store_id=store_id)
    return found is not None and found.available >= quantity


async def stock_levels(
    context: Context, page: PageRequest, store_id: UUID, sku_prefix: str | None = None, low_only: bool = False
) -> Page[Any]:
    require_store(context.principal, store_id)
    wanted = StockFilter(store_id=store_id, sku_prefix=sku_prefix, low_only=low_only)
    return await context.read(StockReads).levels(wanted, page)


async def low_stock_items(context: Context, page: PageRequest, store_id: UUID) -> Page[Any]:
    return await stock_levels(context, page, store_id, low_only=True)


async def inventory_transactions(context: Context, page: PageRequest, store_id: UUID, sku: str) -> Page[Any]:
    require_store(context.principal, store_id)
    return await context.read(StockReads).journal(store_id, sku, page)


async def reservations(
    context: Context,
    page: PageRequest,
    store_id: UUID,
    sku: str | None = None,
    order_id: UUID | None = None,
    state: ReservationState | None = None,
) -> Page[Any]:
    require_store(context.principal, store_id)
    wanted = ReservationFilter(store_id=store_id, sku=sku, order_id=order_id, state=state)
    return await context.read(ReservationReads).listed(wanted, page)


async def batches(context: Context, page: PageRequest, store_id: UUID, sku: str) -> Page[Any]:
    require_store(context.principal, store_id)
    return await context.read(StockReads).lots(store_id, sku, page)


async def batch_suggestion(context: Context, store_id: UUID, sku: str, quantity: int) -> Sequence[LotPick]:
    require_store(context.principal, store_id)
    return suggest_lots(await context.read(StockReads).open_lots(store_id, sku), sku, quantity)


async def movements(context: Context, page: PageRequest, store_id: UUID, sku: str | None = None) -> Page[Any]:
    require_store(context.principal, store_id)
    return await context.read(StockReads).movements(store_id, sku, page)
