"""The desk where many reserve at the same time: together where they wait for one shelf, each with an answer of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from data.database import Database
from data.event_log import event_log
from data.inventory import GroupedStockDesk, reservation
from data.inventory.desk import Counter, Request
from data.job_runner import JobRunner
from data.transactions import SqlTransactions
from domain.inventory import InsufficientStock, ReleaseStock, ReservationEnded, release_stock, reserve_stock
from domain.inventory.holding import jobs
from domain.kernel import InvalidInput, TenantReadOnly, Work
from tests.data.test_inventory_reservations import (
    Stock,
    levels,
    names,
    require_books_to_agree,
    stock,
    wish,
)
from tests.events import eventually, running

__all__ = ["stock"]


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[GroupedStockDesk]:
    opened = GroupedStockDesk(database)
    yield opened
    await opened.close()


async def reserve_all(desk: GroupedStockDesk, commands: Any, work: Work) -> list[Any]:
    return await asyncio.gather(*(desk.reserve(command, work) for command in commands), return_exceptions=True)


class TestTheDesk:
    async def test_serves_those_who_come_together_in_few_transactions(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=500)
        answers = await reserve_all(desk, [wish(1) for _ in range(400)], work)
        assert answers == [None] * 400
        assert desk.groups_served == 2
        assert await levels(database, work.tenant_id) == {"mug": (500, 400)}
        await require_books_to_agree(database, work.tenant_id)

    async def test_refuses_those_who_come_too_late_and_nobody_else(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=10)
        answers = await reserve_all(desk, [wish(3), *(wish(1) for _ in range(5)), wish(4), wish(2), wish(1)], work)
        refused = [at for at, answer in enumerate(answers) if isinstance(answer, InsufficientStock)]
        assert refused == [6, 8]
        assert (answers[6].requested, answers[6].available) == (4, 2)
        assert await levels(database, work.tenant_id) == {"mug": (10, 10)}

    async def test_never_oversells_while_other_processes_do_the_same(
        self, database: Database, transactions: SqlTransactions, work: Work, stock: Stock
    ) -> None:
        await stock(mug=10, pot=10)
        desks = [GroupedStockDesk(database) for _ in range(3)]
        commands = [wish(1, *(("mug", "pot"), ("pot",), ("mug",))[at % 3]) for at in range(90)]
        calls = [desks[at % 3].reserve(command, work) for at, command in enumerate(commands[:60])]
        calls += [transactions.run(reserve_stock, command, work) for command in commands[60:]]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        sold = {"mug": 0, "pot": 0}
        for command, answer in zip(commands, answers, strict=True):
            assert isinstance(answer, InsufficientStock) or not isinstance(answer, BaseException)
            for claim in () if isinstance(answer, BaseException) else command.claims:
                sold[claim.sku] += claim.quantity
        assert sold == {"mug": 10, "pot": 10}
        assert await levels(database, work.tenant_id) == {"mug": (10, 10), "pot": (10, 10)}
        await require_books_to_agree(database, work.tenant_id)

    async def test_reserves_once_however_often_an_order_asks(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=2)
        command = wish(2)
        assert await reserve_all(desk, [command] * 4, work) == [None] * 4
        assert await reserve_all(GroupedStockDesk(database), [command] * 2, work) == [None] * 2
        assert await levels(database, work.tenant_id) == {"mug": (2, 2)}
        assert (await names(database, work.tenant_id)).count("inventory.reserved") == 1

    async def test_gives_nothing_again_to_an_order_that_was_released(
        self, desk: GroupedStockDesk, transactions: SqlTransactions, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=2)
        command = wish(2)
        await desk.reserve(command, work)
        await transactions.run(release_stock, ReleaseStock(order_id=command.order_id), work)
        with pytest.raises(ReservationEnded):
            await desk.reserve(command, work)
        assert await levels(database, work.tenant_id) == {"mug": (2, 0)}

    async def test_refuses_alone_who_brings_what_cannot_be_stored(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5)
        answers = await reserve_all(desk, [wish(1), wish(1, "m\0g"), wish(1)], work)
        assert (answers[0], answers[2]) == (None, None)
        assert isinstance(answers[1], InvalidInput)
        assert await levels(database, work.tenant_id) == {"mug": (5, 2)}

    async def test_refuses_a_tenant_that_can_only_be_read(
        self, desk: GroupedStockDesk, work: Work, make_tenant: Callable[..., UUID]
    ) -> None:
        closed = replace(work, tenant_id=make_tenant("suspended"))
        answers = await reserve_all(desk, [wish(1), wish(1)], closed)
        assert [type(answer) for answer in answers] == [TenantReadOnly, TenantReadOnly]

    async def test_writes_events_in_the_name_of_each_buyer(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5)
        works = [replace(work, correlation_id=f"request {at}") for at in range(3)]
        await asyncio.gather(*(desk.reserve(wish(1), each) for each in works))
        async with database.session(work.tenant_id) as session:
            found = await session.scalars(
                select(event_log.c.metadata["correlation_id"].astext)
                .where(event_log.c.name == "inventory.reserved")
                .order_by(event_log.c.sequence)
            )
            assert list(found) == ["request 0", "request 1", "request 2"]

    async def test_asks_for_one_timer_a_minute(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=9)
        for seconds in (0, 10, 20, 70):
            await desk.reserve(wish(1), replace(work, now=work.now + timedelta(seconds=seconds)))
        async with database.session(None) as session:
            found = await session.scalars(
                text(
                    "SELECT scheduled_at FROM jobs.procrastinate_jobs WHERE queueing_lock LIKE :key ORDER BY scheduled_at"
                ),
                {"key": f"{work.tenant_id}:inventory.expire_reservations:%"},
            )
            first = work.now.replace(second=0, microsecond=0) + timedelta(hours=2, minutes=1)
            assert list(found) == [first, first + timedelta(minutes=1)]

    async def test_serves_on_when_somebody_stops_waiting(
        self, desk: GroupedStockDesk, database: Database, work: Work, stock: Stock
    ) -> None:
        await stock(mug=5)
        waiting = [asyncio.create_task(desk.reserve(wish(1), work)) for _ in range(3)]
        waiting[1].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [answers[0], type(answers[1]), answers[2]] == [None, asyncio.CancelledError, None]
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(reservation)) == 2


class TestTheTimer:
    async def test_ends_what_was_reserved_at_the_desk(
        self, desk: GroupedStockDesk, database: Database, database_url: str, work: Work, stock: Stock
    ) -> None:
        await stock(mug=3)
        # The timer of the past minute is due at once, as far as PostgreSQL's clock is concerned.
        await desk.reserve(wish(2), work)
        ended = work.now + timedelta(hours=3)
        transactions = SqlTransactions(database)
        runner = JobRunner(database_url, transactions, jobs.entries, now=lambda: ended, poll_seconds=0.05)

        async def is_released() -> bool:
            return await levels(database, work.tenant_id) == {"mug": (3, 0)}

        async with running(runner.run):
            await eventually(is_released)
        assert (await names(database, work.tenant_id)).count("inventory.reservation_expired") == 1


class TestCounter:
    async def test_lets_nobody_pass_those_who_wait_for_the_same_shelf(self, work: Work) -> None:
        counter = Counter()
        loop = asyncio.get_running_loop()
        first, both, late, free = (
            Request(wish(1, *skus), work, loop.create_future())
            for skus in (("mug",), ("mug", "pot"), ("pot",), ("pan",))
        )
        counter.busy = set(first.shelves)
        counter.waiting.extend([both, late, free])
        assert counter.next_group() == [free]
        assert list(counter.waiting) == [both, late]
        counter.busy.clear()
        assert counter.next_group() == [both, late]
