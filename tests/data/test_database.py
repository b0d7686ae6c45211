import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from data.database import Database, Reads
from data.inventory import stock_level
from data.paging import Listing
from data.statements import Statement, dynamic
from domain.kernel import InvalidInput, uuid7
from domain.paging import PageRequest
from tests.events import eventually

BY_STORE = Statement(
    select(stock_level).where(stock_level.c.store_id == func.any(bindparam("keys", type_=ARRAY(Uuid))))
)


async def put(database: Database, tenant_id: UUID, store_id: UUID, *skus: str) -> None:
    async with database.session(tenant_id) as session:
        for sku in skus:
            await session.execute(
                stock_level.insert().values(
                    id=uuid7(),
                    tenant_id=tenant_id,
                    version=1,
                    store_id=store_id,
                    sku=sku,
                    product_id=uuid7(),
                    on_hand=len(sku),
                    reserved=0,
                    reorder_point=0,
                    reorder_quantity=0,
                )
            )


class TestReads:
    async def test_see_one_snapshot_until_they_are_closed(self, database: Database, tenant_id: UUID) -> None:
        store, reads = uuid7(), database.reads(tenant_id)
        assert await reads.rows(BY_STORE, keys=[store]) == []
        await put(database, tenant_id, store, "late")
        assert await reads.rows(BY_STORE, keys=[store]) == []
        await reads.close()
        assert [row.sku for row in await reads.rows(BY_STORE, keys=[store])] == ["late"]
        await reads.close()

    async def test_cannot_write(self, database: Database, tenant_id: UUID) -> None:
        reads = database.reads(tenant_id)
        with pytest.raises(Exception, match="read-only transaction"):
            await reads.text("DELETE FROM inventory.stock_level RETURNING id")
        await reads.close()

    async def test_without_a_tenant_see_nothing(self, database: Database, tenant_id: UUID) -> None:
        store, reads = uuid7(), database.reads(None)
        await put(database, tenant_id, store, "mine")
        assert await reads.rows(BY_STORE, keys=[store]) == []
        await reads.close()

    async def test_run_together_on_the_one_connection_that_they_hold(self, database: Database, tenant_id: UUID) -> None:
        reads = database.reads(tenant_id)
        backends = await asyncio.gather(*(reads.text("SELECT pg_backend_pid() AS pid") for _ in range(20)))
        assert len({rows[0].pid for rows in backends}) == 1
        await reads.close()

    async def test_stop_the_query_of_an_operation_that_is_cancelled(self, database: Database, tenant_id: UUID) -> None:
        reads = database.reads(tenant_id)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reads.text("SELECT pg_sleep(30)")
        await asyncio.wait_for(reads.close(), 5)
        watcher = database.system_reads()
        running = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()"
        for _ in range(50):
            if (await watcher.text(running))[0].n == 0:
                break
            await watcher.close()
            await asyncio.sleep(0.05)
        assert (await watcher.text(running))[0].n == 0
        await watcher.close()

    async def test_give_their_connection_back_after_an_error(self, database: Database, tenant_id: UUID) -> None:
        for _ in range(20):
            reads = database.reads(tenant_id)
            with pytest.raises(Exception, match="division by zero"):
                await reads.text("SELECT 1/0")
            await reads.close()
        assert database.snapshots.idle >= 1

    async def test_go_on_in_a_new_snapshot_after_a_statement_that_failed(
        self, database: Database, tenant_id: UUID
    ) -> None:
        reads = database.reads(tenant_id)
        with pytest.raises(Exception, match="division by zero"):
            await reads.text("SELECT 1/0")
        assert (await reads.text("SELECT 1 AS one"))[0].one == 1
        await reads.close()

    async def test_leave_no_tenant_behind_on_a_connection(self, database: Database, tenant_id: UUID) -> None:
        reads = database.reads(tenant_id)
        await reads.text("SELECT 1")
        await reads.close()
        connection = await database.snapshots.begin("SELECT 1")
        assert await connection.fetchval("SELECT current_setting('app.tenant_id', true)") in {None, ""}
        assert await connection.fetchval("SELECT current_user") == "agora_app"
        await database.snapshots.give_back(connection)

    async def test_end_in_the_database_a_moment_later(self, database_url: str, tenant_id: UUID) -> None:
        lingering = await Database(database_url, linger_seconds=0.05).__aenter__()
        reads = lingering.reads(tenant_id)
        backend = (await reads.text("SELECT pg_backend_pid() AS pid"))[0].pid
        await reads.close()

        async def ended() -> bool:
            with psycopg.connect(database_url, autocommit=True) as watcher:
                found = watcher.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (backend,)).fetchone()
            return found == ("idle",)

        await eventually(ended)
        await lingering.__aexit__()


