"""Reservations on the real database: nothing is promised twice, whoever asks how often and when."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from data.database import Database
from data.event_log import event_log
from data.inventory import journal, lot, reservation, stock_level
from data.transactions import SqlTransactions
from domain.inventory import (
    AdjustStock,
    CommitStock,
    ConsumeStock,
    HeldStock,
    InsufficientStock,
    Lots,
    ReceiveStock,
    ReleaseStock,
    ReservationEnded,
    ReservationFilter,
    ReservationReads,
    Reservations,
    ReservationState,
    ReserveStock,
    StockChange,
    StockClaim,
    StockJournal,
    StockLevel,
    StockLevels,
    commit_stock,
    consume_stock,
    expire_reservations,
    lot_of,
    release_stock,
    reserve_stock,
)
from domain.inventory.hearing import release_cancelled, reserve_ordered
from domain.jobs import JobQueue
from domain.kernel import Envelope, NotFound, Work, uuid7
from domain.paging import PageRequest

STORE, PRODUCT = UUID(int=1), UUID(int=7)
OTHER_STORE = UUID(int=2)


async def stock_up(command: AdjustStock, work: Work, levels: StockLevels, lines: StockJournal) -> StockLevel:
    blank = StockLevel(tenant_id=work.tenant_id, store_id=command.store_id, sku=command.sku, product_id=PRODUCT)
    level = await levels.lock_or_create(blank)
    await lines.add(level.adjust(command.change, command.kind, command.reason, work))
    return level


async def deliver(command: ReceiveStock, work: Work, lots: Lots) -> None:
    await lots.receive(lot_of(command, work))


async def expire(_command: str, work: Work, book: Reservations, queue: JobQueue) -> None:
    await expire_reservations({}, work, book, queue)


Stock = Callable[..., Any]


@pytest.fixture
def stock(transactions: SqlTransactions, work: Work) -> Stock:
    """Put units on shelves: `await stock(mug=10)`."""

    async def put(store_id: UUID = STORE, **units: int) -> None:
        for sku, count in units.items():
            command = AdjustStock(store_id=store_id, sku=sku, change=count, kind=StockChange.PURCHASE)
            await transactions.run(stock_up, command, work)

    return put


def wish(units: int = 1, *skus: str, order_id: UUID | None = None, **more: Any) -> ReserveStock:
    claims = tuple(StockClaim(store_id=STORE, sku=sku, quantity=units) for sku in skus or ("mug",))
    return ReserveStock(order_id=order_id or uuid7(), claims=claims, **more)


async def levels(database: Database, tenant_id: UUID) -> dict[str, tuple[int, int]]:
    async with database.session(tenant_id) as session:
        found = await session.execute(select(stock_level.c.sku, stock_level.c.on_hand, stock_level.c.reserved))
        return {row.sku: (row.on_hand, row.reserved) for row in found}


async def states(database: Database, tenant_id: UUID) -> list[str]:
    async with database.session(tenant_id) as session:
        return list(await session.scalars(select(reservation.c.state).order_by(reservation.c.sku)))


async def names(database: Database, tenant_id: UUID) -> list[str]:
    async with database.session(tenant_id) as session:
        found = await session.scalars(select(event_log.c.name).order_by(event_log.c.sequence))
        return [each for each in found if each != "inventory.stock_adjusted"]


async def require_books_to_agree(database: Database, tenant_id: UUID) -> None:
    """Compare the shelves with the sums of the journal and of the reservations, which were written beside them."""
    async with database.session(tenant_id) as session:
        shelves = await session.execute(
            select(stock_level.c.sku, stock_level.c.on_hand, stock_level.c.reserved).order_by(stock_level.c.sku)
        )
        sums = await session.execute(
            select(journal.c.sku, func.sum(journal.c.quantity_change), func.sum(journal.c.reserved_change))
            .group_by(journal.c.sku)
            .order_by(journal.c.sku)
        )
        assert [tuple(row) for row in shelves] == [tuple(row) for row in sums]
        off = await session.execute(
            text(
                "SELECT l.sku FROM inventory.stock_level l WHERE l.reserved <> (SELECT coalesce(sum(quantity - consumed), 0) "
                "FROM inventory.reservation r WHERE r.store_id = l.store_id AND r.sku = l.sku AND r.state = 'active')"
            )
        )
        assert off.all() == []


class TestReserveStock:
    async def test_holds_every_line_until_two_hours_have_passed(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=10, pot=3)
        held = await transactions.run(reserve_stock, wish(2, "pot", "mug"), work)
        assert [(each.sku, each.quantity, each.state) for each in held.reservations] == [
            ("mug", 2, "active"),
            ("pot", 2, "active"),
        ]
        assert {each.expires_at for each in held.reservations} == {work.now + timedelta(hours=2)}
        assert await levels(database, work.tenant_id) == {"mug": (10, 2), "pot": (3, 2)}
        assert await names(database, work.tenant_id) == [
            "inventory.reserved",
            "inventory.reserved",
            "inventory.all_reserved",
        ]
        await require_books_to_agree(database, work.tenant_id)

    async def test_reserves_nothing_when_one_line_is_short(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=10, pot=3)
        with pytest.raises(InsufficientStock) as refusal:
            await transactions.run(reserve_stock, wish(4, "mug", "pot"), work)
        assert (refusal.value.sku, refusal.value.requested, refusal.value.available) == ("pot", 4, 3)
        assert await levels(database, work.tenant_id) == {"mug": (10, 0), "pot": (3, 0)}
        assert await names(database, work.tenant_id) == []

    async def test_reserves_once_however_often_an_order_asks(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=2)
        command = wish(2)
        answers = await asyncio.gather(*(transactions.run(reserve_stock, command, work) for _ in range(8)))
        assert {answer.reservations[0].id for answer in answers} == {answers[0].reservations[0].id}
        assert await levels(database, work.tenant_id) == {"mug": (2, 2)}

    async def test_never_promises_more_than_there_is_however_many_race(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=10, pot=10)
        commands = [wish(1, *(("mug", "pot") if at % 2 else ("pot", "mug"))) for at in range(30)]
        answers = await asyncio.gather(
            *(transactions.run(reserve_stock, command, work) for command in commands), return_exceptions=True
        )
        assert sum(isinstance(answer, HeldStock) for answer in answers) == 10
        assert sum(isinstance(answer, InsufficientStock) for answer in answers) == 20
        assert await levels(database, work.tenant_id) == {"mug": (10, 10), "pot": (10, 10)}
        await require_books_to_agree(database, work.tenant_id)

    async def test_tells_once_that_stock_is_low_and_that_it_is_gone(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=3)
        for _ in range(3):
            await transactions.run(reserve_stock, wish(1), work)
        told = await names(database, work.tenant_id)
        assert (told.count("inventory.low_stock"), told.count("inventory.out_of_stock")) == (1, 1)

    async def test_knows_nothing_of_another_tenants_shelves(
        self, transactions: SqlTransactions, work: Work, stock: Stock, make_tenant: Callable[[], UUID]
    ) -> None:
        await stock(mug=3)
        with pytest.raises(InsufficientStock) as refusal:
            await transactions.run(reserve_stock, wish(1), replace(work, tenant_id=make_tenant()))
        assert refusal.value.available == 0


class TestReleaseStock:
    async def test_gives_back_once_what_an_order_holds(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=4, pot=1)
        command = wish(1, "mug", "pot")
        await transactions.run(reserve_stock, command, work)
        release = ReleaseStock(order_id=command.order_id)
        await asyncio.gather(*(transactions.run(release_stock, release, work) for _ in range(5)))
        assert await levels(database, work.tenant_id) == {"mug": (4, 0), "pot": (1, 0)}
        told = await names(database, work.tenant_id)
        assert (told.count("inventory.released"), told.count("inventory.back_in_stock")) == (2, 1)
        await require_books_to_agree(database, work.tenant_id)

    async def test_gives_nothing_back_for_an_order_that_holds_nothing(
        self, transactions: SqlTransactions, work: Work
    ) -> None:
        held = await transactions.run(release_stock, ReleaseStock(order_id=uuid7()), work)
        assert held.reservations == ()

    async def test_is_final(self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock) -> None:
        await stock(mug=4)
        command = wish(1)
        await transactions.run(reserve_stock, command, work)
        await transactions.run(release_stock, ReleaseStock(order_id=command.order_id), work)
        for handler, again in (
            (reserve_stock, command),
            (commit_stock, CommitStock(order_id=command.order_id)),
            (consume_stock, ConsumeStock(order_id=command.order_id)),
        ):
            with pytest.raises(ReservationEnded):
                await transactions.run(handler, again, work)
        assert await levels(database, work.tenant_id) == {"mug": (4, 0)}


class TestConsumeStock:
    async def test_lets_an_order_leave_once(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5, pot=5)
        command = wish(2, "mug", "pot")
        await transactions.run(reserve_stock, command, work)
        consume = ConsumeStock(order_id=command.order_id)
        await asyncio.gather(*(transactions.run(consume_stock, consume, work) for _ in range(5)))
        assert await levels(database, work.tenant_id) == {"mug": (3, 0), "pot": (3, 0)}
        assert await states(database, work.tenant_id) == ["consumed", "consumed"]
        await require_books_to_agree(database, work.tenant_id)

    async def test_lets_parcels_leave_one_after_the_other_and_gives_back_the_rest(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5)
        command = wish(4)
        await transactions.run(reserve_stock, command, work)
        for total in (1, 3, 3):
            claims = (StockClaim(store_id=STORE, sku="mug", quantity=total),)
            await transactions.run(consume_stock, ConsumeStock(order_id=command.order_id, claims=claims), work)
        assert await levels(database, work.tenant_id) == {"mug": (2, 1)}
        await transactions.run(release_stock, ReleaseStock(order_id=command.order_id), work)
        assert await levels(database, work.tenant_id) == {"mug": (2, 0)}
        await require_books_to_agree(database, work.tenant_id)

    async def test_refuses_an_order_that_has_reserved_nothing(self, transactions: SqlTransactions, work: Work) -> None:
        with pytest.raises(NotFound):
            await transactions.run(consume_stock, ConsumeStock(order_id=uuid7()), work)

    async def test_takes_from_the_oldest_lots(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=9)
        for name, units, days in (("young", 4, 1), ("old", 3, 9)):
            command = ReceiveStock(
                store_id=STORE, sku="mug", quantity=units, batch_lot=name, received_at=work.now - timedelta(days=days)
            )
            await transactions.run(deliver, command, work)
        order = wish(5)
        await transactions.run(reserve_stock, order, work)
        await transactions.run(consume_stock, ConsumeStock(order_id=order.order_id), work)
        async with database.session(work.tenant_id) as session:
            found = await session.execute(select(lot.c.batch_lot, lot.c.quantity_remaining).order_by(lot.c.batch_lot))
            assert [tuple(row) for row in found] == [("old", 0), ("young", 2)]


class TestExpiry:
    async def test_gives_back_what_was_held_too_long_and_nothing_else(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=9)
        short, long, paid = (wish(1, expires_at=work.now + timedelta(hours=hours)) for hours in (1, 5, 1))
        for command in (short, long, paid):
            await transactions.run(reserve_stock, command, work)
        await transactions.run(commit_stock, CommitStock(order_id=paid.order_id), work)
        later = replace(work, now=work.now + timedelta(hours=1))
        await asyncio.gather(*(transactions.run(expire, "", later) for _ in range(4)))
        assert await levels(database, work.tenant_id) == {"mug": (9, 2)}
        assert sorted(await states(database, work.tenant_id)) == ["active", "active", "expired"]
        assert (await names(database, work.tenant_id)).count("inventory.reservation_expired") == 1
        with pytest.raises(ReservationEnded) as refusal:
            await transactions.run(commit_stock, CommitStock(order_id=short.order_id), later)
        assert refusal.value.state is ReservationState.EXPIRED
        await require_books_to_agree(database, work.tenant_id)

    async def test_and_payment_at_the_same_moment_leave_one_of_both(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=40, pot=40)
        orders = [wish(1, "mug", "pot", expires_at=work.now + timedelta(hours=1)) for _ in range(12)]
        for command in orders:
            await transactions.run(reserve_stock, command, work)
        later = replace(work, now=work.now + timedelta(hours=1))
        commits = [transactions.run(commit_stock, CommitStock(order_id=each.order_id), later) for each in orders]
        expiries = [transactions.run(expire, "", later) for _ in range(3)]
        answers = await asyncio.gather(*commits[:6], *expiries, *commits[6:], return_exceptions=True)
        kept = sum(answer is None for answer in answers) - len(expiries)
        lost = sum(isinstance(answer, ReservationEnded) for answer in answers)
        assert kept + lost == 12
        assert await levels(database, work.tenant_id) == {"mug": (40, kept), "pot": (40, kept)}
        await require_books_to_agree(database, work.tenant_id)

    async def test_is_asked_for_with_the_reservation(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=9)
        command = wish(1)
        await transactions.run(reserve_stock, command, work)
        async with database.session(None) as session:
            at = await session.scalar(
                text("SELECT scheduled_at FROM jobs.procrastinate_jobs WHERE queueing_lock LIKE :key"),
                {"key": f"{work.tenant_id}:inventory.expire_reservations:{command.order_id}"},
            )
        assert at == work.now + timedelta(hours=2)


class TestReservationReads:
    async def test_list_what_a_store_has_promised(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=9)
        first, second = wish(1), wish(2)
        for command in (first, second):
            await transactions.run(reserve_stock, command, work)
        await transactions.run(release_stock, ReleaseStock(order_id=first.order_id), work)
        reads = database.reads(work.tenant_id)
        port = reads.port(ReservationReads)

        async def listed(**wanted: Any) -> Sequence[Any]:
            page = await port.listed(ReservationFilter(store_id=STORE, **wanted), PageRequest())
            return [(row.order_id, row.remaining) for row in page.nodes]

        assert await listed() == [(second.order_id, 2), (first.order_id, 0)]
        assert await listed(state=ReservationState.ACTIVE) == [(second.order_id, 2)]
        assert await listed(order_id=first.order_id) == [(first.order_id, 0)]
        await reads.close()


class TestHearing:
    async def test_reserves_for_an_order_that_came_without_a_checkout_and_releases_a_cancelled_one(
        self, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5)
        line = {"store_id": str(STORE), "sku": "mug", "quantity": 2}
        by_phone, checked_out = uuid7(), uuid7()
        for order_id, channel in ((by_phone, "phone"), (checked_out, "online"), (by_phone, "phone")):
            placed = heard("order.created", order_id, work, draft={"order_type": channel, "lines": [line]})
            await transactions.run(reserve_ordered, placed, work)
        assert await levels(database, work.tenant_id) == {"mug": (5, 2)}
        for _ in range(2):
            await transactions.run(release_cancelled, heard("order.cancelled", by_phone, work), work)
        assert await levels(database, work.tenant_id) == {"mug": (5, 0)}


def heard(name: str, order_id: UUID, work: Work, **data: Any) -> Envelope:
    return Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=work.tenant_id,
        aggregate_id=order_id,
        aggregate_type="Order",
        version=1,
        data=data,
        occurred_at=work.now,
        correlation_id="test",
    )
