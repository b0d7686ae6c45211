"""Jobs that are asked for in a transaction: done after it, once, in its tenant, at their time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from data.database import Database
from data.dead_letters import dead_letter
from data.housekeeping import Housekeeping
from data.idempotency import idempotency_key
from data.inbox import inbox
from data.job_runner import JobRunner
from data.transactions import SqlTransactions
from domain.jobs import JobQueue, Jobs
from domain.kernel import Work, uuid7
from tests.events import eventually, running


class Done:
    """What the jobs of a test did."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, UUID, UUID | None, str]] = []
        self.failures = 0

    def jobs(self) -> Jobs:
        jobs = Jobs()

        @jobs.on("example.note", attempts=3)
        async def note(payload: Mapping[str, Any], work: Work) -> None:
            self.calls.append((payload["value"], work.tenant_id, work.actor.user_id, work.correlation_id))
            if self.failures > 0:
                self.failures -= 1
                raise ZeroDivisionError

        return jobs

    @property
    def values(self) -> list[Any]:
        return [call[0] for call in self.calls]


async def ask(command: dict[str, Any], queue: JobQueue) -> None:
    await queue.defer("example.note", {"value": command["value"]}, at=command.get("at"), key=command.get("key"))
    if command.get("fail"):
        raise ZeroDivisionError


async def withdraw(command: str, queue: JobQueue) -> bool:
    return await queue.cancel("example.note", command)


@pytest.fixture
def done() -> Done:
    return Done()


@pytest.fixture
def worker(done: Done, database_url: str, transactions: SqlTransactions) -> Callable[[], Any]:
    @asynccontextmanager
    async def open_worker() -> AsyncIterator[JobRunner]:
        runner = JobRunner(database_url, transactions, done.jobs().entries, poll_seconds=0.05)
        async with running(runner.run):
            yield runner

    return open_worker


async def queued(database: Database) -> list[Any]:
    async with database.session(None) as session:
        found = await session.execute(
            text("SELECT * FROM jobs.procrastinate_jobs WHERE task_name = 'example.note' ORDER BY id")
        )
        return list(found)


@pytest.fixture(autouse=True)
async def no_jobs(database: Database) -> None:
    async with database.session(None) as session:
        await session.execute(text("DELETE FROM jobs.procrastinate_jobs"))


