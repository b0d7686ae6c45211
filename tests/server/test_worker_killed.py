"""Workers that are killed in the middle of their work: every effect once, each aggregate's in order."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from data.database import Database
from data.transactions import SqlTransactions
from domain.kernel import Work
from tests.events import OpenTally, RaiseTally, create_effects, eventually, open_tally, raise_tally, skip_history

ROOT = Path(__file__).parents[2]
TALLIES, EVENTS, KILLS = 6, 40, 3

WORKER = """
import asyncio, sys
import data.tables
from data.database import Database
from data.inbox import Subscriber
from domain.kernel import Envelope, Work
from data.bus import connect
from server.worker import Worker
from tests.events import Effects

async def note(envelope: Envelope, work: Work, effects: Effects) -> None:
    await effects.add(envelope, work)
    await asyncio.sleep(0.005)

async def main(database_url, redis_url, namespace):
    subscriber = Subscriber(f"{namespace}.note", namespace, frozenset({"tally.raised"}), note, batch=False)
    async with Database(database_url) as database, connect(redis_url) as redis:
        await Worker(database, redis, subscribers=[subscriber], namespace=namespace).run(asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def namespace(database_url: str, redis_url: str) -> AsyncIterator[str]:
    create_effects(database_url)
    skip_history(database_url)
    name = uuid4().hex
    yield name
    async with Redis.from_url(redis_url) as redis:
        keys = [key async for key in redis.scan_iter(match=f"{{{name}}}*")]
        await redis.delete(*keys)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)


async def effects(database: Database, tenant_id: UUID) -> list[tuple[UUID, int]]:
    async with database.session(None) as session:
        found = await session.execute(
            text("SELECT aggregate_id, version FROM example.effect WHERE tenant_id = :id ORDER BY id"),
            {"id": tenant_id},
        )
        return [(row.aggregate_id, row.version) for row in found]


class TestAKilledWorker:
    async def test_leaves_its_work_to_the_next_one_which_does_it_once_and_in_order(
        self,
        database: Database,
        database_url: str,
        redis_url: str,
        namespace: str,
        transactions: SqlTransactions,
        work: Work,
    ):
        tallies = [await transactions.run(open_tally, OpenTally(), work) for _ in range(TALLIES)]
        for tally in tallies:
            await transactions.run(raise_tally, RaiseTally(id=tally.id, times=EVENTS - 1), work)

        async def done(least: int) -> bool:
            return len(await effects(database, work.tenant_id)) >= least

        whole = TALLIES * EVENTS
        for share in range(1, KILLS + 2):
            worker = start(database_url, redis_url, namespace)
            try:
                await eventually(lambda least=whole * share // (KILLS + 1): done(least), seconds=60)
                if share > KILLS:
                    await asyncio.sleep(0.3)
            finally:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
        found = await effects(database, work.tenant_id)
        assert len(found) == whole
        for tally in tallies:
            assert [version for id_, version in found if id_ == tally.id] == list(range(1, EVENTS + 1))
