"""Stock levels and their journal in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    func,
    insert,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.kernel import Choice, implements, map_aggregate, refuses, tenant_table, timestamp
from data.paging import Listing, equals
from data.statements import Statement
from domain.inventory import (
    InsufficientStock,
    JournalEntry,
    StockChange,
    StockFilter,
    StockJournal,
    StockLevel,
    StockLevels,
    StockReads,
)
from domain.paging import Page, PageRequest

stock_level = tenant_table(
    "inventory",
    "stock_level",
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("reorder_point", Integer, nullable=False),
    Column("reorder_quantity", Integer, nullable=False),
    CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
    CheckConstraint("reserved BETWEEN 0 AND on_hand", name="reserved_within_on_hand"),
    UniqueConstraint("tenant_id", "store_id", "sku"),
    Index("ix_stock_level_product_id", "tenant_id", "product_id"),
    Index("ix_stock_level_sku", "tenant_id", "sku"),
)

journal = tenant_table(
    "inventory",
    "journal",
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity_change", Integer, nullable=False),
    Column("kind", Choice(StockChange), nullable=False),
    Column("reason", Text),
    Column("balance_after", Integer, nullable=False),
    Column("performed_by", Uuid),
    timestamp("performed_at"),
    Index("ix_journal_store_id_sku", "tenant_id", "store_id", "sku", "id"),
    root=False,
)

map_aggregate(StockLevel, stock_level)

# The constraint is the last line of defence: the aggregate refuses first, with exact numbers.
for constraint in ("on_hand_not_negative", "reserved_within_on_hand"):
    refuses(f"ck_stock_level_{constraint}", lambda _: InsufficientStock(sku="", requested=0, available=0))

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


@implements(StockLevels)
class SqlStockLevels:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, store_id: UUID, sku: str) -> StockLevel | None:
        wanted = select(StockLevel).filter_by(store_id=store_id, sku=sku).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def lock_or_create(self, blank: StockLevel) -> StockLevel:
        values = {column.name: getattr(blank, column.name) for column in stock_level.c if hasattr(blank, column.name)}
        await self._session.execute(upsert(stock_level).values(values).on_conflict_do_nothing())
        level = await self.lock(blank.store_id, blank.sku)
        assert level is not None  # noqa: S101 — it was there, or the statement before has made it.
        return level


@implements(StockJournal)
class SqlStockJournal:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, entry: JournalEntry) -> None:
        values = {column.name: getattr(entry, column.name) for column in journal.c}
        await self._session.execute(insert(journal).values(values))


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
