"""What search keeps in PostgreSQL: answers while the engine is down, the log of searches, and what the index is made of."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from sqlalchemy import select, text

from data.database import Database
from data.indexing import SqlSearchSource
from data.search import BufferedSearchLog, PostgresTextSearch, expired
from data.search.words import _matching, _product
from data.statements import dynamic
from domain.discovery import PerformedSearch
from domain.kernel import InvalidInput, uuid7
from domain.search import (
    AttributeIn,
    AttributeRange,
    CircuitBreaker,
    CompletionKind,
    Filters,
    IndexState,
    PriceRange,
    SearchDocument,
    SearchRequest,
    Sort,
)
from search.embedded import EmbeddedSearchEngine
from search.fallback import FallbackSearchEngine

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
_CATEGORY = text(
    "INSERT INTO catalog.category (id, tenant_id, version, parent_id, path, name, slug, translations) "
    "VALUES (:id, :tenant, 1, :parent, :path, :name, :slug, CAST(:translations AS jsonb))"
)
_PRODUCT = text(
    "INSERT INTO catalog.product (id, tenant_id, version, seller_id, store_id, category_id, state, name, slug, sku, "
    "description, brand, price_minor, currency, attributes, translations, created_at) VALUES (:id, :tenant, 1, :tenant, "
    ":store, :category, :state, :name, md5(random()::text), md5(random()::text), '', :brand, :price, 'CAD', "
    "CAST(:attributes AS jsonb), CAST(:translations AS jsonb), :created_at)"
)
_LEVEL = text(
    "INSERT INTO inventory.stock_level (id, tenant_id, version, store_id, sku, product_id, on_hand, reserved, "
    "reorder_point, reorder_quantity) VALUES (platform.new_id(), :tenant, 1, :store, md5(random()::text), :product, "
    ":on_hand, :reserved, 0, 0)"
)
_RATING = text(
    "INSERT INTO reviews.product_rating (id, tenant_id, version, product_id, one, two, three, four, five) "
    "VALUES (platform.new_id(), :tenant, 1, :product, 0, 0, 0, 2, :five)"
)
_NAILS = text(
    "INSERT INTO catalog.product (id, tenant_id, version, seller_id, category_id, state, name, slug, sku) "
    "SELECT platform.new_id(), :tenant, 1, :tenant, :category, 'active', 'Nail', md5(random()::text), "
    "md5(random()::text) FROM generate_series(1, :number) RETURNING id"
)


class Shelf:
    """Products of one tenant, put there without the catalogue."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self.database = database
        self.tenant_id = tenant_id
        self.store = uuid7()
        self.names: dict[UUID, str] = {}

    async def put(self, name: str, **given: Any) -> UUID:
        values = {
            "brand": "",
            "category": None,
            "price": 1_000,
            "state": "active",
            "store": None,
            "attributes": "{}",
            "translations": "{}",
            "created_at": NOW + timedelta(minutes=len(self.names)),
            **given,
        }
        id_ = uuid7()
        self.names[id_] = name
        await self.run(_PRODUCT, id=id_, name=name, **values)
        return id_

    async def category(self, slug: str, parent: UUID | None = None, translations: str = "{}") -> UUID:
        id_ = uuid7()
        path = f"{parent.hex if parent else ''}{'/' if parent else ''}{id_.hex}/"
        await self.run(
            _CATEGORY, id=id_, parent=parent, path=path, name=slug.title(), slug=slug, translations=translations
        )
        return id_

    async def run(self, statement: Any, **values: Any) -> None:
        async with self.database.session(self.tenant_id) as session:
            await session.execute(statement, {"tenant": self.tenant_id, **values})

    def request(self, query: str = "", **given: Any) -> SearchRequest:
        return SearchRequest(tenant_id=self.tenant_id, query=query, **given)

    async def found(self, engine: Any, query: str = "", **given: Any) -> list[str]:
        return [self.names[hit.product_id] for hit in (await engine.search(self.request(query, **given))).hits]


@pytest.fixture
def shelf(database: Database, tenant_id: UUID) -> Shelf:
    return Shelf(database, tenant_id)


@pytest.fixture
def words(database: Database) -> PostgresTextSearch:
    return PostgresTextSearch(database)


