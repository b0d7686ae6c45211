"""One key, one effect: repeated, concurrent, refused and failed requests under the same idempotency key."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from data.database import Database
from data.event_log import event_log
from data.idempotency import idempotency_key
from data.transactions import SqlTransactions
from domain.kernel import IdempotencyKeyReused, InvalidInput, NotFound, Principal, Work, uuid7
from tests.events import OpenTally, RaiseTally, Tallies, Tally, open_tally, raise_tally


async def count(database: Database, table: Any, tenant_id: UUID) -> int:
    async with database.session(None) as session:
        counted = select(func.count()).select_from(table).where(table.c.tenant_id == tenant_id)
        return int((await session.execute(counted)).scalar_one())


class TestTheSameRequest:
    async def test_gets_the_stored_answer_and_has_no_second_effect(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        first = await transactions.run(open_tally, OpenTally(amount=3), work, idempotency_key="k")
        second = await transactions.run(open_tally, OpenTally(amount=3), work, idempotency_key="k")
        assert (second.id, second.total, second.version) == (first.id, 3, 1)
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_waits_for_the_first_that_is_still_running(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        started, go_on = asyncio.Event(), asyncio.Event()
        calls = []

        async def slowly(command: OpenTally, work: Work, tallies: Tallies) -> Tally:
            calls.append(command)
            started.set()
            await go_on.wait()
            return await open_tally(command, work, tallies)

        first = asyncio.ensure_future(transactions.run(slowly, OpenTally(), work, idempotency_key="k"))
        await started.wait()
        second = asyncio.ensure_future(transactions.run(slowly, OpenTally(), work, idempotency_key="k"))
        await asyncio.sleep(0.2)
        assert not second.done()
        go_on.set()
        assert (await first).id == (await second).id
        assert len(calls) == 1
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_is_executed_when_the_first_was_rolled_back(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        started, go_on = asyncio.Event(), asyncio.Event()
        calls = []

        async def fail_first(command: OpenTally, work: Work, tallies: Tallies) -> Tally:
            calls.append(command)
            if len(calls) == 1:
                started.set()
                await go_on.wait()
                raise ZeroDivisionError
            return await open_tally(command, work, tallies)

        first = asyncio.ensure_future(transactions.run(fail_first, OpenTally(), work, idempotency_key="k"))
        await started.wait()
        second = asyncio.ensure_future(transactions.run(fail_first, OpenTally(), work, idempotency_key="k"))
        await asyncio.sleep(0.2)
        go_on.set()
        with pytest.raises(ZeroDivisionError):
            await first
        assert (await second).version == 1
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_is_executed_when_the_first_was_refused(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        tally_id = uuid7()
        with pytest.raises(NotFound):
            await transactions.run(raise_tally, RaiseTally(id=tally_id), work, idempotency_key="k")
        assert await count(database, idempotency_key, work.tenant_id) == 0
        await transactions.run(open_tally, OpenTally(id=tally_id), work)
        raised = await transactions.run(raise_tally, RaiseTally(id=tally_id), work, idempotency_key="k")
        assert raised.total == 2

    async def test_of_many_at_once_only_one_takes_effect(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        runs = [transactions.run(open_tally, OpenTally(), work, idempotency_key="k") for _ in range(10)]
        answers = await asyncio.gather(*runs)
        assert len({answer.id for answer in answers}) == 1
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_gets_an_answer_of_none_again(self, transactions: SqlTransactions, work: Work):
        calls = []

        async def nothing(command: OpenTally) -> None:
            calls.append(command)

        for _ in range(2):
            assert await transactions.run(nothing, OpenTally(), work, idempotency_key="k") is None
        assert len(calls) == 1


class TestAnotherRequest:
    async def test_under_the_same_key_is_refused_and_changes_nothing(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        await transactions.run(open_tally, OpenTally(amount=1), work, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused) as refusal:
            await transactions.run(open_tally, OpenTally(amount=2), work, idempotency_key="k")
        assert refusal.value.key == "k"
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_of_another_operation_is_refused(self, database: Database, transactions: SqlTransactions, work: Work):
        async def same_command(command: OpenTally, work: Work, tallies: Tallies) -> Tally:
            return await open_tally(command, work, tallies)

        await transactions.run(open_tally, OpenTally(), work, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused):
            await transactions.run(same_command, OpenTally(), work, idempotency_key="k")
        assert await count(database, event_log, work.tenant_id) == 1

    async def test_of_another_user_or_tenant_has_keys_of_its_own(
        self, database: Database, transactions: SqlTransactions, work: Work, make_tenant: Any
    ):
        first = await transactions.run(open_tally, OpenTally(), work, idempotency_key="k")
        colleague = replace(work, actor=Principal(user_id=uuid7(), tenant_id=work.tenant_id))
        second = await transactions.run(open_tally, OpenTally(), colleague, idempotency_key="k")
        elsewhere = replace(work, tenant_id=make_tenant())
        third = await transactions.run(open_tally, OpenTally(), elsewhere, idempotency_key="k")
        assert len({first.id, second.id, third.id}) == 3

    async def test_a_refused_request_leaves_the_key_free_for_another(self, transactions: SqlTransactions, work: Work):
        with pytest.raises(InvalidInput):
            await transactions.run(open_tally, OpenTally(amount=-1), work, idempotency_key="k")
        assert (await transactions.run(open_tally, OpenTally(amount=1), work, idempotency_key="k")).total == 1
