import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.event_log import event_log
from data.orders import order as order_table
from data.orders import order_line, sub_order
from data.transactions import SqlTransactions
from domain.kernel import AlreadyExists, ConcurrentModification, InvalidStateTransition, Work, uuid7
from domain.orders import (
    CancelReason,
    Order,
    OrderFilter,
    OrderReads,
    Orders,
    OrderScope,
    OrderState,
    ReturnLine,
    SubOrderFilter,
)
from domain.orders.hearing import complete_order
from domain.paging import PageRequest
from tests.orders import OTHER_SELLER, OTHER_STORE, SELLER, STORE, Place, place

FIRST = PageRequest(first=10)


async def confirm(order_id: UUID, work: Work, orders: Orders) -> Order:
    order = await orders.get(order_id)
    assert order is not None
    order.confirm(work)
    return order


async def pay_locked(order_id: UUID, work: Work, orders: Orders) -> Order:
    order = await orders.lock(order_id)
    assert order is not None
    order.pay(uuid7(), order.total, work)
    return order


async def look(order_id: UUID, orders: Orders) -> Order | None:
    return await orders.get(order_id)


def state_of(order: Order | None) -> dict[str, Any]:
    return {name: value for name, value in vars(order).items() if name != "_recorded"}


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that changes send; the one that enters the tenant goes with BEGIN and is none of them."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def reads(database: Database, tenant_id: UUID) -> AsyncIterator[OrderReads]:
    opened = database.reads(tenant_id)
    yield opened.port(OrderReads)
    await opened.close()