class TestPostgresTextSearch:
    @pytest.fixture
    async def stocked(self, shelf: Shelf) -> Shelf:
        computers = await shelf.category("computers")
        laptops = await shelf.category("laptops", computers)
        zen = await shelf.put(
            "Zenbook 14 Wi-Fi laptop",
            brand="Asus",
            category=laptops,
            price=120_000,
            attributes='{"colour": "Black", "size": 14, "ports": ["usb", "hdmi"], "touch": true}',
        )
        await shelf.put(
            "Swift laptop", brand="Acer", category=computers, price=80_000, attributes='{"size": 13, "touch": false}'
        )
        lamp = await shelf.put("Lamp", brand="Asus", price=2_000, store=shelf.store, attributes='{"size": "large"}')
        await shelf.put("Laptop of yesterday", state="archived")
        await shelf.run(_LEVEL, store=uuid7(), product=zen, on_hand=3, reserved=1)
        await shelf.run(_LEVEL, store=shelf.store, product=lamp, on_hand=2, reserved=2)
        await shelf.run(_RATING, product=zen, five=2)
        return shelf

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("laptop", {"Zenbook 14 Wi-Fi laptop", "Swift laptop"}),
            ("LAPT zen", {"Zenbook 14 Wi-Fi laptop"}),
            ("asus", {"Zenbook 14 Wi-Fi laptop", "Lamp"}),
            ("wi-fi", {"Zenbook 14 Wi-Fi laptop"}),
            ("yesterday", set()),
            ("", {"Zenbook 14 Wi-Fi laptop", "Swift laptop", "Lamp"}),
            ("  ", {"Zenbook 14 Wi-Fi laptop", "Swift laptop", "Lamp"}),
            ("!?", set()),
            ("' & | ! ( ) : * \\ <->", set()),
            ("laptop' | '", {"Zenbook 14 Wi-Fi laptop", "Swift laptop"}),
            ("²³ ª ½", set()),
            ("x" * 1_000, set()),
            (" ".join("abcdefghijklmnopqrstuvwxyz" * 10), set()),
        ],
    )
    async def test_finds_words_by_their_beginnings(
        self, stocked: Shelf, words: PostgresTextSearch, query: str, names: set[str]
    ) -> None:
        result = await words.search(stocked.request(query))
        assert {stocked.names[hit.product_id] for hit in result.hits} == names
        assert (result.total, 0 < result.processing_ms < 5_000) == (len(names), True)

    @pytest.mark.parametrize(
        ("filters", "names"),
        [
            (Filters(brands=("Asus", "Nobody")), {"Zenbook 14 Wi-Fi laptop", "Lamp"}),
            (Filters(category_path=("computers",)), {"Zenbook 14 Wi-Fi laptop", "Swift laptop"}),
            (Filters(category_path=("computers", "laptops")), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(category_path=("no-such",)), set()),
            (Filters(price=PriceRange(2_000, 80_000)), {"Swift laptop", "Lamp"}),
            (Filters(price=PriceRange(None, None, "USD")), set()),
            (Filters(in_stock=True), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(in_stock=False), {"Swift laptop", "Lamp"}),
            (Filters(minimum_rating=4.5), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(minimum_rating=4.6), set()),
            (Filters(attributes=(AttributeIn("colour", ("Black", "Red")),)), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(attributes=(AttributeIn("ports", ("hdmi",)),)), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(attributes=(AttributeIn("touch", (False,)),)), {"Swift laptop"}),
            (Filters(attributes=(AttributeIn("size", (14,)),)), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(attributes=(AttributeRange("size", 13.5),)), {"Zenbook 14 Wi-Fi laptop"}),
            (Filters(attributes=(AttributeRange("size", None, 13),)), {"Swift laptop"}),
        ],
    )
    async def test_keeps_to_the_filters(
        self, stocked: Shelf, words: PostgresTextSearch, filters: Filters, names: set[str]
    ) -> None:
        assert set(await stocked.found(words, filters=filters)) == names

    async def test_keeps_to_a_store(self, stocked: Shelf, words: PostgresTextSearch) -> None:
        assert await stocked.found(words, filters=Filters(store_id=stocked.store)) == ["Lamp"]

    async def test_sorts_and_pages(self, stocked: Shelf, words: PostgresTextSearch) -> None:
        by_price = ["Lamp", "Swift laptop", "Zenbook 14 Wi-Fi laptop"]
        assert await stocked.found(words, sort=Sort.PRICE_ASC) == by_price
        assert await stocked.found(words, sort=Sort.PRICE_DESC) == by_price[::-1]
        assert await stocked.found(words, sort=Sort.NEWEST) == by_price
        assert (await stocked.found(words, sort=Sort.RATING))[0] == "Zenbook 14 Wi-Fi laptop"
        assert await stocked.found(words, sort=Sort.PRICE_ASC, offset=1, limit=1) == ["Swift laptop"]
        beyond = await words.search(stocked.request(offset=50))
        assert (beyond.hits, beyond.total) == ((), 3)
        assert (await words.search(stocked.request(limit=0))).total == 3

    async def test_never_finds_what_another_tenant_sells(
        self, stocked: Shelf, words: PostgresTextSearch, make_tenant: Any
    ) -> None:
        elsewhere = Shelf(stocked.database, make_tenant())
        await elsewhere.category("computers")
        for query, filters in (("laptop", Filters()), ("", Filters(category_path=("computers",)))):
            assert (await words.search(elsewhere.request(query, filters=filters))).total == 0
        assert await words.autocomplete(elsewhere.tenant_id, "lap") == []

    async def test_completes_names(self, stocked: Shelf, words: PostgresTextSearch) -> None:
        found = await words.autocomplete(stocked.tenant_id, "lap", limit=1)
        assert [(each.text, each.kind) for each in found] == [("Swift laptop", CompletionKind.PRODUCT)]
        assert await words.autocomplete(stocked.tenant_id, "") == []

    async def test_refuses_what_no_engine_takes(self, shelf: Shelf, words: PostgresTextSearch) -> None:
        with pytest.raises(InvalidInput):
            await words.autocomplete(shelf.tenant_id, "x" * 10_000)
        with pytest.raises(InvalidInput):
            await words.suggest(shelf.tenant_id, "a\0")

    async def test_uses_the_index_of_words(self, stocked: Shelf, database: Database, database_url: str) -> None:
        """Under row-level security it could not: no operator of text search is leakproof."""
        await stocked.run(_NAILS, category=None, number=3_000)
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("ANALYZE catalog.product")
        asked, arguments = dynamic(select(_product.c.id).where(*_matching(stocked.tenant_id, "laptop")))
        plans = []
        for reads in (database.system_reads(), database.reads(stocked.tenant_id)):
            plans.append("\n".join(row[0] for row in await reads.text(f"EXPLAIN {asked}", *arguments)))
            await reads.close()
        assert ["ix_product_words" in plan for plan in plans] == [True, False]


