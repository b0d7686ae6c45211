"""The log as audit trail, and as the store of aggregates that are nothing but their events."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from data.database import Database
from data.event_log import EventStore, aggregate_snapshot, append, event_log
from data.transactions import SqlTransactions
from domain.kernel import ConcurrentModification, InvalidInput, Principal, Work, uuid7
from tests.events import OpenTally, RaiseTally, Tallies, Tally, open_tally, raise_tally


async def logged(database: Database, aggregate_id: UUID) -> list[Any]:
    async with database.session(None) as session:
        wanted = select(event_log).where(event_log.c.aggregate_id == aggregate_id).order_by(event_log.c.version)
        return list(await session.execute(wanted))


async def snapshots(database: Database, aggregate_id: UUID) -> list[int]:
    async with database.session(None) as session:
        wanted = select(aggregate_snapshot.c.version).where(aggregate_snapshot.c.aggregate_id == aggregate_id)
        return list(await session.scalars(wanted))


async def loaded(database: Database, tally_id: UUID, tenant_id: UUID) -> Tally | None:
    async with database.session(tenant_id) as session:
        return await EventStore(session).load(Tally(id=tally_id, tenant_id=tenant_id))


class TestAppend:
    async def test_records_who_did_what_when_and_in_which_request(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(amount=7), work)
        [row] = await logged(database, tally.id)
        assert (row.tenant_id, row.aggregate_type, row.version, row.name) == (
            work.tenant_id,
            "Tally",
            1,
            "tally.raised",
        )
        assert row.data == {"tally_id": str(tally.id), "amount": 7}
        assert row.metadata == {"user_id": str(work.actor.user_id), "correlation_id": "test"}
        assert row.occurred_at == work.now

    async def test_versions_are_consecutive_from_one(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, times=3), work)
        assert [row.version for row in await logged(database, tally.id)] == [1, 2, 3, 4]

    async def test_a_refusal_leaves_no_event(self, database: Database, transactions: SqlTransactions, work: Work):
        tally = await transactions.run(open_tally, OpenTally(), work)
        with pytest.raises(InvalidInput):
            await transactions.run(raise_tally, RaiseTally(id=tally.id, amount=0), work)
        assert [row.version for row in await logged(database, tally.id)] == [1]

    async def test_a_version_is_written_once(self, database: Database, transactions: SqlTransactions, work: Work):
        tally = await transactions.run(open_tally, OpenTally(), work)
        again = OpenTally(id=tally.id, amount=5)
        with pytest.raises(ConcurrentModification) as refusal:
            await transactions.run(open_tally, again, work)
        assert refusal.value.id == str(tally.id)
        assert [row.data["amount"] for row in await logged(database, tally.id)] == [1]

    @pytest.mark.parametrize("change", ["UPDATE platform.event_log SET name = 'x'", "DELETE FROM platform.event_log"])
    async def test_the_application_cannot_rewrite_history(self, database: Database, work: Work, change: str):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.session(work.tenant_id) as session:
                await (await session.connection()).exec_driver_sql(change)

    async def test_another_tenants_events_are_not_visible(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        assert await loaded(database, tally.id, uuid7()) is None

    async def test_an_aggregate_of_another_tenant_cannot_be_appended_to(self, database: Database, work: Work):
        foreign = Tally(tenant_id=uuid7())
        foreign.raise_by(1)
        with pytest.raises(DBAPIError, match="row-level security"):
            async with database.session(work.tenant_id) as session:
                append(session, [foreign], work)
        assert await logged(database, foreign.id) == []


class TestSnapshots:
    @pytest.mark.parametrize(("events", "kept"), [(9, []), (10, [10]), (19, [10]), (20, [20]), (21, [20])])
    async def test_are_kept_every_ten_events(
        self, database: Database, transactions: SqlTransactions, work: Work, events: int, kept: list[int]
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        for _ in range(events - 1):
            await transactions.run(raise_tally, RaiseTally(id=tally.id), work)
        assert await snapshots(database, tally.id) == kept

    async def test_one_is_kept_when_a_change_jumps_over_the_tenth_event(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, times=24), work)
        assert await snapshots(database, tally.id) == [25]

    async def test_loading_takes_the_snapshot_and_the_later_events(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(amount=2), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, amount=3, times=9), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, amount=5, times=2), work)
        async with database.session(None) as session:
            # If the first ten events were read again, the total would show it.
            await session.execute(
                aggregate_snapshot.update()
                .where(aggregate_snapshot.c.aggregate_id == tally.id)
                .values(data={"id": str(tally.id), "tenant_id": str(work.tenant_id), "version": 10, "total": 1000})
            )
        found = await loaded(database, tally.id, work.tenant_id)
        assert found is not None
        assert (found.total, found.version) == (1010, 12)

    async def test_events_alone_give_the_same_state(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(amount=2), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, amount=3, times=11), work)
        with_snapshot = await loaded(database, tally.id, work.tenant_id)
        async with database.session(None) as session:
            await session.execute(aggregate_snapshot.delete().where(aggregate_snapshot.c.aggregate_id == tally.id))
        without = await loaded(database, tally.id, work.tenant_id)
        assert with_snapshot is not None
        assert without is not None
        assert (with_snapshot.total, with_snapshot.version) == (without.total, without.version) == (35, 12)


class TestConcurrentAppends:
    async def test_one_of_two_that_loaded_the_same_version_is_refused(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        both_loaded = asyncio.Barrier(2)

        async def raise_together(command: RaiseTally, tallies: Tallies) -> Tally:
            found = await tallies.get(command.id)
            assert found is not None
            await both_loaded.wait()
            found.raise_by(command.amount)
            return found

        outcomes = await asyncio.gather(
            *(transactions.run(raise_together, RaiseTally(id=tally.id, amount=10), work) for _ in range(2)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["ConcurrentModification", "Tally"]
        found = await loaded(database, tally.id, work.tenant_id)
        assert found is not None
        assert (found.total, found.version) == (11, 2)

    async def test_loading_twice_in_one_transaction_gives_one_object(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        async with database.session(work.tenant_id) as session:
            store = EventStore(session)
            first = await store.load(Tally(id=tally.id, tenant_id=work.tenant_id))
            second = await EventStore(session).load(Tally(id=tally.id, tenant_id=work.tenant_id))
            assert first is second
            assert first is not None
            first.raise_by(4)
            store.save(Work(tenant_id=work.tenant_id, actor=Principal(), now=work.now, correlation_id="c"))
        found = await loaded(database, tally.id, work.tenant_id)
        assert found is not None
        assert (found.total, found.version) == (5, 2)
