"""What is personal in the log: sealed when it is written, read while the key exists, and nobody's afterwards."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import event, text

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from data.bus import encode
from data.database import Database
from data.encryption import AesCipher
from data.inbox import Deliveries, Outcome, Subscriber
from data.privacy import seal_plain_events
from data.sealing import SEALED, PersonKeys
from data.topics import SqlTopicLog
from data.transactions import SqlTransactions
from domain.identity.privacy import PersonalData
from domain.kernel import Envelope, Work
from domain.orders import Orders
from domain.orders.events import OrderDelivered
from domain.topics import TopicEvent
from tests.orders import ADDRESS, Place, place, step

MASTER = bytes(32)


@pytest.fixture
async def sealed(database_url: str) -> Any:
    async with Database(database_url, person_keys=PersonKeys(AesCipher([MASTER]))) as opened:
        yield opened


@pytest.fixture
def sealing(sealed: Database) -> SqlTransactions:
    return SqlTransactions(sealed)


async def rows(database: Database, statement: str, **parameters: Any) -> list[Any]:
    async with database.session(None) as session:
        return list(await session.execute(text(statement), parameters))


async def said(database: Database, order_id: UUID) -> dict[str, Any]:
    statement = "SELECT data FROM platform.event_log WHERE aggregate_id = :id AND version = 1"
    return dict((await rows(database, statement, id=order_id))[0].data)


async def destroy(command: UUID, work: Work, personal: PersonalData) -> int:
    return await personal.shred(command)


async def load(command: UUID, work: Work, orders: Orders) -> Any:
    return await orders.get(command)


async def move(command: UUID, work: Work, orders: Orders) -> Any:
    order = await orders.get(command)
    assert order is not None
    return step(order, 6, work)


def another(database_url: str) -> Database:
    """A process that has just started, and remembers no keys."""
    return Database(database_url, person_keys=PersonKeys(AesCipher([MASTER])))


class TestAnEvent:
    async def test_holds_nothing_personal_in_clear(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(), work)
        data = await said(sealed, order.id)
        assert (data["draft"]["address"]["street_line1"], data["draft"]["address"]["country"]) == ("[erased]", "CA")
        assert data[SEALED]["key"]
        kept = await rows(
            sealed, "SELECT data::text AS said FROM platform.event_log WHERE tenant_id = :t", t=work.tenant_id
        )
        assert not any("King St" in row.said for row in kept)

    async def test_costs_no_statement_of_its_own(
        self, database: Database, transactions: SqlTransactions, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        counts = []
        for opened, run in ((database, transactions), (sealed, sealing), (sealed, sealing)):
            await run.run(place, Place(), work)
            seen: list[str] = []
            note = _noting(seen)
            event.listen(opened.engine.sync_engine, "before_cursor_execute", note)
            await run.run(place, Place(), work)
            event.remove(opened.engine.sync_engine, "before_cursor_execute", note)
            counts.append(len(seen))
        assert counts == [counts[0]] * 3

    async def test_of_one_person_in_one_process_uses_one_key(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        orders = [await sealing.run(place, Place(), work) for _ in range(3)]
        assert len({(await said(sealed, each.id))[SEALED]["key"] for each in orders}) == 1
        found = await rows(sealed, "SELECT id FROM identity.person_key WHERE person_id = :p", p=work.actor.user_id)
        assert len(found) == 1

    async def test_of_a_transaction_that_failed_leaves_no_key_behind(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        with pytest.raises(ZeroDivisionError):
            await sealing.run(_place_and_fail, Place(), work)
        order = await sealing.run(place, Place(), work)
        async with another(sealed.url) as fresh:
            read = await SqlTransactions(fresh).run(load, order.id, work)
        assert read.address == ADDRESS

    async def test_of_a_guest_is_sealed_with_the_key_of_the_order(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(_place_as_guest, Place(), work)
        found = await rows(sealed, "SELECT id FROM identity.person_key WHERE person_id = :p", p=order.id)
        assert len(found) == 1


def _noting(seen: list[str]) -> Any:
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    return note


async def _place_and_fail(command: Place, work: Work, orders: Orders) -> None:
    await place(command, work, orders)
    raise ZeroDivisionError


async def _place_as_guest(command: Place, work: Work, orders: Orders) -> Any:
    order = await place(command, work, orders)
    for each in order._buffer():
        draft = replace(each.event.draft, customer_id=None, guest_email="guest@example.com")
        object.__setattr__(each.event, "draft", draft)
        object.__setattr__(each.event, "customer_id", None)
    return order


class TestReading:
    async def test_opens_what_another_process_sealed(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(), work)
        async with another(sealed.url) as fresh:
            assert (await SqlTransactions(fresh).run(load, order.id, work)).address == ADDRESS

    async def test_goes_on_with_what_is_left_when_the_key_is_gone(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(), work)
        await sealing.run(move, order.id, work)
        assert await sealing.run(destroy, work.actor.user_id, work) == 1
        async with another(sealed.url) as fresh:
            read = await SqlTransactions(fresh).run(load, order.id, work)
        assert (read.address.street_line1, read.address.city, read.address.country) == ("[erased]", "[erased]", "CA")
        assert (read.state, read.total_minor) == ("delivered", 3001)

    async def test_of_a_backup_finds_nothing_once_the_key_is_gone(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(), work)
        before = await said(sealed, order.id)
        await sealing.run(destroy, work.actor.user_id, work)
        assert await said(sealed, order.id) == before
        keys = PersonKeys(AesCipher([MASTER]))
        async with another(sealed.url) as fresh:
            reads = fresh.system_reads()
            [opened] = await keys.open(reads.text, [before])
            await reads.end()
        assert opened["draft"]["address"]["street_line1"] == "[erased]"
        assert SEALED not in opened

    async def test_takes_snapshots_that_hold_nothing_personal_in_clear(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(steps=6), work)
        for _ in range(4):
            await sealing.run(_remark, order.id, work)
        [snapshot] = await rows(
            sealed, "SELECT data::text AS said FROM platform.aggregate_snapshot WHERE aggregate_id = :id", id=order.id
        )
        assert "King St" not in snapshot.said
        async with another(sealed.url) as fresh:
            assert (await SqlTransactions(fresh).run(load, order.id, work)).address == ADDRESS

    async def test_overwrites_what_was_written_before_there_were_keys(
        self, transactions: SqlTransactions, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await transactions.run(place, Place(), work)
        assert (await said(sealed, order.id))["draft"]["address"]["city"] == "Toronto"
        await sealing.run(destroy, work.actor.user_id, work)
        assert (await said(sealed, order.id))["draft"]["address"]["city"] == "[erased]"

    async def test_opens_what_was_sealed_later_by_command(
        self, transactions: SqlTransactions, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await transactions.run(place, Place(), work)
        assert await seal_plain_events(sealed) >= 1
        assert (await said(sealed, order.id))["draft"]["address"]["city"] == "[erased]"
        async with another(sealed.url) as fresh:
            assert (await SqlTransactions(fresh).run(load, order.id, work)).address == ADDRESS


async def _remark(command: UUID, work: Work, orders: Orders) -> None:
    order = await orders.get(command)
    assert order is not None
    said = {"order_id": order.id, "number": order.order_number, "customer_id": order.customer_id, "at": work.now}
    order.record(OrderDelivered(**said))


class TestTheBus:
    async def test_carries_sealed_events_which_handlers_read(
        self, sealed: Database, sealing: SqlTransactions, work: Work
    ) -> None:
        order = await sealing.run(place, Place(), work)
        [row] = await rows(
            sealed,
            "SELECT *, data::text AS said, metadata::text AS meta FROM platform.event_log WHERE aggregate_id = :id",
            id=order.id,
        )
        raw = orjson.loads(encode({**row._mapping, "data": row.said, "metadata": row.meta}))
        heard: list[Envelope] = []

        async def hear(envelope: Envelope, work: Work) -> None:
            heard.append(envelope)

        subscriber = Subscriber("test.hear", "test", frozenset({"order.created"}), hear, batch=False)
        assert await Deliveries(sealing).first(subscriber, raw) is Outcome.HANDLED
        assert heard[0].data["draft"]["address"]["city"] == "Toronto"
        assert raw["data"]["draft"]["address"]["city"] == "[erased]"

    async def test_is_read_by_those_who_follow(self, sealed: Database, sealing: SqlTransactions, work: Work) -> None:
        order = await sealing.run(place, Place(), work)
        event_ = TopicEvent(
            tenant_id=work.tenant_id, topics=(), name="order.created", data=await said(sealed, order.id), sequence=1
        )
        async with another(sealed.url) as fresh:
            [read] = await SqlTopicLog(fresh).readable([event_])
        assert read.data["draft"]["address"]["city"] == "Toronto"