class TestSearchWithoutAnEngine:
    @pytest.fixture
    async def engine(self, tmp_path: Path) -> AsyncIterator[EmbeddedSearchEngine]:
        engine = EmbeddedSearchEngine(tmp_path / "search")
        yield engine
        await engine.close()

    @pytest.fixture
    async def fallback(self, engine: EmbeddedSearchEngine, tmp_path: Path, words: Any) -> AsyncIterator[Any]:
        """As a serving process has it: reading only, while another process writes."""
        reading = EmbeddedSearchEngine(tmp_path / "search", writable=False)
        yield FallbackSearchEngine(reading, words, CircuitBreaker(failures_to_open=2, cool_down_seconds=0.2))
        await reading.close()

    async def test_goes_on_in_postgresql_and_comes_back(
        self, shelf: Shelf, engine: EmbeddedSearchEngine, fallback: FallbackSearchEngine, tmp_path: Path
    ) -> None:
        id_ = await shelf.put("Sextant", brand="Plath")
        document = SearchDocument(
            product_id=id_, tenant_id=shelf.tenant_id, name="Sextant", created_at=NOW, brand="Plath"
        )
        await engine.upsert([document])
        assert await shelf.found(fallback, "sextnt") == ["Sextant"]
        pointer = tmp_path / "search" / "current.json"
        whole = pointer.read_bytes()
        pointer.write_text("damaged")
        for _ in range(4):
            result = await fallback.search(shelf.request("sext"))
            assert ([hit.product_id for hit in result.hits], result.total) == ([id_], 1)
            assert 0 < result.processing_ms < 5_000
        assert await shelf.found(fallback, "sextnt") == []
        assert [each.text for each in await fallback.autocomplete(shelf.tenant_id, "sex")] == ["Sextant"]
        assert (await fallback.suggest(shelf.tenant_id, "sextnt")).related == ()
        assert (fallback.breaker.is_closed, (await fallback.status()).state) == (False, IndexState.NEEDS_REBUILD)
        pointer.write_bytes(whole)
        await asyncio.sleep(0.25)
        assert await shelf.found(fallback, "sextnt") == ["Sextant"]
        assert fallback.breaker.is_closed

    async def test_goes_on_when_the_folder_is_gone(
        self, shelf: Shelf, engine: EmbeddedSearchEngine, fallback: FallbackSearchEngine, tmp_path: Path
    ) -> None:
        id_ = await shelf.put("Astrolabe")
        document = SearchDocument(product_id=id_, tenant_id=shelf.tenant_id, name="Astrolabe", created_at=NOW)
        await engine.upsert([document])
        assert await shelf.found(fallback, "astrolabe") == ["Astrolabe"]
        shutil.rmtree(tmp_path / "search")
        assert await shelf.found(fallback, "astrolabe") == ["Astrolabe"]
        assert len(await fallback.autocomplete(shelf.tenant_id, "astro")) == 1