class TestOrders:
    async def test_are_placed_in_one_statement(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(place, Place(), work)
        with statements(database) as sent:
            order = await transactions.run(place, Place(steps=2), work)
        # Once in a while there is one more, for the next twenty numbers.
        assert len([each for each in sent if "nextval" not in each]) == 1, sent
        assert (order.state, order.version) == (OrderState.PAID, 3)

    async def test_come_back_from_their_events_as_they_were(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(steps=2), work)
        with statements(database) as sent:
            found = await transactions.run(look, placed.id, work)
        assert len(sent) == 1
        assert state_of(found) == state_of(placed)

    async def test_come_back_from_a_snapshot_as_they_were(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(steps=6), work)

        async def send_back(order_id: UUID, work: Work, orders: Orders) -> Order:
            order = await orders.lock(order_id)
            assert order is not None
            for each in order.lines:
                asked = order.request_return([ReturnLine(line_id=each.id, quantity=1)], "broken", None, work)
                owed = order.accept_return(asked.id, work)
                order.note_refund(owed, work, refund_id=uuid7())
            return order

        changed = await transactions.run(send_back, placed.id, work)
        assert (changed.version, changed.state) == (13, OrderState.PARTIALLY_RETURNED)
        found = await transactions.run(look, placed.id, work)
        assert state_of(found) == state_of(changed)
        async with database.session(work.tenant_id) as session:
            assert (await session.execute(text("SELECT version FROM platform.aggregate_snapshot"))).all() == [(13,)]
            returned = select(order_line.c.sku, order_line.c.returned).order_by(order_line.c.place)
            assert (await session.execute(returned)).all() == [("mug", 1), ("bowl", 1)]

    async def test_are_projected_with_every_change(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(), work)
        await transactions.run(confirm, placed.id, work)
        async with database.session(work.tenant_id) as session:
            row = (await session.execute(select(order_table))).one()
            parts = (await session.execute(select(sub_order).order_by(sub_order.c.place))).all()
        assert (row.id, row.state, row.version, row.total_minor) == (placed.id, OrderState.CONFIRMED, 2, 3001)
        assert (row.confirmed_at, row.store_ids) == (work.now, sorted([STORE, OTHER_STORE]))
        assert row.address["city"] == "Toronto"
        assert [(part.seller_id, part.state, part.total_minor) for part in parts] == [
            (SELLER, OrderState.CONFIRMED, 2401),
            (OTHER_SELLER, OrderState.CONFIRMED, 600),
        ]

    async def test_are_confirmed_by_one_of_many_that_try_at_once(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(), work)
        attempts = [transactions.run(confirm, placed.id, work) for _ in range(12)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(result, Order) for result in results) == 1
        refusals = [result for result in results if not isinstance(result, Order)]
        assert {type(result) for result in refusals} <= {ConcurrentModification, InvalidStateTransition}
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(event_log)) == 2
            assert await session.scalar(select(order_table.c.version)) == 2

    async def test_are_paid_once_by_many_payments_that_wait_for_each_other(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(steps=1), work)
        attempts = [transactions.run(pay_locked, placed.id, work) for _ in range(12)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert [type(result) for result in results].count(Order) == 1
        assert [type(result) for result in results].count(InvalidStateTransition) == 11
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(order_table.c.paid_minor)) == 3001

    async def test_leave_nothing_behind_when_the_change_fails(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        async def fail(command: Place, work: Work, orders: Orders) -> None:
            await place(command, work, orders)
            raise InvalidStateTransition(kind="Order", current="", requested="")

        with pytest.raises(InvalidStateTransition):
            await transactions.run(fail, Place(), work)
        async with database.session(work.tenant_id) as session:
            for table in (order_table, order_line, sub_order, event_log):
                assert await session.scalar(select(func.count()).select_from(table)) == 0

    async def test_have_numbers_of_their_own(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        placed = await asyncio.gather(*(transactions.run(place, Place(), work) for _ in range(20)))
        assert len({each.number for each in placed}) == 20
        with pytest.raises(AlreadyExists):
            await transactions.run(place, Place(number=placed[0].number), work)
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(order_table)) == 20
            assert await session.scalar(select(func.count()).select_from(event_log)) == 20

    async def test_can_be_found_by_number(self, transactions: SqlTransactions, work: Work) -> None:
        async def find(number: str, orders: Orders) -> Order | None:
            return await orders.by_number(number)

        placed = await transactions.run(place, Place(), work)
        found = await transactions.run(find, placed.number, work)
        assert found is not None
        assert found.id == placed.id
        assert await transactions.run(find, "ORD-20260314-0", work) is None

    async def test_know_nothing_of_another_tenants(
        self, transactions: SqlTransactions, database: Database, work: Work, make_tenant: Any
    ) -> None:
        placed = await transactions.run(place, Place(), work)
        other = replace(work, tenant_id=make_tenant())
        assert await transactions.run(look, placed.id, other) is None
        foreign = database.reads(other.tenant_id)
        port = foreign.port(OrderReads)
        assert (await port.by_id([placed.id]), await port.by_number([placed.number])) == ([None], [None])
        assert (await port.lines([placed.id]), await port.history([placed.id])) == ([[]], [[]])
        await foreign.close()

    async def test_refuse_in_the_database_what_no_order_may_be(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(place, Place(), work)
        for change in (
            'UPDATE orders."order" SET refunded_minor = paid_minor + 1',
            "UPDATE orders.order_line SET returned = quantity + 1",
        ):
            with pytest.raises(IntegrityError):
                async with database.session(work.tenant_id) as session:
                    await session.execute(text(change))

    async def test_answer_a_repeated_request_with_the_order_they_made(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        asked = Place(steps=2)
        first = await transactions.run(place, asked, work, idempotency_key="k")
        again = await transactions.run(place, asked, work, idempotency_key="k")
        assert state_of(again) == state_of(first)
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(order_table)) == 1


class TestCompleteOrder:
    async def test_completes_what_was_kept_and_leaves_the_rest(self, transactions: SqlTransactions, work: Work) -> None:
        later = replace(work, now=work.now + timedelta(days=7))
        for steps, state in ((6, OrderState.COMPLETED), (5, OrderState.SHIPPED)):
            placed = await transactions.run(place, Place(steps=steps), work)
            for _ in range(2):
                await transactions.run(complete_order, {"order_id": str(placed.id)}, later)
            found = await transactions.run(look, placed.id, work)
            assert found is not None
            assert found.state is state

    async def test_waits_for_the_decision_on_a_return(self, transactions: SqlTransactions, work: Work) -> None:
        async def ask(order_id: UUID, work: Work, orders: Orders) -> Order:
            order = await orders.lock(order_id)
            assert order is not None
            order.request_return([ReturnLine(line_id=order.lines[0].id, quantity=1)], "broken", None, work)
            return order

        async def decide(order_id: UUID, work: Work, orders: Orders) -> None:
            order = await orders.lock(order_id)
            assert order is not None
            order.accept_return(order.returns[0].id, work)

        placed = await transactions.run(place, Place(steps=6), work)
        await transactions.run(ask, placed.id, work)
        later = replace(work, now=work.now + timedelta(days=7))
        await transactions.run(complete_order, {"order_id": str(placed.id)}, later)
        found = await transactions.run(look, placed.id, work)
        assert found is not None
        assert found.state is OrderState.DELIVERED
        await transactions.run(decide, placed.id, later)
        await transactions.run(complete_order, {"order_id": str(placed.id)}, later)
        found = await transactions.run(look, placed.id, work)
        assert found is not None
        assert (found.state, found.completed_at) == (OrderState.PARTIALLY_RETURNED, later.now)


class TestOrderReads:
    async def test_answer_in_the_order_of_their_keys(
        self, transactions: SqlTransactions, reads: OrderReads, work: Work
    ) -> None:
        one, two = [await transactions.run(place, Place(), work) for _ in range(2)]
        unknown = uuid7()
        keys = [two.id, unknown, one.id]
        assert [row and row.id for row in await reads.by_id(keys)] == [two.id, None, one.id]
        assert [row and row.id for row in await reads.by_number([two.number, one.number])] == [two.id, one.id]
        assert [[row.sku for row in rows] for rows in await reads.lines(keys)] == [["mug", "bowl"], [], ["mug", "bowl"]]
        parts = await reads.parts(keys)
        assert [[row.number for row in rows] for rows in parts] == [
            [f"{two.number}-1", f"{two.number}-2"],
            [],
            [f"{one.number}-1", f"{one.number}-2"],
        ]
        part_ids = [parts[0][1].id, unknown]
        assert [[row.sku for row in rows] for rows in await reads.lines_of_parts(part_ids)] == [["bowl"], []]
        assert [row and row.id for row in await reads.parts_by_id(part_ids)] == [part_ids[0], None]

    async def test_tell_the_states_that_an_order_went_through(
        self, transactions: SqlTransactions, reads: OrderReads, work: Work
    ) -> None:
        async def cancel(order_id: UUID, work: Work, orders: Orders) -> None:
            order = await orders.lock(order_id)
            assert order is not None
            order.cancel(CancelReason.SELLER_REQUEST, "out of clay", work)

        placed = await transactions.run(place, Place(steps=2), work)
        await transactions.run(cancel, placed.id, work)
        (history,) = await reads.history([placed.id])
        assert [(row.state, row.note) for row in history] == [
            ("pending", None),
            ("confirmed", None),
            ("paid", None),
            ("cancelled", "out of clay"),
        ]
        assert {(row.changed_by, row.at) for row in history} == {(work.actor.user_id, work.now)}
        events = await reads.events(placed.id, FIRST)
        assert [row.name for row in events.nodes] == [
            "order.created",
            "order.confirmed",
            "order.payment_received",
            "order.cancelled",
        ]

    async def test_find_by_customer_store_state_time_and_word(
        self, transactions: SqlTransactions, reads: OrderReads, work: Work
    ) -> None:
        mine, other = uuid7(), uuid7()
        one = await transactions.run(place, Place(customer_id=mine), work)
        two = await transactions.run(place, Place(customer_id=mine, steps=2), work)
        await transactions.run(place, Place(customer_id=other), work)

        async def found(wanted: OrderFilter | None = None, **scope: Any) -> list[UUID]:
            page = await reads.matching(wanted or OrderFilter(), OrderScope(**scope), FIRST)
            assert await page.count() == len(page.nodes)
            return [row.id for row in page.nodes]

        assert len(await found()) == 3
        assert await found(customer_id=mine) == [two.id, one.id]
        assert await found(OrderFilter(state=OrderState.PAID)) == [two.id]
        assert await found(OrderFilter(placed_until=work.now)) == []
        assert len(await found(OrderFilter(placed_from=datetime(2026, 3, 14, tzinfo=UTC)))) == 3
        assert (len(await found(store_ids=[STORE])), await found(store_ids=[uuid7()])) == (3, [])
        assert await found(search=one.number.lower()) == [one.id]
        assert (len(await found(search="A MUG")), await found(search="a%g")) == (3, [])
        pages = await reads.of_customers([other, mine, uuid7()], FIRST)
        assert [len(page.nodes) for page in pages] == [1, 2, 0]

    async def test_give_sellers_and_stores_their_parts(
        self, transactions: SqlTransactions, reads: OrderReads, work: Work
    ) -> None:
        placed = await transactions.run(place, Place(steps=2), work)

        async def found(seller: UUID | None, stores: list[UUID] | None, **wanted: Any) -> list[str]:
            page = await reads.seller_parts(SubOrderFilter(**wanted), seller, stores, FIRST)
            return [row.number.removeprefix(placed.number) for row in page.nodes]

        assert await found(SELLER, None) == ["-1"]
        assert await found(None, [OTHER_STORE]) == ["-2"]
        assert sorted(await found(SELLER, [OTHER_STORE])) == ["-1", "-2"]
        assert await found(uuid7(), []) == []
        assert await found(None, None, store_id=STORE) == ["-1"]
        assert await found(None, None, state=OrderState.READY) == []
