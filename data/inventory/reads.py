"""What is read of stock, in batches and in pages."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, bindparam, case, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.inventory.tables import journal, lot, movement, reservation, stock_level
from data.kernel import implements
from data.paging import Listing, equals
from data.statements import Statement
from domain.inventory import (
    ReservationFilter,
    ReservationReads,
    ReservationState,
    StockFilter,
    StockReads,
)
from domain.paging import Page, PageRequest

_PRODUCT_IDS = bindparam("keys", type_=ARRAY(Uuid))
_SKUS = bindparam("keys", type_=ARRAY(Text))
_STORE = bindparam("store_id", type_=Uuid)
_available = (stock_level.c.on_hand - stock_level.c.reserved).label("available")
_is_low = (stock_level.c.on_hand - stock_level.c.reserved <= stock_level.c.reorder_point).label("is_low")
_level = select(stock_level, _available, _is_low)

_TOTALS = (
    func.sum(stock_level.c.on_hand).cast(Integer).label("on_hand"),
    func.sum(stock_level.c.on_hand - stock_level.c.reserved).cast(Integer).label("available"),
    func.count().label("stores"),
)
_BY_PRODUCT = Statement(
    select(stock_level.c.product_id, *_TOTALS)
    .where(stock_level.c.product_id == func.any(_PRODUCT_IDS))
    .group_by(stock_level.c.product_id)
)
_BY_SKU = Statement(
    select(stock_level.c.sku, *_TOTALS)
    .where(stock_level.c.sku == func.any(_SKUS), or_(_STORE.is_(None), stock_level.c.store_id == _STORE))
    .group_by(stock_level.c.sku)
)
_BY_ID = Statement(_level.where(stock_level.c.id == func.any(_PRODUCT_IDS)))
_BY_KEY = Statement(
    _level.where(
        tuple_(stock_level.c.store_id, stock_level.c.sku).in_(
            select(
                func.unnest(bindparam("stores", type_=ARRAY(Uuid))),
                func.unnest(bindparam("skus", type_=ARRAY(Text))),
            )
        )
    )
)
_LEVELS = Listing(
    _level.where(stock_level.c.store_id == bindparam("store_id")),
    [stock_level.c.sku],
    sku_prefix=func.starts_with(stock_level.c.sku, bindparam("sku_prefix", type_=Text)),
    low_only=_is_low.element,
)
_JOURNAL = Listing(select(journal), [journal.c.id.desc()], **equals(journal.c.store_id, journal.c.sku))
_remaining = case(
    (reservation.c.state == ReservationState.ACTIVE, reservation.c.quantity - reservation.c.consumed), else_=0
)
_reservation = select(reservation, _remaining.label("remaining"))
_RESERVATIONS = Listing(
    _reservation,
    [reservation.c.id.desc()],
    **equals(reservation.c.store_id, reservation.c.sku, reservation.c.order_id, reservation.c.state),
)
_LOTS = Listing(select(lot), [lot.c.received_at, lot.c.id], **equals(lot.c.store_id, lot.c.sku))
_MOVEMENTS = Listing(
    select(movement).where(or_(movement.c.from_store_id == _STORE, movement.c.to_store_id == _STORE)),
    [movement.c.id.desc()],
    **equals(movement.c.sku),
)
_OPEN_LOTS = Statement(
    select(lot)
    .where(lot.c.store_id == bindparam("store_id"), lot.c.sku == bindparam("sku"), lot.c.quantity_remaining > 0)
    .order_by(lot.c.received_at, lot.c.id)
)


@implements(StockReads)
class SqlStockReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_product(self, product_ids: Sequence[UUID]) -> list[Any]:
        return await self._reads.by_key(_BY_PRODUCT, product_ids, "product_id")

    async def by_sku(self, skus: Sequence[str], store_id: UUID | None) -> list[Any]:
        return await self._reads.by_key(_BY_SKU, skus, "sku", store_id=store_id)

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def by_key(self, keys: Sequence[tuple[UUID, str]]) -> list[Any | None]:
        stores, skus = [store for store, _ in keys], [sku for _, sku in keys]
        rows = await self._reads.rows(_BY_KEY, stores=stores, skus=skus)
        found = {(row.store_id, row.sku): row for row in rows}
        return [found.get(key) for key in keys]

    async def levels(self, wanted: StockFilter, page: PageRequest) -> Page[Any]:
        return await _LEVELS.page(
            self._reads,
            page,
            store_id=wanted.store_id,
            sku_prefix=wanted.sku_prefix or None,
            low_only=wanted.low_only or None,
        )

    async def journal(self, store_id: UUID, sku: str, page: PageRequest) -> Page[Any]:
        return await _JOURNAL.page(self._reads, page, store_id=store_id, sku=sku)

    async def lots(self, store_id: UUID, sku: str, page: PageRequest) -> Page[Any]:
        return await _LOTS.page(self._reads, page, store_id=store_id, sku=sku)

    async def open_lots(self, store_id: UUID, sku: str) -> Sequence[Any]:
        return await self._reads.rows(_OPEN_LOTS, store_id=store_id, sku=sku)

    async def movements(self, store_id: UUID, sku: str | None, page: PageRequest) -> Page[Any]:
        return await _MOVEMENTS.page(self._reads, page, store_id=store_id, sku=sku)


@implements(ReservationReads)
class SqlReservationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def listed(self, wanted: ReservationFilter, page: PageRequest) -> Page[Any]:
        return await _RESERVATIONS.page(
            self._reads,
            page,
            store_id=wanted.store_id,
            sku=wanted.sku,
            order_id=wanted.order_id,
            state=wanted.state,
        )
