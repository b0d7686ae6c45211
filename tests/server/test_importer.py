import asyncio
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from data.catalog import product, product_variant
from data.database import Database
from data.event_log import event_log
from data.importing import errors_of
from data.inventory import stock_level
from data.transactions import SqlTransactions
from domain.importing import ImportJob, ImportJobs, ImportState, LoadChunk
from domain.kernel import Principal, Work, uuid7
from server.importer import CHUNK_ROWS, Importer, guess_map, load_map

MAP = load_map("agora")
STORE = uuid7()


class Killed(BaseException):
    """Stands for the end of the process."""


async def queue(job: ImportJob, jobs: ImportJobs) -> None:
    jobs.add(job)


class Shop:
    """One tenant that imports into one store."""

    def __init__(self, transactions: Any, database: Database, work: Work, folder: Path) -> None:
        self.transactions = transactions
        self.database = database
        self.work = work
        self._folder = folder

    def file(self, rows: list[dict[str, Any]], name: str = "goods.jsonl") -> Path:
        path = self._folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    async def job(self) -> ImportJob:
        job = ImportJob(tenant_id=self.work.tenant_id, source="goods", store_id=STORE, seller_id=uuid7(), mapping=MAP)
        await self.transactions.run(queue, job, self.work)
        return job

    async def load(self, path: Path, job: ImportJob | None = None) -> ImportJob:
        job = job or await self.job()
        return await Importer(self.transactions, self.work).run(job.id, path, MAP, "CAD")

    async def value(self, statement: Any) -> Any:
        async with self.database.session(self.work.tenant_id) as session:
            return await session.scalar(statement)

    async def rows(self, statement: Any) -> list[tuple[Any, ...]]:
        async with self.database.session(self.work.tenant_id) as session:
            return [tuple(row) for row in await session.execute(statement)]

    async def errors(self, job: ImportJob) -> list[tuple[int, str, str]]:
        async with self.database.session(self.work.tenant_id) as session:
            return [(row.line, row.column, row.reason) async for row in errors_of(session, job.id)]


@pytest.fixture
def shop(transactions: SqlTransactions, database: Database, work: Work, tmp_path: Path) -> Shop:
    return Shop(transactions, database, work, tmp_path)


def goods(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"sku": f"s{n}", "name": f"Mug {n}", "price": "12.50", **more} for n in range(count)]


