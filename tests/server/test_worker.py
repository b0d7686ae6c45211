"""Handlers on real engines: effects once, in order, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import structlog
from redis.asyncio import Redis
from sqlalchemy import select, text

from data.bus import RedisBus
from data.database import Database
from data.dead_letters import Backoff, dead_letter, event_retry, requeue
from data.declarations import subscribers_of
from data.transactions import SqlTransactions
from domain.kernel import Envelope, Subscriptions, Unavailable, Work
from server.metrics import Metrics
from server.worker import Worker
from tests.events import (
    Effects,
    OpenTally,
    RaiseTally,
    create_effects,
    eventually,
    open_tally,
    raise_tally,
    running,
    skip_history,
)

IMPATIENT = Backoff(attempts=3, base_seconds=0.05, cap_seconds=0.1)


class Poison(Exception):
    """What a handler chokes on."""


class Spoiled:
    """The events (by aggregate and version) that the handlers fail on, with the error and how many times."""

    def __init__(self) -> None:
        self.left: dict[tuple[UUID, int], tuple[Exception, int]] = {}
        self.calls: list[tuple[UUID, int]] = []
        self.seen: list[dict[str, Any]] = []

    def spoil(self, aggregate_id: UUID, version: int, error: Exception, times: int) -> None:
        self.left[aggregate_id, version] = (error, times)

    def meet(self, envelope: Envelope) -> None:
        key = (envelope.aggregate_id, envelope.version)
        self.calls.append(key)
        self.seen.append(structlog.contextvars.get_contextvars())
        error, times = self.left.get(key, (None, 0))
        if error is not None and times > 0:
            self.left[key] = (error, times - 1)
            raise error


class Bench:
    """A worker's surroundings for one test: a bus of its own, one single and one batch handler."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self.database = database
        self.redis = redis
        self.namespace = uuid4().hex
        self.bus = RedisBus(redis, self.namespace)
        self.spoiled = Spoiled()
        self.batches: list[list[tuple[UUID, int]]] = []
        self.metrics = Metrics()
        self.names = Subscriptions(f"c{uuid4().hex[:8]}")
        self.names.on("tally.raised")(self._single())

    def _single(self) -> Callable[..., Any]:
        spoiled = self.spoiled

        async def on_raised(envelope: Envelope, work: Work, effects: Effects) -> None:
            await effects.add(envelope, work)
            spoiled.meet(envelope)

        return on_raised

    def listen_in_batches(self) -> None:
        spoiled, batches = self.spoiled, self.batches
        self.names.entries.clear()

        async def on_many(envelopes: list[Envelope], work: Work, effects: Effects) -> None:
            batches.append([(each.aggregate_id, each.version) for each in envelopes])
            for each in envelopes:
                await effects.add(each, work)
                spoiled.meet(each)

        self.names.on("tally.raised", batch=True)(on_many)

    def worker(self, **options: Any) -> Worker:
        return Worker(
            self.database,
            self.redis,
            subscribers=subscribers_of([self.names]),
            backoff=options.pop("backoff", IMPATIENT),
            namespace=self.namespace,
            metrics=self.metrics,
            **options,
        )

    async def effects(self, aggregate_id: UUID) -> list[int]:
        """Give the versions of an aggregate's events in the order in which they took effect."""
        async with self.database.session(None) as session:
            found = await session.scalars(
                text("SELECT version FROM example.effect WHERE aggregate_id = :id ORDER BY id"), {"id": aggregate_id}
            )
            return list(found)

    async def has(self, aggregate_id: UUID, *versions: int) -> bool:
        return await self.effects(aggregate_id) == list(versions)

    async def rows(self, table: Any, tenant_id: UUID) -> list[Any]:
        async with self.database.session(None) as session:
            return list(await session.execute(select(table).where(table.c.tenant_id == tenant_id)))

    async def quiet(self) -> bool:
        return all(each.caught_up for each in await self.bus.backlogs())


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
async def bench(database: Database, database_url: str, redis_url: str) -> AsyncIterator[Bench]:
    create_effects(database_url)
    skip_history(database_url)
    async with Redis.from_url(redis_url) as redis:
        yield Bench(database, redis)


