"""Stock levels, their journal, lots and movements for change."""

from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.inventory.tables import journal, lot, movement, stock_level
from data.kernel import implements
from domain.inventory import (
    JournalEntry,
    Lot,
    Lots,
    Movement,
    Movements,
    Shelf,
    StockJournal,
    StockLevel,
    StockLevels,
)

# Which units of which lots go when so many leave a shelf; the shelf is locked, so its lots stand still.
_OLDEST = """
WITH oldest AS (
    SELECT o.id, least(o.quantity_remaining, greatest(0, w.units - coalesce(sum(o.quantity_remaining) OVER earlier, 0))) AS units
    FROM unnest($1::uuid[], $2::text[], $3::int[]) AS w(store_id, sku, units)
    JOIN inventory.lot o ON o.store_id = w.store_id AND o.sku = w.sku AND o.quantity_remaining > 0
    WINDOW earlier AS (
        PARTITION BY o.store_id, o.sku ORDER BY o.received_at, o.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), taken AS (
    UPDATE inventory.lot l SET quantity_remaining = l.quantity_remaining - o.units FROM oldest o
    WHERE l.id = o.id AND o.units > 0
    RETURNING l.tenant_id, l.sku, l.batch_lot, o.units, l.unit_cost_minor, l.currency, l.expires_on, l.received_at
)
"""
_TAKE = _OLDEST + "SELECT count(*) FROM taken"  # noqa: S608 — made of constants.
_MOVE = (
    _OLDEST
    + """
INSERT INTO inventory.lot AS l (id, tenant_id, store_id, sku, batch_lot, quantity_received, quantity_remaining,
    unit_cost_minor, currency, expires_on, received_at)
SELECT platform.new_id(), tenant_id, $4, sku, batch_lot, units, units, unit_cost_minor, currency, expires_on, received_at
FROM taken
ON CONFLICT (tenant_id, store_id, sku, batch_lot) DO UPDATE SET
    quantity_received = l.quantity_received + excluded.quantity_received,
    quantity_remaining = l.quantity_remaining + excluded.quantity_remaining,
    received_at = least(l.received_at, excluded.received_at)
"""
)


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


@implements(Lots)
class SqlLots:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def receive(self, fresh: Lot) -> None:
        values = {column.name: getattr(fresh, column.name) for column in lot.c}
        statement = upsert(lot).values(values)
        added = {name: lot.c[name] + statement.excluded[name] for name in ("quantity_received", "quantity_remaining")}
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["tenant_id", "store_id", "sku", "batch_lot"], set_=added)
        )

    async def take(self, units: dict[Shelf, int]) -> None:
        await take_lots(self._session, units)

    async def move(self, source: Shelf, target_store_id: UUID, units: int) -> None:
        connection = await self._session.connection()
        await connection.exec_driver_sql(_MOVE, ([source[0]], [source[1]], [units], target_store_id))


async def take_lots(session: AsyncSession, units: dict[Shelf, int]) -> None:
    """Take units from the oldest lots of each shelf."""
    connection = await session.connection()
    stores, skus = [shelf[0] for shelf in units], [shelf[1] for shelf in units]
    await connection.exec_driver_sql(_TAKE, (stores, skus, list(units.values())))


@implements(Movements)
class SqlMovements:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, made: Movement) -> None:
        await self._session.execute(
            insert(movement).values({column.name: getattr(made, column.name) for column in movement.c})
        )
