"""The demo marketplace: its goods and opinions, and loading them whole, once, and after an interruption."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.embedded import Engines
from data.indexing import all_documents
from domain.catalog import ProductType
from domain.identity.passwords import PasswordHasher
from domain.identity.users import Credentials, Users
from domain.kernel import SYSTEM, Work, uuid7
from domain.search import SearchRequest
from domain.tenancy import TenantReads
from server.demo import USERS_FILE, load, passwords
from server.demo.goods import tree
from server.demo.loading import MarketLoader
from server.demo.markets import MARKETS, STAFF, Market
from server.services import Services, open_services
from server.settings import Settings

TABLES = (
    "tenancy.store",
    "tenancy.assignment",
    'identity."user"',
    "identity.role_assignment",
    "catalog.category",
    "catalog.product",
    "catalog.product_variant",
    "catalog.product_version",
    "inventory.stock_level",
    "inventory.journal",
    "localization.supported_language",
    "localization.translation",
    "reviews.review",
    "reviews.product_rating",
    "reviews.wishlist_item",
    "live.studio",
    "live.session",
    "platform.event_log",
)


@pytest.fixture(scope="module")
def settings(
    engines: Engines, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("demo"),
        database_url=new_database("demo"),
        redis_url=engines.redis_url,
        redis_namespace="demo",
        secret_key="a secret that is long enough for tests",
    )


@pytest.fixture(scope="module")
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings, writes_index=True) as opened:
        yield opened


def small_market() -> Market:
    """Make a small market under a code of its own; it claims no host names, for other tests have them."""
    tenant = replace(MARKETS[0].tenant, code=f"d{uuid7().hex[-10:]}", hosts=())
    return replace(MARKETS[0], tenant=tenant, products=120, reviews=90, reviewers=10, roles=STAFF[:4])


@pytest.fixture(scope="module")
async def loaded(settings: Settings) -> Market:
    market = small_market()
    await load(settings, [market])
    return market


async def counts(services: Services, market: Market) -> dict[str, int]:
    tenant_id = await tenant_of(services, market)
    found = {}
    async with services.database.session(None) as session:
        for table in TABLES:
            counted = await session.scalar(
                text(f"SELECT count(*) FROM {table} WHERE tenant_id = :tenant"), {"tenant": tenant_id}
            )
            found[table] = int(counted or 0)
    return found


async def tenant_of(services: Services, market: Market) -> UUID:
    reads = services.database.system_reads()
    try:
        (row,) = await reads.port(TenantReads).by_code([market.code])
    finally:
        await reads.close()
    assert row is not None
    tenant_id: UUID = row.id
    return tenant_id


class Failing:
    """Transactions that stop working after some runs, as those of a killed process do."""

    def __init__(self, real: Any, runs: int) -> None:
        self._real = real
        self._left = runs

    async def run(self, handler: Any, command: Any, work: Work, **more: Any) -> Any:
        if self._left == 0:
            raise ConnectionError("killed")
        self._left -= 1
        return await self._real.run(handler, command, work, **more)


class TestGoods:
    def test_are_the_same_every_time(self) -> None:
        first, second = MARKETS[0].goods(), MARKETS[0].goods()
        shown = [(each.sku, each.content.name, each.content.price, each.content.attributes) for each in first]
        assert shown == [(each.sku, each.content.name, each.content.price, each.content.attributes) for each in second]

    def test_number_two_thousand_with_names_skus_and_gtins_of_their_own(self) -> None:
        for market in MARKETS:
            goods = market.goods()
            for values in ([each.content.name for each in goods], [each.content.gtin for each in goods]):
                assert len(set(values)) == market.products
            skus = [sku for each in goods for sku in {each.sku, *each.shelved_skus}]
            assert len(set(skus)) == len(skus)
        assert sum(market.products for market in MARKETS) == 2_000

    def test_are_of_every_kind_where_regulated_goods_are_sold(self) -> None:
        canadian, irish = (Counter(each.kind for each in market.goods()) for market in MARKETS)
        assert canadian == {ProductType.GENERAL: 1_232, ProductType.REGULATED: 112, ProductType.ACCESSORY: 56}
        assert irish == {ProductType.GENERAL: 600}

    def test_are_sold_in_the_currency_of_their_tenant(self) -> None:
        currencies = [
            {each.content.price.currency for each in market.goods() if each.content.price} for market in MARKETS
        ]
        assert currencies == [{"CAD"}, {"EUR"}]

    def test_hang_in_a_tree_of_three_levels_with_names_in_three_languages(self) -> None:
        branches = tree(regulated=True)
        assert max(each.path.count("/") for each in branches) == 2
        assert all(set(each.names) == {"ru", "fr"} for each in branches)
        assert len({each.slug for each in branches}) == len(branches) == 46


class TestOpinions:
    def test_come_once_from_a_reviewer_and_mostly_content(self) -> None:
        market = MARKETS[0]
        opinions = market.opinions(market.goods())
        assert len({(each.sku, each.reviewer) for each in opinions}) == len(opinions) == market.reviews
        stars = Counter(each.stars for each in opinions)
        assert stars[5] > stars[4] > stars[3] > stars[2] > stars[1] > 0

    def test_are_the_same_every_time(self) -> None:
        market = MARKETS[1]
        assert market.opinions(market.goods()) == market.opinions(market.goods())


class TestLoad:
    async def test_fills_a_marketplace(self, services: Services, loaded: Market) -> None:
        found = await counts(services, loaded)
        assert (
            found
            | {
                "tenancy.store": 3,
                "tenancy.assignment": 6,
                'identity."user"': 18,
                "catalog.category": 46,
                "catalog.product": 120,
                "catalog.product_version": 120,
                "catalog.product_variant": sum(len(each.content.variants) for each in loaded.goods()),
                "localization.supported_language": 3,
                "reviews.review": 90,
            }
            == found
        )

    async def test_does_nothing_the_second_time(self, settings: Settings, services: Services, loaded: Market) -> None:
        before = await counts(services, loaded)
        await load(settings, [loaded])
        assert await counts(services, loaded) == before

    @pytest.mark.parametrize("runs", [2, 8, 13, 19, 20, 21])
    async def test_completes_what_a_killed_load_left(
        self, settings: Settings, services: Services, loaded: Market, runs: int
    ) -> None:
        market = small_market()
        failing: Any = Failing(services.transactions, runs)
        with pytest.raises(ConnectionError):
            await MarketLoader(replace(services, transactions=failing), market, passwords(settings)).run()
        await load(settings, [market])
        assert await counts(services, market) == await counts(services, loaded)

    async def test_prints_credentials_that_work_and_differ_between_installations(
        self, settings: Settings, services: Services, loaded: Market
    ) -> None:
        lines = [line.split() for line in (settings.home / USERS_FILE).read_text().splitlines()]
        credentials = {email: password for _, tenant, email, password in lines if tenant == loaded.code}
        assert len(credentials) == len(loaded.staff()) == 8
        email = f"buyer@{loaded.code}.example"
        elsewhere = Settings(home=settings.home, secret_key="the secret of another installation")
        assert credentials[email] != passwords(elsewhere)(email)
        tenant_id = await tenant_of(services, loaded)
        work = Work(tenant_id=tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id="test")
        known = await services.transactions.run(_credentials, email, work)
        assert known is not None
        assert await services.by_port[PasswordHasher].verify(known.password_hash, credentials[email])

    async def test_keeps_the_credentials_to_their_owner(self, settings: Settings, loaded: Market) -> None:
        assert (settings.home / USERS_FILE).stat().st_mode & 0o777 == 0o600

    async def test_can_be_found_in_three_languages(self, services: Services, loaded: Market) -> None:
        tenant_id = await tenant_of(services, loaded)
        documents = [each async for each in all_documents(services.database) if each.tenant_id == tenant_id]
        await services.search.upsert(documents)
        for query in ("headphones", "наушники", "casques"):
            found = await services.search.search(SearchRequest(tenant_id=tenant_id, query=query))
            assert found.total >= 3


async def _credentials(email: str, users: Users) -> Credentials | None:
    return await users.credentials(email)
