"""Long work on the index: asked for durably, done outside of transactions, begun again after a crash."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.database import Database
from data.indexing import all_documents
from data.search import finish, request_rebuild, waiting
from data.transactions import SqlTransactions
from domain.discovery import IndexRebuild, RebuildSearchIndex, rebuild_search_index
from domain.kernel import Envelope, TenantReadOnly, Work, uuid7
from domain.processes.indexing import PRODUCTS_AT_ONCE, index_categories, index_products
from domain.search import IndexState, SearchEngine, SearchRequest, SearchUnavailable
from search.embedded import EmbeddedSearchEngine
from server.index_keeper import IndexKeeper
from server.services import Services, open_services
from server.settings import Settings
from tests.events import eventually, running

_CATEGORY = text(
    "INSERT INTO catalog.category (id, tenant_id, version, parent_id, path, name, slug) "
    "VALUES (:id, :tenant, 1, :parent, :path, :name, :slug)"
)
_PRODUCTS = text(
    "INSERT INTO catalog.product (id, tenant_id, version, seller_id, category_id, state, name, slug, sku, price_minor, currency) "
    "SELECT platform.new_id(), :tenant, 1, :tenant, :category, :state, name, md5(random()::text), md5(random()::text), 100, 'CAD' "
    "FROM unnest(CAST(:names AS text[])) AS name RETURNING id"
)


@dataclass
class Rebuild:
    """Rebuilds when it is let, and looks meanwhile for transactions that are open."""

    database: Database
    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    done: int = 0
    failing: int = 0
    open_transactions: list[int] = field(default_factory=list)

    async def run(self) -> int:
        self.begun += 1
        await self.allowed.wait()
        if self.failing:
            self.failing -= 1
            raise SearchUnavailable("told to")
        async with self.database.session(None) as session:
            others = text(
                "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND backend_xid IS NOT NULL"
            )
            self.open_transactions.append((await session.scalars(others)).one())
        self.done += 1
        return 7


@dataclass
class Bench:
    services: Services
    engine: EmbeddedSearchEngine
    rebuild: Rebuild
    folder: Path
    work: Work

    def keeper(self, *, really: bool = False) -> IndexKeeper:
        ports = dict(self.services.by_port)
        if not really:
            ports[IndexRebuild] = self.rebuild
        return IndexKeeper(
            replace(self.services, by_port=ports), poll_seconds=0.02, look_seconds=0.05, retry_seconds=0.05
        )

    async def ask(self, work: Work | None = None) -> None:
        await self.services.transactions.run(rebuild_search_index, RebuildSearchIndex(), work or self.work)

    async def waiting(self) -> list[Any]:
        return await waiting(self.services.database)

    async def quiet(self) -> bool:
        return not await self.waiting()

    async def category(self, name: str, parent: UUID | None = None) -> UUID:
        id_ = uuid7()
        path = f"{parent.hex}/{id_.hex}/" if parent else f"{id_.hex}/"
        values = {"id": id_, "tenant": self.work.tenant_id, "parent": parent, "path": path, "name": name}
        async with self.services.database.session(self.work.tenant_id) as session:
            await session.execute(_CATEGORY, {**values, "slug": name.lower()})
        return id_

    async def products(self, *names: str, category: UUID | None = None, state: str = "active") -> list[UUID]:
        values = {"tenant": self.work.tenant_id, "category": category, "state": state, "names": list(names)}
        async with self.services.database.session(self.work.tenant_id) as session:
            return list(await session.scalars(_PRODUCTS, values))

    async def total(self, query: str = "") -> int:
        return (await self.engine.search(SearchRequest(tenant_id=self.work.tenant_id, query=query))).total

    def envelope(self, name: str, **data: Any) -> Envelope:
        return Envelope(
            event_id=uuid7(),
            name=name,
            tenant_id=self.work.tenant_id,
            aggregate_id=uuid7(),
            aggregate_type="Any",
            version=1,
            data={key: str(value) for key, value in data.items()},
            occurred_at=self.work.now,
            correlation_id="test",
        )


@pytest.fixture
async def bench(settings: Settings, tmp_path: Path, work: Work) -> AsyncIterator[Bench]:
    """An index of its own, on the database that all tests share."""
    own = settings.model_copy(update={"home": tmp_path})
    async with open_services(own, writes_index=True) as services:
        await finish(services.database, await waiting(services.database))
        engine = services.by_port[SearchEngine]
        yield Bench(services, engine, Rebuild(services.database), tmp_path / "search", work)


@pytest.fixture(scope="session")
def settings(engines: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("agora"),
        database_url=engines.database_url,
        redis_url=engines.redis_url,
        redis_namespace="indexing",
        secret_key="a secret that is long enough for tests",
    )


async def indexed(bench: Bench) -> None:
    """Have something in the index, so that it counts as whole."""
    ids = await bench.products("Anchor")
    changed = [bench.envelope("product.created", product_id=id_) for id_ in ids]
    await bench.services.transactions.run(index_products, changed, bench.work)


class TestARebuild:
    async def test_is_done_once_for_all_who_asked_before_it_began(
        self, bench: Bench, make_tenant: Any, work: Work
    ) -> None:
        await indexed(bench)
        for tenant in (work.tenant_id, work.tenant_id, make_tenant()):
            await bench.ask(replace(work, tenant_id=tenant))
        await request_rebuild(bench.services.database, datetime.now(UTC))
        assert [each.tenant_id for each in await bench.waiting()].count(work.tenant_id) == 1
        bench.rebuild.allowed.set()
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert (bench.rebuild.begun, bench.rebuild.done) == (1, 1)

    async def test_holds_no_transaction_open(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.ask()
        bench.rebuild.allowed.set()
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert bench.rebuild.open_transactions == [0]

    async def test_begins_again_when_it_was_cut_short(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.ask()
        async with running(bench.keeper().run):
            await eventually(lambda: _is(bench.rebuild.begun == 1))
        assert (bench.rebuild.done, len(await bench.waiting())) == (0, 1)
        bench.rebuild.allowed.set()
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert (bench.rebuild.begun, bench.rebuild.done) == (2, 1)

    async def test_is_done_again_for_whoever_asked_while_it_ran(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.ask()
        async with running(bench.keeper().run):
            await eventually(lambda: _is(bench.rebuild.begun == 1))
            await bench.ask()
            bench.rebuild.allowed.set()
            await eventually(bench.quiet)
        assert bench.rebuild.done == 2

    async def test_is_tried_again_when_the_engine_was_down(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.ask()
        bench.rebuild.failing = 2
        bench.rebuild.allowed.set()
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert (bench.rebuild.begun, bench.rebuild.done) == (3, 1)

    async def test_is_done_by_one_worker_of_several(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.ask()
        async with running(bench.keeper().run), running(bench.keeper().run):
            await eventually(lambda: _is(bench.rebuild.begun == 1))
            await asyncio.sleep(0.7)
            bench.rebuild.allowed.set()
            await eventually(bench.quiet)
        assert bench.rebuild.begun == 1

    async def test_cannot_be_asked_for_where_nothing_may_change(self, bench: Bench, make_tenant: Any) -> None:
        suspended = replace(bench.work, tenant_id=make_tenant(status="suspended"))
        with pytest.raises(TenantReadOnly):
            await bench.ask(suspended)
        assert await bench.waiting() == []

    async def test_really_fills_the_index(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.products(*(f"Barrel {number}" for number in range(30)))
        await bench.products("Barrel hidden", state="draft")
        assert await bench.total("barrel") == 0
        await bench.ask()
        async with running(bench.keeper(really=True).run):
            await eventually(bench.quiet)
        assert (await bench.total("barrel"), await bench.total("anchor")) == (30, 1)


class TestALostIndex:
    async def test_is_made_anew_when_its_folder_is_gone(self, bench: Bench) -> None:
        await indexed(bench)
        async with running(bench.keeper(really=True).run):
            await eventually(lambda: _is_ready(bench))
            await asyncio.sleep(0.1)
            shutil.rmtree(bench.folder)
            await eventually(lambda: _finds(bench, "anchor", 1))

    async def test_is_made_anew_at_the_start(self, bench: Bench) -> None:
        await bench.products("Capstan")
        async with running(bench.keeper(really=True).run):
            await eventually(lambda: _finds(bench, "capstan", 1))
            await eventually(bench.quiet)

    async def test_is_made_anew_when_it_is_of_another_layout(self, bench: Bench) -> None:
        await indexed(bench)
        (bench.folder / "current.json").write_text('{"layout": "0", "generation": "x"}')
        assert (await bench.engine.status()).state is IndexState.NEEDS_REBUILD
        async with running(bench.keeper(really=True).run):
            await eventually(lambda: _finds(bench, "anchor", 1))

    async def test_is_remembered_by_the_next_worker(self, bench: Bench) -> None:
        await bench.products("Davit")
        async with running(bench.keeper().run):
            await eventually(lambda: _is(bench.rebuild.begun == 1))
        # An event that comes in between makes the index look whole.
        await indexed(bench)
        async with running(bench.keeper(really=True).run):
            await eventually(lambda: _finds(bench, "davit", 1))


class TestABranch:
    async def test_is_written_anew_in_portions(self, bench: Bench) -> None:
        await indexed(bench)
        root = await bench.category("Rigging")
        leaf = await bench.category("Blocks", root)
        many = PRODUCTS_AT_ONCE + 50
        await bench.products(*(f"Pulley {number}" for number in range(many)), category=leaf)
        await bench.products("Pulley elsewhere")
        moved = [
            bench.envelope("category.moved", category_id=root),
            bench.envelope("category.updated", category_id=root),
        ]
        await bench.services.transactions.run(index_categories, moved, bench.work)
        assert [each.category_id for each in await bench.waiting()] == [root]
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert (await bench.total("pulley"), await bench.total("rigging"), bench.rebuild.begun) == (many, many, 0)

    async def test_of_a_suspended_tenant_is_written_too(
        self, bench: Bench, database_url: str, transactions: SqlTransactions
    ) -> None:
        await indexed(bench)
        root = await bench.category("Sails")
        await bench.products("Jib", category=root)
        await bench.services.transactions.run(
            index_categories, [bench.envelope("category.updated", category_id=root)], bench.work
        )
        async with bench.services.database.session(None) as session:
            await session.execute(
                text("UPDATE tenancy.tenant SET status = 'suspended' WHERE id = :id"), {"id": bench.work.tenant_id}
            )
        async with running(bench.keeper().run):
            await eventually(bench.quiet)
        assert await bench.total("jib") == 1

    async def test_that_is_gone_is_done_with(self, bench: Bench) -> None:
        await indexed(bench)
        await bench.services.transactions.run(
            index_categories, [bench.envelope("category.updated", category_id=uuid7())], bench.work
        )
        async with running(bench.keeper().run):
            await eventually(bench.quiet)


class TestDocuments:
    async def test_are_read_by_one_writer_at_a_time(self, bench: Bench) -> None:
        """Two readers of the same product write in the order in which they read: the newest state stays."""
        (product,) = await bench.products("Draft name")
        read, go_on = asyncio.Event(), asyncio.Event()

        class Slow:
            async def upsert(self, documents: Any) -> None:
                read.set()
                await go_on.wait()
                await bench.engine.upsert(documents)

        slow = SqlTransactions(bench.services.database, {SearchEngine: Slow()})
        changed = [bench.envelope("product.updated", product_id=product)]
        first = asyncio.create_task(slow.run(index_products, changed, bench.work))
        await read.wait()
        async with bench.services.database.session(bench.work.tenant_id) as session:
            await session.execute(text("UPDATE catalog.product SET name = 'Final' WHERE id = :id"), {"id": product})
        second = asyncio.create_task(bench.services.transactions.run(index_products, changed, bench.work))
        await asyncio.sleep(0.1)
        go_on.set()
        await asyncio.gather(first, second)
        assert (await bench.total("final"), await bench.total("draft")) == (1, 0)

    async def test_of_all_tenants_are_given_each_once(self, bench: Bench, make_tenant: Any) -> None:
        own = set(await bench.products(*(f"Oar {number}" for number in range(PRODUCTS_AT_ONCE + 10))))
        given = [each async for each in all_documents(bench.services.database)]
        assert len(given) == len({each.product_id for each in given})
        assert own <= {each.product_id for each in given}


async def _is(condition: bool) -> bool:
    return condition


async def _is_ready(bench: Bench) -> bool:
    return (await bench.engine.status()).state is IndexState.READY


async def _finds(bench: Bench, query: str, total: int) -> bool:
    try:
        return await bench.total(query) == total
    except SearchUnavailable:
        return False