class TestSnapshots:
    async def test_make_no_more_connections_than_allowed_and_give_everybody_a_turn(
        self, database_url: str, tenant_id: UUID
    ) -> None:
        async with Database(database_url, read_pool=2, linger_seconds=0.05) as small:

            async def backend() -> int:
                reads = small.reads(tenant_id)
                try:
                    return int((await reads.text("SELECT pg_backend_pid() AS pid, pg_sleep(0.005)"))[0].pid)
                finally:
                    await reads.close()

            assert len(set(await asyncio.gather(*(backend() for _ in range(30))))) == 2

    async def test_lose_no_turn_to_who_gave_up_waiting(self, database_url: str, tenant_id: UUID) -> None:
        async with Database(database_url, read_pool=1, linger_seconds=0.05) as small:
            holder, impatient = small.reads(tenant_id), small.reads(tenant_id)
            await holder.text("SELECT 1")
            waiting = asyncio.ensure_future(impatient.text("SELECT 2"))
            patient = small.reads(tenant_id)
            last = asyncio.ensure_future(patient.text("SELECT 3 AS three"))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await holder.close()
            assert (await asyncio.wait_for(last, 5))[0].three == 3
            await patient.close()

    async def test_replace_connections_that_the_server_ended(self, database_url: str, tenant_id: UUID) -> None:
        async with Database(database_url, read_pool=1, linger_seconds=0.05) as small:
            for _ in range(3):
                reads = small.reads(tenant_id)
                backend = (await reads.text("SELECT pg_backend_pid() AS pid"))[0].pid
                await reads.close()
                with psycopg.connect(database_url, autocommit=True) as connection:
                    connection.execute("SELECT pg_terminate_backend(%s)", (backend,))
                await asyncio.sleep(0.1)
            reads = small.reads(tenant_id)
            assert (await reads.text("SELECT 1 AS one"))[0].one == 1
            await reads.close()


class TestStatement:
    def test_is_compiled_to_postgresqls_own_parameters(self) -> None:
        store = uuid7()
        query, arguments = BY_STORE.bind({"keys": [store]})
        assert query.endswith("store_id = any($1::UUID[])")
        assert arguments == [[store]]

    def test_refuses_to_run_without_a_parameter(self) -> None:
        with pytest.raises(KeyError):
            BY_STORE.bind({})


class TestDynamic:
    def test_gives_equal_shapes_one_text_and_their_own_values(self) -> None:
        texts = [dynamic(select(stock_level.c.sku).where(stock_level.c.on_hand > bound)) for bound in (3, 7)]
        assert texts[0][0] is texts[1][0]
        assert [arguments for _, arguments in texts] == [[3], [7]]

    def test_refuses_a_list_inside_in(self) -> None:
        with pytest.raises(ValueError, match=r"func\.any"):
            dynamic(select(stock_level.c.sku).where(stock_level.c.sku.in_(["a", "b"])))


