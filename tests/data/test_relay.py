"""Every event of the log reaches the bus once, in an order that each aggregate's events agree with."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from data.bus import RedisBus
from data.database import Database
from data.embedded import EmbeddedValkey
from data.event_log import append
from data.relay import Relay
from data.transactions import SqlTransactions
from data.writes import send
from domain.kernel import Work, uuid7
from tests.events import OpenTally, RaiseTally, Tally, eventually, open_tally, raise_tally, running

GROUPS = {"watcher": ["tally"]}


async def published(bus: RedisBus, prefix: str = "tally") -> list[tuple[UUID, int]]:
    entries = await bus.redis.xrange(bus.key(prefix))
    envelopes = [orjson.loads(body[b"e"]) for _, body in entries]
    return [(UUID(each["aggregate_id"]), each["version"]) for each in envelopes]


def holds(bus: RedisBus, *expected: tuple[UUID, int]):
    async def check() -> bool:
        return await published(bus) == list(expected)

    return check


@pytest.fixture
async def relay(bus: RedisBus, fresh_log: int, database_url: str) -> AsyncIterator[Relay]:
    relay = Relay(database_url, bus, GROUPS, tidy_seconds=0.2)
    async with running(relay.run):
        await asyncio.wait_for(relay.leading.wait(), 5)
        yield relay


async def rolled_back(database: Database, work: Work) -> None:
    async with database.session(work.tenant_id) as session:
        append(session, [await raised(work)], work)
        await send(session)
        await session.rollback()


async def raised(work: Work, *, times: int = 1, version: int = 0) -> Tally:
    """Give a tally with unsaved events that follow `version`."""
    tally = Tally(tenant_id=work.tenant_id, version=version)
    for _ in range(times):
        tally.raise_by(1)
    return tally


class TestRelay:
    async def test_carries_what_was_committed(
        self, relay: Relay, bus: RedisBus, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(amount=3), work)
        await eventually(holds(bus, (tally.id, 1)))
        [(_, body)] = await bus.redis.xrange(bus.key("tally"))
        envelope = orjson.loads(body[b"e"])
        assert envelope["data"] == {"tally_id": str(tally.id), "amount": 3}
        assert envelope["metadata"] == {"user_id": str(work.actor.user_id), "correlation_id": "test"}
        assert envelope["occurred_at"] == "2026-03-14T15:09:26+00:00"

    async def test_does_not_skip_a_transaction_that_commits_late(
        self, relay: Relay, bus: RedisBus, database: Database, work: Work
    ):
        early, late = await raised(work), await raised(work)
        async with database.session(work.tenant_id) as first:
            append(first, [early], work)
            await send(first)
            async with database.session(work.tenant_id) as second:
                append(second, [late], work)
            await asyncio.sleep(0.3)
            assert await published(bus) == []
        await eventually(holds(bus, (early.id, 1), (late.id, 1)))

    async def test_keeps_an_aggregates_order_when_the_older_transaction_writes_last(
        self, relay: Relay, bus: RedisBus, database: Database, work: Work
    ):
        tally = await raised(work)
        async with database.session(work.tenant_id) as older:
            await older.execute(text("SELECT pg_current_xact_id()"))
            async with database.session(work.tenant_id) as younger:
                append(younger, [tally], work)
            tally.raise_by(1)
            append(older, [tally], work)
        await eventually(holds(bus, (tally.id, 1), (tally.id, 2)))

    async def test_passes_over_a_rolled_back_transaction(
        self, relay: Relay, bus: RedisBus, database: Database, work: Work
    ):
        await rolled_back(database, work)
        kept = await raised(work)
        async with database.session(work.tenant_id) as session:
            append(session, [kept], work)
        await eventually(holds(bus, (kept.id, 1)))

    async def test_is_not_held_up_by_long_transactions_that_write_no_events(
        self, relay: Relay, bus: RedisBus, database: Database, work: Work
    ):
        tally = await raised(work)
        async with database.session(work.tenant_id) as long:
            await long.execute(text("SELECT pg_current_xact_id()"))
            async with database.session(work.tenant_id) as session:
                append(session, [tally], work)
            await eventually(holds(bus, (tally.id, 1)), seconds=2)

    async def test_carries_the_events_of_many_writers_in_order(
        self, relay: Relay, bus: RedisBus, transactions: SqlTransactions, work: Work
    ):
        tallies = [await transactions.run(open_tally, OpenTally(), work) for _ in range(4)]

        async def write(tally: Tally) -> None:
            for _ in range(25):
                await transactions.run(raise_tally, RaiseTally(id=tally.id), work)

        await asyncio.gather(*(write(tally) for tally in tallies))

        async def all_there() -> bool:
            return len(await published(bus)) == 4 * 26

        await eventually(all_there)
        for tally in tallies:
            assert [version for found, version in await published(bus) if found == tally.id] == list(range(1, 27))


class TestTakeover:
    async def test_a_second_relay_stands_by_until_the_first_has_gone(
        self, bus: RedisBus, fresh_log: int, database_url: str, transactions: SqlTransactions, work: Work
    ):
        first, second = Relay(database_url, bus, GROUPS), Relay(database_url, bus, GROUPS)
        async with running(first.run) as stop_first:
            await asyncio.wait_for(first.leading.wait(), 5)
            async with running(second.run):
                await asyncio.sleep(0.7)
                assert not second.leading.is_set()
                stop_first.set()
                await asyncio.wait_for(second.leading.wait(), 5)
                tally = await transactions.run(open_tally, OpenTally(), work)
                await eventually(holds(bus, (tally.id, 1)))

    async def test_what_was_published_before_the_cursor_moved_is_not_published_twice(
        self, bus: RedisBus, fresh_log: int, database_url: str, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        async with running(Relay(database_url, bus, GROUPS).run):
            await eventually(holds(bus, (tally.id, 1)))
        async with transactions._database.session(None) as session:
            await session.execute(text("UPDATE platform.relay_cursor SET sequence = :before"), {"before": fresh_log})
        other = await transactions.run(open_tally, OpenTally(), work)
        async with running(Relay(database_url, bus, GROUPS).run):
            await eventually(holds(bus, (tally.id, 1), (other.id, 1)))


class TestLostBus:
    async def test_an_emptied_server_is_filled_from_the_oldest_unhandled_event(
        self, relay: Relay, bus: RedisBus, transactions: SqlTransactions, work: Work
    ):
        done = await transactions.run(open_tally, OpenTally(), work)
        await eventually(holds(bus, (done.id, 1)))
        await bus.acknowledge("watcher", await bus.read("watcher", "me", ["tally"], count=10, wait_ms=1000))
        await tidied(transactions, work, relay, bus)
        open_ = await transactions.run(open_tally, OpenTally(), work)
        await eventually(has(bus, (open_.id, 1)))
        await wipe(bus)
        await eventually(holds(bus, (open_.id, 1)))
        later = await transactions.run(open_tally, OpenTally(), work)
        await eventually(holds(bus, (open_.id, 1), (later.id, 1)))
        assert [each.name for each in await bus.read("watcher", "me", ["tally"], count=10, wait_ms=1000)] == [
            "tally.raised"
        ] * 2

    async def test_a_server_that_lost_its_last_second_is_filled_up(
        self, relay: Relay, bus: RedisBus, transactions: SqlTransactions, work: Work
    ):
        kept = await transactions.run(open_tally, OpenTally(), work)
        await eventually(holds(bus, (kept.id, 1)))
        earlier = await remembered(bus)
        lost = await transactions.run(open_tally, OpenTally(), work)
        await eventually(holds(bus, (kept.id, 1), (lost.id, 1)))
        await put_back(bus, earlier)
        await eventually(holds(bus, (kept.id, 1), (lost.id, 1)))

    async def test_a_bus_that_is_ahead_of_the_log_belongs_to_another_log_and_is_begun_anew(
        self, bus: RedisBus, fresh_log: int, database_url: str, transactions: SqlTransactions, work: Work
    ):
        await bus.begin(fresh_log + 1_000_000)
        foreign = orjson.dumps({"aggregate_id": str(uuid7()), "version": 1})
        await bus.redis.xadd(bus.key("tally"), {"n": "tally.raised", "e": foreign}, id=f"{fresh_log + 1_000_000}-0")
        tally = await transactions.run(open_tally, OpenTally(), work)
        async with running(Relay(database_url, bus, GROUPS).run):
            await eventually(holds(bus, (tally.id, 1)))

    async def test_a_restarted_server_goes_on_where_it_was(
        self, fresh_log: int, database_url: str, transactions: SqlTransactions, work: Work, tmp_path
    ):
        home = tmp_path / "valkey"
        before = await transactions.run(open_tally, OpenTally(), work)
        valkey = EmbeddedValkey(home)

        async def relayed_to_a_fresh_start(*expected: tuple[UUID, int]) -> None:
            url = await asyncio.to_thread(valkey.start)
            async with Redis.from_url(url) as redis, running(Relay(database_url, RedisBus(redis), GROUPS).run):
                await eventually(holds(RedisBus(redis), *expected))
            await asyncio.to_thread(valkey.stop)

        await relayed_to_a_fresh_start((before.id, 1))
        after = await transactions.run(open_tally, OpenTally(), work)
        await relayed_to_a_fresh_start((before.id, 1), (after.id, 1))


def has(bus: RedisBus, wanted: tuple[UUID, int]):
    async def check() -> bool:
        return wanted in await published(bus)

    return check


async def tidied(transactions: SqlTransactions, work: Work, relay: Relay, bus: RedisBus) -> None:
    """Wait until the relay has noted up to where everything is handled."""
    position = await bus.position()

    async def noted() -> bool:
        async with transactions._database.session(None) as session:
            handled = await session.execute(text("SELECT handled FROM platform.relay_cursor"))
            return bool(handled.scalar_one() == position)

    await eventually(noted)


async def wipe(bus: RedisBus) -> None:
    """Empty this bus as a server that lost its disk would be empty."""
    await bus.redis.delete(*[key async for key in bus.redis.scan_iter(match=f"{bus._keys}*")])


async def remembered(bus: RedisBus) -> dict[bytes, bytes]:
    return {key: await bus.redis.dump(key) async for key in bus.redis.scan_iter(match=f"{bus._keys}*")}


async def put_back(bus: RedisBus, earlier: dict[bytes, bytes]) -> None:
    """Put the bus back to an earlier moment, as an append-only file without its last second does."""
    async with bus.redis.pipeline(transaction=True) as pipe:
        for key, value in earlier.items():
            pipe.restore(key, 0, value, replace=True)
        await pipe.execute()