class TestAHandler:
    async def test_takes_effect_once_in_the_name_of_who_caused_the_event(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        async with running(bench.worker().run):
            tally = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(tally.id, 1))
        async with bench.database.session(None) as session:
            row = (
                await session.execute(text("SELECT * FROM example.effect WHERE aggregate_id = :id"), {"id": tally.id})
            ).one()
        assert (row.tenant_id, row.user_id, row.correlation_id) == (work.tenant_id, work.actor.user_id, "test")

    async def test_logs_with_the_events_correlation_id(self, bench: Bench, transactions: SqlTransactions, work: Work):
        async with running(bench.worker().run):
            tally = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(tally.id, 1))
        [bound] = bench.spoiled.seen
        assert (bound["correlation_id"], bound["event"]) == ("test", "tally.raised")
        assert bound["handler"] == f"{bench.names.consumer}.on_raised"

    async def test_meets_an_aggregates_events_in_order(self, bench: Bench, transactions: SqlTransactions, work: Work):
        async with running(bench.worker().run):
            tally = await transactions.run(open_tally, OpenTally(), work)
            await transactions.run(raise_tally, RaiseTally(id=tally.id, times=30), work)
            await eventually(lambda: bench.has(tally.id, *range(1, 32)))

    async def test_gets_what_was_published_while_no_worker_ran(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))

    async def test_ignores_a_second_delivery(self, bench: Bench, transactions: SqlTransactions, work: Work):
        async with running(bench.worker().run):
            tally = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(tally.id, 1))
            await eventually(bench.quiet)
        await rewind(bench)
        async with running(bench.worker().run):
            later = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(later.id, 1))
        assert await bench.effects(tally.id) == [1]
        assert bench.spoiled.calls == [(tally.id, 1), (later.id, 1)]

    async def test_hears_of_events_of_a_suspended_tenant(
        self, bench: Bench, transactions: SqlTransactions, work: Work, database_url: str
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        async with bench.database.session(None) as session:
            if (await session.execute(text("SELECT to_regclass('tenancy.tenant')"))).scalar_one() is None:
                pytest.skip("there are no tenants to suspend yet")
            await session.execute(
                text("UPDATE tenancy.tenant SET status = 'suspended' WHERE id = :id"), {"id": work.tenant_id}
            )
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))


class TestAFailure:
    async def test_rolls_the_effects_back_and_is_tried_again(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        bench.spoiled.spoil(tally.id, 1, Poison("once"), times=2)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))
        assert bench.spoiled.calls == [(tally.id, 1)] * 3
        assert await bench.rows(event_retry, work.tenant_id) == []
        assert await bench.rows(dead_letter, work.tenant_id) == []

    async def test_makes_later_events_of_its_aggregate_wait_and_no_others(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        failing = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=failing.id, times=2), work)
        other = await transactions.run(open_tally, OpenTally(), work)
        bench.spoiled.spoil(failing.id, 1, Poison("twice"), times=2)
        slow = Backoff(attempts=5, base_seconds=0.4, cap_seconds=1)
        async with running(bench.worker(backoff=slow).run):
            await eventually(lambda: bench.has(other.id, 1))
            assert await bench.effects(failing.id) == []
            await eventually(lambda: bench.has(failing.id, 1, 2, 3))

    async def test_becomes_a_dead_letter_after_the_last_attempt_and_lets_the_others_go_on(
        self, bench: Bench, transactions: SqlTransactions, work: Work, logged: list[Any]
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id), work)
        bench.spoiled.spoil(tally.id, 1, Poison("always"), times=100)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 2))
        [letter] = await bench.rows(dead_letter, work.tenant_id)
        assert (letter.attempts, letter.error, letter.name) == (3, "Poison('always')", "tally.raised")
        assert letter.envelope["data"] == {"tally_id": str(tally.id), "amount": 1}
        assert bench.spoiled.calls.count((tally.id, 1)) == 3
        told = [each for each in logged if each["event"] == "event.failed"]
        assert [(each["waiting"], each["dead"], each["correlation_id"]) for each in told] == [
            (1, 0, "test"),
            (1, 0, "test"),
            (0, 1, "test"),
        ]
        assert await bench.rows(event_retry, work.tenant_id) == []

    async def test_is_handled_after_a_requeue(self, bench: Bench, transactions: SqlTransactions, work: Work):
        tally = await transactions.run(open_tally, OpenTally(), work)
        bench.spoiled.spoil(tally.id, 1, Poison("thrice"), times=3)

        async def dead() -> list[Any]:
            return await bench.rows(dead_letter, work.tenant_id)

        async with running(bench.worker().run):
            [letter] = await eventually(dead)
            async with bench.database.session(work.tenant_id) as session:
                assert await requeue(session, letter.id, work.now) is not None
                assert await requeue(session, letter.id, work.now) is None
            await eventually(lambda: bench.has(tally.id, 1))
        [letter] = await dead()
        assert letter.requeued_at == work.now

    async def test_survives_a_restart_with_its_attempts_and_its_pause(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        bench.spoiled.spoil(tally.id, 1, Poison("once"), times=1)

        async def parked() -> list[Any]:
            return await bench.rows(event_retry, work.tenant_id)

        async with running(bench.worker(backoff=Backoff(attempts=9, base_seconds=600, cap_seconds=600)).run):
            [row] = await eventually(parked)
        assert (row.attempts, row.error) == (1, "Poison('once')")
        async with bench.database.session(None) as session:
            soon = event_retry.update().where(event_retry.c.event_id == row.event_id)
            await session.execute(soon.values(due_at=row.due_at - timedelta(hours=1)))
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))
        assert bench.spoiled.calls == [(tally.id, 1)] * 2

    async def test_of_a_part_that_is_down_never_makes_a_dead_letter(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        bench.spoiled.spoil(tally.id, 1, Unavailable(part="search"), times=6)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))
        assert await bench.rows(dead_letter, work.tenant_id) == []