class TestListing:
    levels = Listing(
        select(stock_level),
        {"up": [stock_level.c.sku], "down": [stock_level.c.sku.desc()]},
        parent=stock_level.c.store_id,
        sku=stock_level.c.sku == bindparam("sku"),
        stocked=stock_level.c.on_hand > 0,
    )

    async def walk(self, reads: Reads, sort: str, **first: Any) -> list[list[str]]:
        pages, page = [], PageRequest(**first)
        while True:
            found = await self.levels.page(reads, page, sort)
            pages.append([row.sku for row in found.nodes])
            more = found.has_previous_page if page.backward else found.has_next_page
            if not more:
                return pages
            page = (
                PageRequest(last=page.last, before=found.start_cursor)
                if page.backward
                else PageRequest(first=page.first, after=found.end_cursor)
            )

    async def test_walks_forward_and_backward_without_gaps_and_repeats(
        self, database: Database, tenant_id: UUID
    ) -> None:
        await put(database, tenant_id, uuid7(), *"abcde")
        reads = database.reads(tenant_id)
        assert await self.walk(reads, "up", first=2) == [["a", "b"], ["c", "d"], ["e"]]
        assert await self.walk(reads, "down", first=2) == [["e", "d"], ["c", "b"], ["a"]]
        assert await self.walk(reads, "up", last=2) == [["d", "e"], ["b", "c"], ["a"]]
        await reads.close()

    async def test_counts_only_when_asked(self, database: Database, tenant_id: UUID) -> None:
        await put(database, tenant_id, uuid7(), *"abc")
        reads = database.reads(tenant_id)
        page = await self.levels.page(reads, PageRequest(first=1), "up")
        assert reads.statements == 1
        assert (await page.count(), reads.statements) == (3, 2)
        await reads.close()

    @pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJhIiwiYiJd", "WzFd", "bnVsbA"])
    async def test_refuses_cursors_that_are_not_of_this_list(
        self, database: Database, tenant_id: UUID, cursor: str
    ) -> None:
        reads = database.reads(tenant_id)
        with pytest.raises(InvalidInput):
            await self.levels.page(reads, PageRequest(first=1, after=cursor), "up")
        await reads.close()

    async def test_gives_the_first_page_below_each_of_many_parents_in_one_statement(
        self, database: Database, tenant_id: UUID
    ) -> None:
        one, two, none = uuid7(), uuid7(), uuid7()
        await put(database, tenant_id, one, "a", "b", "c")
        await put(database, tenant_id, two, "d")
        reads = database.reads(tenant_id)
        pages = await self.levels.pages(reads, [two, none, one], PageRequest(first=2), "up")
        assert [[row.sku for row in page.nodes] for page in pages] == [["d"], [], ["a", "b"]]
        assert [page.has_next_page for page in pages] == [False, False, True]
        assert reads.statements == 1
        assert [await page.count() for page in pages] == [1, 0, 3]
        await reads.close()

    async def test_filters_by_what_is_given(self, database: Database, tenant_id: UUID) -> None:
        await put(database, tenant_id, uuid7(), *"abc")
        reads = database.reads(tenant_id)

        async def found(**wanted: Any) -> list[str]:
            return [row.sku for row in (await self.levels.page(reads, PageRequest(), "up", **wanted)).nodes]

        assert await found(sku=None, stocked=None) == ["a", "b", "c"]
        assert await found(sku="b") == ["b"]
        assert await self.levels.count(reads, sku="b") == 1
        await reads.close()

    def test_refuses_an_order_that_goes_two_ways(self) -> None:
        with pytest.raises(ValueError, match="one way"):
            Listing(select(stock_level), [stock_level.c.sku, stock_level.c.id.desc()])


class TestPageRequest:
    @pytest.mark.parametrize("values", [{"first": 101}, {"first": -1}, {"last": 101}, {"first": 1, "last": 1}])
    def test_refuses_more_than_a_page(self, values: dict[str, int]) -> None:
        with pytest.raises(InvalidInput):
            PageRequest(**values)


class TestSession:
    async def test_of_the_platform_sees_every_tenant(self, database: Database, tenant_id: UUID) -> None:
        store = uuid7()
        await put(database, tenant_id, store, "a")
        async with database.session(None) as session:
            found = await session.execute(
                text("SELECT sku FROM inventory.stock_level WHERE store_id = :s"), {"s": store}
            )
            assert found.scalars().all() == ["a"]
