"""Transactions that collide: what PostgreSQL allows to be tried again is, and nothing else."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from data import transactions as module
from data.database import Database
from data.kernel import implements
from data.transactions import SqlTransactions
from domain.kernel import Work
from tests.events import OpenTally, RaiseTally, create_effects, open_tally, raise_tally


class Locks(Protocol):
    async def lock(self, key: int) -> None: ...

    async def run(self, statement: str) -> None: ...


@implements(Locks)
class SqlLocks:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, key: int) -> None:
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    async def run(self, statement: str) -> None:
        await self._session.execute(text(statement))


@dataclass(frozen=True, kw_only=True)
class Order:
    first: int
    second: int


class TestATransaction:
    async def test_is_tried_again_after_a_deadlock(self, transactions: SqlTransactions, work: Work):
        attempts = []
        both_hold_one = asyncio.Barrier(2)

        async def cross(command: Order, locks: Locks) -> int:
            attempts.append(command)
            await locks.lock(command.first)
            if len(attempts) <= 2:
                await both_hold_one.wait()
            await locks.lock(command.second)
            return command.first

        orders = [Order(first=901, second=902), Order(first=902, second=901)]
        assert await asyncio.gather(*(transactions.run(cross, each, work) for each in orders)) == [901, 902]
        assert len(attempts) == 3

    @pytest.mark.parametrize(
        ("code", "expected"), [("40001", module.ATTEMPTS), ("40P01", module.ATTEMPTS), ("P0001", 1)]
    )
    async def test_is_tried_as_often_as_its_failure_deserves(
        self, transactions: SqlTransactions, work: Work, code: str, expected: int
    ):
        attempts = []

        async def fail(command: str, locks: Locks) -> None:
            attempts.append(command)
            await locks.run(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{command}'; END $$")

        with pytest.raises(DBAPIError):
            await transactions.run(fail, code, work)
        assert len(attempts) == expected

    async def test_leaves_nothing_of_an_attempt_that_is_tried_again(
        self, database: Database, transactions: SqlTransactions, work: Work, database_url: str
    ):
        create_effects(database_url)
        attempts = []

        async def stumble(command: str, locks: Locks, work: Work) -> None:
            attempts.append(command)
            await locks.run(f"INSERT INTO example.effect (tenant_id, version) VALUES ('{work.tenant_id}', 1)")
            if len(attempts) < 3:
                await locks.run("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")

        await transactions.run(stumble, "x", work)
        async with database.session(None) as session:
            found = await session.execute(
                text("SELECT count(*) FROM example.effect WHERE tenant_id = :id"), {"id": work.tenant_id}
            )
            assert found.scalar_one() == 1
        assert len(attempts) == 3

    async def test_gives_every_one_of_many_concurrent_changes_or_refuses_it(
        self, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        outcomes = await asyncio.gather(
            *(transactions.run(raise_tally, RaiseTally(id=tally.id), work) for _ in range(12)), return_exceptions=True
        )
        done = [each for each in outcomes if not isinstance(each, Exception)]
        refused = [each for each in outcomes if isinstance(each, Exception)]
        assert {type(each).__name__ for each in refused} <= {"ConcurrentModification"}
        final = await transactions.run(raise_tally, RaiseTally(id=tally.id), work)
        assert final.total == final.version == 1 + len(done) + 1