class TestAJob:
    async def test_runs_in_the_tenant_and_name_of_who_asked(
        self, done: Done, worker: Any, transactions: SqlTransactions, work: Work
    ):
        await transactions.run(ask, {"value": 1}, work)
        async with worker():
            await eventually(lambda: called(done, 1))
        assert done.calls == [(1, work.tenant_id, work.actor.user_id, "test")]

    async def test_of_a_rolled_back_transaction_never_was(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        with pytest.raises(ZeroDivisionError):
            await transactions.run(ask, {"value": 1, "fail": True}, work)
        assert await queued(database) == []

    async def test_waits_for_its_time(self, done: Done, worker: Any, transactions: SqlTransactions, work: Work):
        now = datetime.now(UTC)
        await transactions.run(ask, {"value": "late", "at": now + timedelta(seconds=1)}, work)
        await transactions.run(ask, {"value": "early", "at": now - timedelta(days=1)}, work)
        async with worker():
            await eventually(lambda: called(done, 1))
            assert done.values == ["early"]
            await eventually(lambda: called(done, 2))
        assert done.values == ["early", "late"]

    async def test_of_a_key_waits_once_and_moves_when_it_is_asked_for_again(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        later = datetime(2030, 1, 1, tzinfo=UTC)
        await transactions.run(ask, {"value": 1, "at": later, "key": "cart"}, work)
        await transactions.run(ask, {"value": 2, "at": later + timedelta(days=7), "key": "cart"}, work)
        [job] = await queued(database)
        assert (job.args["payload"], job.scheduled_at) == ({"value": 2}, later + timedelta(days=7))

    async def test_of_a_key_is_made_once_by_many_at_the_same_time(
        self, database: Database, transactions: SqlTransactions, work: Work
    ):
        await asyncio.gather(*(transactions.run(ask, {"value": value, "key": "cart"}, work) for value in range(8)))
        assert len(await queued(database)) == 1

    async def test_of_another_tenant_is_not_touched_by_the_same_key(
        self, database: Database, transactions: SqlTransactions, work: Work, make_tenant: Any
    ):
        elsewhere = replace(work, tenant_id=make_tenant())
        await transactions.run(ask, {"value": 1, "key": "cart"}, work)
        await transactions.run(ask, {"value": 2, "key": "cart"}, elsewhere)
        assert await transactions.run(withdraw, "cart", elsewhere) is True
        assert [(job.args["payload"]["value"], job.status) for job in await queued(database)] == [
            (1, "todo"),
            (2, "cancelled"),
        ]

    async def test_can_be_withdrawn_until_it_begins(
        self, done: Done, worker: Any, transactions: SqlTransactions, work: Work
    ):
        await transactions.run(ask, {"value": 1, "key": "a"}, work)
        assert await transactions.run(withdraw, "a", work) is True
        assert await transactions.run(withdraw, "a", work) is False
        await transactions.run(ask, {"value": 2}, work)
        async with worker():
            await eventually(lambda: called(done, 1))
        assert done.values == [2]

    async def test_that_fails_is_tried_again(self, done: Done, worker: Any, transactions: SqlTransactions, work: Work):
        done.failures = 1
        await transactions.run(ask, {"value": 1}, work)
        async with worker():
            await eventually(lambda: called(done, 2))
        assert done.values == [1, 1]

    async def test_that_looks_undone_though_it_was_done_has_no_second_effect(
        self, database: Database, done: Done, worker: Any, transactions: SqlTransactions, work: Work
    ):
        await transactions.run(ask, {"value": 1}, work)
        [job] = await queued(database)
        async with worker():
            await eventually(lambda: called(done, 1))
        async with database.session(None) as session:
            again = text(
                "INSERT INTO jobs.procrastinate_jobs (id, queue_name, task_name, args) "
                "VALUES (:id, 'default', 'example.note', CAST(:args AS jsonb))"
            )
            await session.execute(again, {"id": job.id, "args": orjson.dumps(job.args).decode()})
        async with worker():

            async def gone() -> bool:
                return await queued(database) == []

            await eventually(gone)
        assert done.values == [1]


class TestTheApplicationsRole:
    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM jobs.procrastinate_jobs",
            "UPDATE jobs.procrastinate_jobs SET status = 'cancelled'",
            "INSERT INTO jobs.procrastinate_jobs (queue_name, task_name) VALUES ('default', 'x')",
            "SELECT jobs.procrastinate_fetch_job_v2(NULL, 1)",
        ],
    )
    async def test_may_only_ask_for_jobs(self, database: Database, work: Work, statement: str):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.session(work.tenant_id) as session:
                await (await session.connection()).exec_driver_sql(statement)


class TestHousekeeping:
    async def test_forgets_keys_after_two_days_and_marks_after_two_weeks(self, database: Database, work: Work):
        now = datetime(2026, 6, 1, tzinfo=UTC)
        ages = {"kept": timedelta(hours=47), "old": timedelta(hours=49)}
        mark_ages = {"kept": timedelta(days=13), "old": timedelta(days=15)}
        async with database.session(work.tenant_id) as session:
            for name, age in ages.items():
                row = {"tenant_id": work.tenant_id, "user_id": work.tenant_id, "key": name, "operation": "x"}
                values = row | {"request_hash": b"", "created_at": now - age}
                await session.execute(idempotency_key.insert().values(values))
            for name, age in mark_ages.items():
                row = {"tenant_id": work.tenant_id, "handler": name, "event_id": uuid7(), "handled_at": now - age}
                await session.execute(inbox.insert().values(row))
        await Housekeeping(database, lambda: now).expire()
        async with database.session(work.tenant_id) as session:
            assert list(await session.scalars(select(idempotency_key.c.key))) == ["kept"]
            assert list(await session.scalars(select(inbox.c.handler))) == ["kept"]

    async def test_keeps_dead_letters_that_nobody_requeued(self, database: Database, work: Work):
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        letter = {
            "tenant_id": work.tenant_id,
            "name": "x.y",
            "aggregate_id": uuid7(),
            "sequence": 1,
            "envelope": {},
            "attempts": 1,
            "error": "",
            "failed_at": long_ago,
        }
        async with database.session(work.tenant_id) as session:
            for handler, requeued_at in (("open", None), ("requeued", long_ago)):
                row = letter | {"id": uuid7(), "event_id": uuid7(), "handler": handler, "requeued_at": requeued_at}
                await session.execute(dead_letter.insert().values(row))
        await Housekeeping(database).expire()
        async with database.session(work.tenant_id) as session:
            assert list(await session.scalars(select(dead_letter.c.handler))) == ["open"]
            assert (await session.execute(select(func.count()).select_from(dead_letter))).scalar_one() == 1


async def called(done: Done, times: int) -> bool:
    return len(done.calls) >= times