class TestDocuments:
    async def test_hold_what_the_public_sees(self, shelf: Shelf) -> None:
        top = await shelf.category("tools")
        leaf = await shelf.category("saws", top, '{"ru": {"name": "Пилы"}}')
        store = uuid7()
        id_ = await shelf.put(
            "Fret saw",
            brand="Olson",
            category=leaf,
            price=4_200,
            store=shelf.store,
            attributes='{"teeth": 12, "sizes": ["S", "M"], "folding": false, "nothing": [], "odd": {"a": 1}, "none": null}',
            translations='{"ru": {"name": "Лобзик"}, "uk": {"description": "…"}}',
        )
        hidden = await shelf.put("Hidden saw", state="draft")
        await shelf.run(_LEVEL, store=store, product=id_, on_hand=1, reserved=0)
        await shelf.run(_LEVEL, store=store, product=id_, on_hand=5, reserved=5)
        await shelf.run(_RATING, product=id_, five=1)
        assert await self._documents(shelf, [hidden, id_, uuid7()]) == [
            SearchDocument(
                product_id=id_,
                tenant_id=shelf.tenant_id,
                name="Fret saw",
                created_at=NOW,
                store_ids=tuple(sorted((store, shelf.store))),
                category="Saws",
                category_path=("tools", "saws"),
                brand="Olson",
                attributes={"teeth": 12, "sizes": ("S", "M"), "folding": False},
                price_minor=4_200,
                currency="CAD",
                in_stock=True,
                rating=13 / 3,
                names={"ru": "Лобзик"},
                categories={"ru": "Пилы"},
            )
        ]

    async def test_of_another_tenant_do_not_exist(self, shelf: Shelf, make_tenant: Any) -> None:
        id_ = await shelf.put("Plane")
        elsewhere = Shelf(shelf.database, make_tenant())
        assert await self._documents(elsewhere, [id_]) == []

    @pytest.mark.parametrize("number", [1, 500])
    async def test_take_three_statements_for_a_batch_of_any_size(self, shelf: Shelf, number: int) -> None:
        """One locks, one reads the products with all that is theirs, and one the categories of all of them."""
        leaf = await shelf.category("nails")
        async with shelf.database.session(shelf.tenant_id) as session:
            values = {"tenant": shelf.tenant_id, "category": leaf, "number": number}
            ids = list(await session.scalars(_NAILS, values))
        asked: list[str] = []
        async with shelf.database.session(shelf.tenant_id) as session:
            connection = (await (await session.connection()).get_raw_connection()).driver_connection
            assert connection is not None
            # A new connection asks once what the types are that it meets.
            await SqlSearchSource(session).documents(shelf.tenant_id, ids)
            connection.add_query_logger(lambda record: asked.append(record.query))
            documents = await SqlSearchSource(session).documents(shelf.tenant_id, ids)
            await asyncio.sleep(0)
            connection._query_loggers.clear()
        assert (len(documents), len(asked)) == (number, 3)

    async def _documents(self, shelf: Shelf, ids: list[UUID]) -> list[SearchDocument]:
        async with shelf.database.session(shelf.tenant_id) as session:
            return await SqlSearchSource(session).documents(shelf.tenant_id, ids)


