import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.event_log import event_log
from data.inventory import journal, stock_level
from data.transactions import SqlTransactions
from domain.inventory import (
    AdjustStock,
    InsufficientStock,
    StockChange,
    StockJournal,
    StockLevel,
    StockLevels,
    StockReads,
    UpdateStockThresholds,
    update_stock_thresholds,
)
from domain.kernel import ConcurrentModification, NotFound, Work, uuid7

STORE, PRODUCT = uuid7(), uuid7()


async def adjust(command: AdjustStock, work: Work, levels: StockLevels, lines: StockJournal) -> StockLevel:
    blank = StockLevel(tenant_id=work.tenant_id, store_id=command.store_id, sku=command.sku, product_id=PRODUCT)
    level = await levels.lock_or_create(blank)
    await lines.add(level.adjust(command.change, command.kind, command.reason, work))
    return level


def change(units: int, sku: str = "mug") -> AdjustStock:
    return AdjustStock(store_id=STORE, sku=sku, change=units, kind=StockChange.SALE)


class TestStockLevels:
    async def test_never_sell_more_than_there_is_however_many_try(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(adjust, change(10), work)
        attempts = [transactions.run(adjust, change(-1), work) for _ in range(25)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(result, StockLevel) for result in results) == 10
        assert sum(isinstance(result, InsufficientStock) for result in results) == 15
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(stock_level.c.on_hand)) == 0
            assert await session.scalar(select(func.sum(journal.c.quantity_change))) == 0
            assert await session.scalar(select(func.count()).select_from(journal)) == 11

    async def test_are_made_once_when_many_create_the_first(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await asyncio.gather(*(transactions.run(adjust, change(1), work) for _ in range(12)))
        async with database.session(work.tenant_id) as session:
            assert (await session.execute(select(stock_level.c.on_hand, stock_level.c.version))).all() == [(12, 12)]

    async def test_write_their_events_in_order_and_without_gaps(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        for units in (3, -2, -1):
            await transactions.run(adjust, change(units), work)
        async with database.session(work.tenant_id) as session:
            found = await session.execute(select(event_log.c.version, event_log.c.name).order_by(event_log.c.version))
            assert [tuple(row) for row in found] == [
                (1, "inventory.stock_adjusted"),
                (2, "inventory.stock_adjusted"),
                (3, "inventory.stock_adjusted"),
                (4, "inventory.low_stock"),
                (5, "inventory.out_of_stock"),
            ]

    async def test_refuse_a_negative_number_in_the_database_itself(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(adjust, change(5), work)
        with pytest.raises(IntegrityError, match="on_hand"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE inventory.stock_level SET on_hand = -1"))
        with pytest.raises(IntegrityError, match="reserved_within_on_hand"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE inventory.stock_level SET reserved = 6"))

    async def test_refuse_a_change_that_was_decided_on_an_older_state(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        await transactions.run(adjust, change(5), work)
        command = UpdateStockThresholds(
            store_id=STORE, sku="mug", reorder_point=2, reorder_quantity=9, expected_version=7
        )
        with pytest.raises(ConcurrentModification):
            await transactions.run(update_stock_thresholds, command, work)

    async def test_know_nothing_of_another_tenants_shelves(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: type[UUID]
    ) -> None:
        await transactions.run(adjust, change(5), work)
        other = Work(tenant_id=make_tenant(), actor=work.actor, now=work.now, correlation_id="x")
        command = UpdateStockThresholds(store_id=STORE, sku="mug", reorder_point=1, reorder_quantity=1)
        with pytest.raises(NotFound):
            await transactions.run(update_stock_thresholds, command, other)
        reads = database.reads(other.tenant_id)
        assert await reads.port(StockReads).by_product([PRODUCT]) == [None]
        await reads.close()


class TestJournal:
    async def test_cannot_be_rewritten(self, transactions: SqlTransactions, database: Database, work: Work) -> None:
        await transactions.run(adjust, change(5), work)
        with pytest.raises(Exception, match="permission denied"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE inventory.journal SET quantity_change = 0"))


class TestStockReads:
    async def test_answer_in_the_order_of_their_keys(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(adjust, change(5, "b"), work)
        await transactions.run(adjust, change(7, "a"), work)
        reads = database.reads(work.tenant_id)
        found = await reads.port(StockReads).by_key([(STORE, "a"), (STORE, "none"), (STORE, "b")])
        await reads.close()
        assert [row and row.available for row in found] == [7, None, 5]
        assert reads.statements == 1