class TestABatchHandler:
    async def test_gets_many_events_at_once(self, bench: Bench, transactions: SqlTransactions, work: Work):
        bench.listen_in_batches()
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, times=299), work)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, *range(1, 301)))
        assert len(bench.batches) <= 3

    async def test_is_relieved_of_the_one_event_that_spoils_the_batch(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        bench.listen_in_batches()
        tallies = [await transactions.run(open_tally, OpenTally(), work) for _ in range(5)]
        bench.spoiled.spoil(tallies[2].id, 1, Poison("always"), times=100)
        patient = Backoff(attempts=5, base_seconds=0.05, cap_seconds=0.1)
        async with running(bench.worker(backoff=patient).run):

            async def dead() -> list[Any]:
                return await bench.rows(dead_letter, work.tenant_id)

            [letter] = await eventually(dead)
            for each in (0, 1, 3, 4):
                await eventually(lambda each=each: bench.has(tallies[each].id, 1))
        assert letter.aggregate_id == tallies[2].id
        assert await bench.effects(tallies[2].id) == []


class TestSeveralWorkers:
    async def test_another_takes_over_what_a_dead_one_had_begun(
        self, bench: Bench, transactions: SqlTransactions, work: Work
    ):
        consumer = bench.names.consumer
        tally = await transactions.run(open_tally, OpenTally(), work)
        worker = bench.worker()
        async with running(worker.relay.run):
            await asyncio.wait_for(worker.relay.leading.wait(), 10)

            async def delivered_to_nobody_alive() -> Any:
                return await bench.bus.read(consumer, "dead", ["tally"], count=10, wait_ms=50)

            await eventually(delivered_to_nobody_alive)
        async with running(bench.worker().run):
            await eventually(lambda: bench.has(tally.id, 1))
            await eventually(bench.quiet)

    async def test_only_one_consumes_a_context_at_a_time(self, bench: Bench, transactions: SqlTransactions, work: Work):
        first, second = bench.worker(), bench.worker()
        async with running(first.run) as stop_first:
            await eventually(lambda: active(first))
            async with running(second.run):
                await asyncio.sleep(0.8)
                assert not await active(second)
                stop_first.set()
                await eventually(lambda: active(second))
                tally = await transactions.run(open_tally, OpenTally(), work)
                await eventually(lambda: bench.has(tally.id, 1))

    async def test_a_worker_without_its_leases_begins_again(
        self, bench: Bench, transactions: SqlTransactions, work: Work, database_url: str
    ):
        worker = bench.worker()
        async with running(worker.run):
            await eventually(lambda: active(worker))
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name IN ('agora leases', 'agora relay')"
                )
            tally = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(tally.id, 1))


class TestAnEmptiedBus:
    async def test_costs_no_event_and_repeats_no_effect(self, bench: Bench, transactions: SqlTransactions, work: Work):
        async with running(bench.worker().run):
            before = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(before.id, 1))
            keys = [key async for key in bench.redis.scan_iter(match=f"{{{bench.namespace}}}*")]
            await bench.redis.delete(*keys)
            after = await transactions.run(open_tally, OpenTally(), work)
            await eventually(lambda: bench.has(after.id, 1))
            await eventually(bench.quiet)
        assert await bench.effects(before.id) == [1]


async def active(worker: Worker) -> bool:
    return bool(worker.consumers) and all(each.active.is_set() for each in worker.consumers)


async def rewind(bench: Bench) -> None:
    """Let the group be given everything once more."""
    await bench.redis.xgroup_setid(bench.bus.key("tally"), bench.names.consumer, "0")