class TestImporter:
    async def test_makes_products_with_categories_attributes_stock_and_events(self, shop: Shop) -> None:
        row = {"category": "Home > Mugs", "stock": 4, "attribute_colour": "red", "image": "https://img.example/1.jpg"}
        job = await shop.load(shop.file(goods(3, **row)))
        assert (job.state, job.created, job.failed) == (ImportState.COMPLETED, 3, 0)
        columns = select(
            product.c.name, product.c.price_minor, product.c.currency, product.c.state, product.c.attributes
        )
        assert (await shop.rows(columns.order_by(product.c.sku)))[0] == (
            "Mug 0",
            1250,
            "CAD",
            "active",
            {"colour": "red"},
        )
        assert await shop.value(select(func.sum(stock_level.c.on_hand))) == 12
        names = await shop.rows(select(event_log.c.name, func.count()).group_by(event_log.c.name))
        assert dict(names) == {
            "category.created": 2,
            "import.completed": 1,
            "import.started": 1,
            "inventory.stock_adjusted": 3,
            "product.created": 3,
        }

    async def test_changes_nothing_when_the_same_file_comes_again(self, shop: Shop) -> None:
        path = shop.file(goods(5, stock=3, category="Mugs"))
        await shop.load(path)
        events = await shop.value(select(func.count()).select_from(event_log).where(event_log.c.name.like("product.%")))
        again = await shop.load(path)
        assert (again.created, again.updated, again.unchanged) == (0, 0, 5)
        assert events == await shop.value(
            select(func.count()).select_from(event_log).where(event_log.c.name.like("product.%"))
        )

    async def test_updates_what_differs_and_says_what_changed(self, shop: Shop) -> None:
        await shop.load(shop.file(goods(3, stock=3)))
        changed = goods(3, stock=3)
        changed[1] |= {"price": "9.00", "stock": 8}
        job = await shop.load(shop.file(changed))
        assert (job.created, job.updated) == (0, 1)
        found = await shop.rows(select(event_log.c.data["changed"]).where(event_log.c.name == "product.updated"))
        assert found == [(["price"],)]
        assert await shop.value(select(stock_level.c.on_hand).where(stock_level.c.sku == "s1")) == 8

    async def test_reports_bad_rows_and_keeps_the_good_ones(self, shop: Shop) -> None:
        rows = [*goods(2), {"sku": "s0", "name": "Again"}, {"sku": "x", "name": "X", "price": "-1"}, {"sku": "y"}]
        rows += [
            {"sku": "z", "name": "Z", "price": "1", "currency": "ZZZ"},
            {"sku": "v", "name": "V", "variant_of": "?"},
        ]
        job = await shop.load(shop.file(rows))
        assert (job.state, job.created, job.failed) == (ImportState.COMPLETED_WITH_ERRORS, 2, 5)
        assert await shop.errors(job) == [
            (3, "sku", "SKU s0 stands on an earlier line already"),
            (4, "price", "a price must not be negative"),
            (5, "name", "it is missing"),
            (6, "currency", "'ZZZ' is not an ISO 4217 currency code"),
            (7, "variant_of", "no product has the SKU ?"),
        ]

    async def test_makes_variants_of_products_of_the_same_file(self, shop: Shop) -> None:
        rows = [*goods(1), {"sku": "s0-L", "name": "Large", "variant_of": "s0", "price": "15", "stock": 2}]
        await shop.load(shop.file(rows))
        assert await shop.rows(select(product_variant.c.sku, product_variant.c.price_minor)) == [("s0-L", 1500)]
        again = await shop.load(shop.file(rows))
        assert (again.created, again.updated, again.unchanged) == (0, 0, 2)
        clash = await shop.load(shop.file([{"sku": "s0-L", "name": "A product now"}]))
        assert await shop.errors(clash) == [(1, "sku", "SKU s0-L is used by another product")]

    async def test_refuses_to_take_away_what_is_reserved(self, shop: Shop) -> None:
        await shop.load(shop.file(goods(1, stock=5)))
        async with shop.database.session(shop.work.tenant_id) as session:
            await session.execute(stock_level.update().values(reserved=4))
        job = await shop.load(shop.file(goods(1, stock=3)))
        assert [(line, column) for line, column, _ in await shop.errors(job)] == [(1, "stock")]
        assert await shop.value(select(stock_level.c.on_hand)) == 5

    async def test_goes_on_where_a_crash_interrupted_it(self, shop: Shop) -> None:
        path = shop.file(goods(3 * CHUNK_ROWS, stock=1))
        job = await shop.job()
        shop.transactions = DiesAfter(shop.transactions, chunks=2)
        with pytest.raises(Killed):
            await shop.load(path, job)
        shop.transactions = shop.transactions.alive
        assert await shop.value(select(func.count()).select_from(product)) == 2 * CHUNK_ROWS
        resumed = await shop.load(path, job)
        assert (resumed.state, resumed.created, resumed.failed) == (ImportState.COMPLETED, 3 * CHUNK_ROWS, 0)
        assert await shop.value(select(func.count()).select_from(product)) == 3 * CHUNK_ROWS

    async def test_fails_on_a_truncated_file_and_keeps_what_it_could_read(self, shop: Shop, tmp_path: Path) -> None:
        import gzip

        whole = gzip.compress("".join(json.dumps(row) + "\n" for row in goods(30_000)).encode())
        path = tmp_path / "goods.jsonl.gz"
        path.write_bytes(whole[: len(whole) * 2 // 3])
        job = await shop.load(path)
        assert job.state == ImportState.FAILED
        assert "damaged or truncated" in str(job.failure)
        assert job.created == await shop.value(select(func.count()).select_from(product)) > 0
        path.write_bytes(whole)
        mended = await shop.load(path, job)
        assert (mended.state, mended.created) == (ImportState.COMPLETED, 30_000)

    async def test_is_one_import_even_when_two_work_on_the_same_rows(self, shop: Shop) -> None:
        path = shop.file(goods(2_500))
        first, second = await asyncio.gather(shop.load(path), shop.load(path))
        assert first.created + second.created == 2_500
        assert await shop.value(select(func.count()).select_from(product)) == 2_500

    async def test_does_not_touch_another_sellers_products(self, shop: Shop, transactions: SqlTransactions) -> None:
        await shop.load(shop.file(goods(1)))
        rival = Principal(user_id=uuid7(), tenant_id=shop.work.tenant_id, permissions=frozenset({"catalog.write"}))
        shop.work = replace(shop.work, actor=rival)
        job = await shop.load(shop.file(goods(1, description="mine now")))
        assert await shop.errors(job) == [(1, "sku", "SKU s0 is used by another product")]
        assert await shop.value(select(product.c.description)) == ""

    async def test_needs_no_more_memory_for_a_longer_file(self, shop: Shop) -> None:
        tracemalloc.start()
        try:
            peaks = []
            for chunks in (2, 10):
                path = shop.file(goods(chunks * CHUNK_ROWS), f"{chunks}.jsonl")
                tracemalloc.reset_peak()
                await shop.load(path)
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert peaks[1] < peaks[0] * 1.5


class DiesAfter:
    """Transactions of a process that dies before the chunk after so many."""

    def __init__(self, alive: SqlTransactions, chunks: int) -> None:
        self.alive = alive
        self._left = chunks

    async def run(self, handler: Callable[..., Any], command: Any, work: Work, **options: Any) -> Any:
        if isinstance(command, LoadChunk):
            if not self._left:
                raise Killed
            self._left -= 1
        return await self.alive.run(handler, command, work, **options)


class TestGuessMap:
    @pytest.mark.parametrize(
        ("columns", "name"),
        [
            ("id,title,supplier,short_description", "icecat"),
            ("product_id,department,product_category,product_type", "complete_journey"),
            ("sku,name,price", "agora"),
        ],
    )
    def test_knows_our_maps_by_their_columns(self, tmp_path: Path, columns: str, name: str) -> None:
        path = tmp_path / "goods.csv"
        path.write_text(f"{columns}\n{','.join('x' * len(columns.split(',')))}\n")
        assert guess_map(path) == name