class TestTheSearchLog:
    def search(self, tenant_id: UUID, query: str = "lamp") -> PerformedSearch:
        return PerformedSearch(
            tenant_id=tenant_id, user_id=None, query=query, hits=3, latency_ms=1.5, performed_at=datetime.now(UTC)
        )

    async def kept(self, database: Database, tenant_id: UUID) -> list[str]:
        reads = database.reads(tenant_id)
        try:
            rows = await reads.text("SELECT query FROM search.performed_search ORDER BY id")
            return [row.query for row in rows]
        finally:
            await reads.close()

    async def test_is_written_within_about_a_second(
        self, database: Database, tenant_id: UUID, make_tenant: Any
    ) -> None:
        other = make_tenant()
        async with BufferedSearchLog(database) as noted:
            noted.note(self.search(tenant_id))
            noted.note(self.search(other, "stool"))
            assert await self.kept(database, tenant_id) == []
            await asyncio.sleep(1.4)
            assert await self.kept(database, tenant_id) == ["lamp"]
            assert await self.kept(database, other) == ["stool"]

    async def test_is_written_at_the_end(self, database: Database, tenant_id: UUID) -> None:
        async with BufferedSearchLog(database) as noted:
            for number in range(3):
                noted.note(self.search(tenant_id, str(number)))
        assert await self.kept(database, tenant_id) == ["0", "1", "2"]

    async def test_is_dropped_where_the_database_is_down(self, tenant_id: UUID, tmp_path: Path) -> None:
        gone = Database(f"postgresql://nobody@/agora?host={tmp_path}")
        with structlog.testing.capture_logs() as logged:
            async with asyncio.timeout(5):
                noted = BufferedSearchLog(gone)
                noted.note(self.search(tenant_id))
                await noted.flush()
                noted.note(self.search(tenant_id))
                await noted.__aexit__()
        assert [(each["event"], each["searches"]) for each in logged] == [("search_log.dropped", 1)] * 2

    async def test_is_dropped_where_the_database_hangs(
        self, database: Database, tenant_id: UUID, database_url: str
    ) -> None:
        async with database.session(None) as blocking:
            await blocking.execute(text("LOCK search.performed_search IN ACCESS EXCLUSIVE MODE"))
            with structlog.testing.capture_logs() as logged:
                noted = BufferedSearchLog(database)
                noted.note(self.search(tenant_id))
                async with asyncio.timeout(5):
                    await noted.flush()
        dropped = [each["searches"] for each in logged if each["event"] == "search_log.dropped"]
        assert dropped == [1]

    async def test_drops_what_it_cannot_hold_and_says_how_much(
        self, database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("data.search.log.MAX_BUFFERED", 5)
        noted = BufferedSearchLog(database)
        for number in range(8):
            noted.note(self.search(tenant_id, str(number)))
        with structlog.testing.capture_logs() as logged:
            await noted.flush()
        assert [each["searches"] for each in logged] == [3]
        assert len(await self.kept(database, tenant_id)) == 5

    async def test_is_thrown_away_after_three_months(self, database: Database, tenant_id: UUID) -> None:
        noted = BufferedSearchLog(database)
        noted.note(replace(self.search(tenant_id, "old"), performed_at=NOW - timedelta(days=91)))
        noted.note(replace(self.search(tenant_id, "young"), performed_at=NOW - timedelta(days=89)))
        await noted.flush()
        async with database.session(tenant_id) as session:
            for table, old in expired(NOW):
                await session.execute(table.delete().where(old))
        assert await self.kept(database, tenant_id) == ["young"]
