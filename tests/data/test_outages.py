"""A database that goes away: callers are told so, nothing else breaks, and nobody notices that it was away when it is back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.embedded.postgres import EmbeddedPostgres
from data.migrations import upgrade
from data.transactions import SqlTransactions
from domain.kernel import SYSTEM, InvalidInput, Unavailable, Work
from tests.conftest import tenant_maker

POOL = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that nobody else uses."""
    made = EmbeddedPostgres(tmp_path_factory.mktemp("outages"), durable=False)
    upgrade(made.start())
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def tenant(server: EmbeddedPostgres) -> UUID:
    return tenant_maker(server.url())()


@pytest.fixture
async def database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database all of whose connections have been used."""
    async with Database(server.url(), read_pool=POOL, write_pool=POOL) as opened:
        await warm(opened)
        yield opened


async def warm(database: Database) -> None:
    readers = [database.reads(None) for _ in range(POOL)]
    await asyncio.gather(*(each.text("SELECT 1") for each in readers))
    await asyncio.gather(*(each.end() for each in readers))

    async def use() -> None:
        async with database.session(None) as session:
            await session.execute(text("SELECT pg_sleep(0.05)"))

    await asyncio.gather(*(use() for _ in range(POOL)))


def cut(server: EmbeddedPostgres) -> int:
    """End every connection but one's own, as an operator or a failover does."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        return connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).rowcount


def at_work(tenant_id: UUID) -> Work:
    return Work(tenant_id=tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id="outage")


async def count(session: AsyncSession, _writable: bool) -> int:
    return int((await session.execute(text("SELECT count(*) FROM tenancy.tenant"))).scalar_one())


class TestConnectionsThatWereCut:
    async def test_while_nobody_used_them_are_replaced_unnoticed(
        self, server: EmbeddedPostgres, database: Database, tenant: UUID
    ) -> None:
        for _ in range(2):
            assert cut(server) >= 2 * POOL
            readers = [database.reads(tenant) for _ in range(POOL)]
            answers = await asyncio.gather(*(each.text("SELECT 1 AS one") for each in readers))
            assert [row.one for (row,) in answers] == [1] * POOL
            await asyncio.gather(*(each.end() for each in readers))
            changes = (SqlTransactions(database).transaction(count, at_work(tenant)) for _ in range(POOL))
            assert await asyncio.gather(*changes) == [1] * POOL

    async def test_between_two_reads_of_a_snapshot_say_that_the_database_is_away(
        self, server: EmbeddedPostgres, database: Database
    ) -> None:
        reads = database.reads(None)
        await reads.text("SELECT 1")
        cut(server)
        with pytest.raises(Unavailable, match="The database"):
            await reads.text("SELECT 1")
        assert [row.one for row in await reads.text("SELECT 1 AS one")] == [1]
        await reads.end()

    async def test_amid_a_change_leave_nothing_of_it(
        self, server: EmbeddedPostgres, database: Database, tenant: UUID
    ) -> None:
        async def steps(session: AsyncSession, _writable: bool) -> None:
            await session.execute(text("CREATE TEMPORARY TABLE half (id int)"))
            cut(server)
            await session.execute(text("SELECT 1"))

        calls = 0

        async def counted(session: AsyncSession, writable: bool) -> None:
            nonlocal calls
            calls += 1
            await steps(session, writable)

        with pytest.raises(Unavailable):
            await SqlTransactions(database).transaction(counted, at_work(tenant))
        # Of what has begun nobody knows how far it came, so it is not for us to begin it again.
        assert calls == 1
        assert await SqlTransactions(database).transaction(count, at_work(tenant)) == 1


class TestADatabaseThatIsAway:
    @pytest.fixture
    async def away(self, server: EmbeddedPostgres, database: Database) -> AsyncIterator[Database]:
        server.stop()
        try:
            yield database
        finally:
            server.start()

    async def test_is_told_to_readers(self, away: Database) -> None:
        for _ in range(POOL + 1):
            reads = away.reads(None)
            with pytest.raises(Unavailable, match="The database is not available"):
                await reads.text("SELECT 1")
            await reads.end()

    async def test_is_told_to_those_who_change(self, away: Database, tenant: UUID) -> None:
        for _ in range(POOL + 1):
            with pytest.raises(Unavailable):
                await SqlTransactions(away).transaction(count, at_work(tenant))

    async def test_is_used_again_as_soon_as_it_is_back(
        self, server: EmbeddedPostgres, database: Database, tenant: UUID
    ) -> None:
        server.stop()
        with pytest.raises(Unavailable):
            await SqlTransactions(database).transaction(count, at_work(tenant))
        server.start()
        assert await SqlTransactions(database).transaction(count, at_work(tenant)) == 1
        reads = database.reads(tenant)
        assert len(await reads.text("SELECT 1")) == 1
        await reads.end()

    async def test_that_is_killed_loses_nothing_that_was_committed(self, tmp_path: Path) -> None:
        server = EmbeddedPostgres(tmp_path)
        upgrade(server.start())
        try:
            tenant_id = tenant_maker(server.url())()
            async with Database(server.url(), read_pool=1, write_pool=1) as database:
                transactions = SqlTransactions(database)
                assert await transactions.transaction(count, at_work(tenant_id)) == 1
                assert server._process is not None
                server._process.kill()
                server._process.wait(10)
                with pytest.raises(Unavailable):
                    await transactions.transaction(count, at_work(tenant_id))
                server._lock.release()
                server.start()
                assert await transactions.transaction(count, at_work(tenant_id)) == 1
        finally:
            server.stop()


class TestOtherErrors:
    async def test_are_no_outage(self, database: Database) -> None:
        reads = database.reads(None)
        with pytest.raises(InvalidInput):
            await reads.text("SELECT $1::text", "\x00")
        with pytest.raises(Exception, match="does not exist"):
            await reads.text("SELECT * FROM nowhere")
        await reads.end()
