"""Reads that tolerate lag, on a real replica; everybody sees what he has changed himself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from data.bus import connect
from data.embedded import Engines
from data.replicas import Replicas
from domain.kernel import Principal, uuid7
from server.edge.documents import Documents
from server.edge.executor import Operation
from server.edge.limits import Limits
from server.feeds import GraphExecutor
from server.services import Services, open_services
from server.sessions import GraphSession
from server.settings import Settings
from server.staleness import tolerates_lag
from server.tenant import ResolvedTenant
from server.tokens import VerifiedToken
from tests.conftest import tenant_maker
from tests.replica import StreamingReplica

PRODUCTS = "query Products { products(first: 5) { nodes { id name } } }"
BOTH = "query Both { products(first: 5) { nodes { id } } me { id } }"
CREATE = """mutation Create($input: CreateProductInput!) { createProduct(input: $input) {
  __typename ... on Product { id } ... on Error { message } } }"""
PUBLISH = "mutation Publish($id: ID!) { publishProduct(input: {id: $id}) { __typename ... on Error { message } } }"
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def primary_url(new_database: Callable[[str], str]) -> str:
    return new_database("followed")


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory, engines: Engines, primary_url: str) -> Iterator[StreamingReplica]:
    with StreamingReplica(tmp_path_factory.mktemp("follower"), primary_url) as running:
        yield running


@pytest.fixture(scope="module")
async def services(
    tmp_path_factory: pytest.TempPathFactory, engines: Engines, primary_url: str, replica: StreamingReplica
) -> AsyncIterator[Services]:
    settings = Settings(
        home=tmp_path_factory.mktemp("agora"),
        database_url=primary_url,
        redis_url=engines.redis_url,
        redis_namespace="replicas",
        replica_urls=(replica.url,),
        replica_lag_seconds=1.0,
        secret_key="a secret that is long enough for tests",
    )
    async with open_services(settings, writes_index=True) as opened:
        yield opened


class Shop:
    """A caller of the graph as the edge knows him, and what happens to his operations."""

    def __init__(self, services: Services, executor: GraphExecutor, tenant_id: UUID) -> None:
        self.services = services
        self.replicas: Replicas = services.replicas  # type: ignore[assignment]
        self._executor = executor
        self._documents = Documents(executor, Limits())
        self._tenant = ResolvedTenant(
            id=tenant_id, code="t", currency="CAD", locale="en", timezone="UTC", languages=("en",)
        )
        self.tenant_id = tenant_id
        self.places: list[tuple[str, str]] = []
        self.replicas.observe = lambda place, reason: self.places.append((place, reason))

    def session(self) -> GraphSession:
        """Log somebody in who may do everything."""
        person = Principal(user_id=uuid7(), tenant_id=self.tenant_id, session_id=uuid7(), permissions=frozenset({"*"}))
        token = VerifiedToken(principal=person, issued_at=0.0, expires_at=2.0**40)
        return GraphSession(services=self.services, token=token, tenant=self._tenant, locale="en", address="127.0.0.1")

    def operation(self, text: str, variables: dict[str, Any] | None = None) -> Operation:
        prepared = self._documents.prepare(text).operation(None)
        return Operation(prepared.document, prepared.definition, prepared.name, variables or {}, {})

    async def ask(
        self, session: GraphSession, text: str, variables: dict[str, Any] | None = None, meanwhile: Any = None
    ) -> Any:
        operation = self.operation(text, variables)
        async with session.context(operation, "test") as context:
            if meanwhile is not None:
                await meanwhile(context)
            result = await self._executor.execute(operation, context)
        assert not result.errors
        return result.data

    async def sell(self, session: GraphSession, name: str) -> str:
        price = {"amountMinor": 100, "currency": "CAD"}
        made = await self.ask(session, CREATE, {"input": {"name": name, "sku": name, "price": price}})
        await self.ask(session, PUBLISH, {"id": made["createProduct"]["id"]})
        return str(made["createProduct"]["id"])

    async def near(self, *, lagging: bool = False) -> None:
        """Wait until the replica is, or is not, near enough to be asked."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            (replica,) = self.replicas.all
            while (replica.lag_seconds > self.replicas.limit_seconds) is not lagging:  # noqa: ASYNC110 — it is watched by polling.
                await asyncio.sleep(0.02)

    async def caught_up(self) -> None:
        # The place of something written now lies behind everything that was committed before.
        written = "SELECT (pg_logical_emit_message(false, 'test', 'now', true) - '0/0'::pg_lsn)::bigint"
        with psycopg.connect(self.services.database.url, autocommit=True) as connection:
            ((place,),) = connection.execute(written).fetchall()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.replicas.all[0].serves(place, self.replicas.limit_seconds):  # noqa: ASYNC110 — see `near`.
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def executor() -> GraphExecutor:
    from schema.graph import build

    return GraphExecutor(build())


@pytest.fixture
async def shop(services: Services, executor: GraphExecutor, primary_url: str) -> Shop:
    made = Shop(services, executor, tenant_maker(primary_url)())
    await made.near()
    return made


def names(answer: Any) -> list[str]:
    return [each["name"] for each in answer["products"]["nodes"]]


class TestAnOperation:
    @pytest.mark.parametrize(
        ("text", "tolerates"),
        [
            (PRODUCTS, True),
            (BOTH, False),
            ("{ __typename products(first: 1) { nodes { id } } }", True),
            ("{ __typename }", False),
            ("query A { ...F } fragment F on Query { products(first: 1) { nodes { id } } me { id } }", False),
            ("query A { ... on Query { products(first: 1) { nodes { id } } } }", True),
            (CREATE, False),
        ],
    )
    def test_tolerates_lag_where_all_its_root_fields_say_so(self, shop: Shop, text: str, tolerates: bool) -> None:
        assert tolerates_lag(shop.operation(text)) is tolerates


class TestReadsThatTolerateLag:
    async def test_go_to_the_replica_and_other_reads_and_changes_never_do(
        self, shop: Shop, replica: StreamingReplica
    ) -> None:
        seller = shop.session()
        await shop.sell(seller, "Lamp")
        await shop.caught_up()
        asked = shop.replicas.all[0].asked
        assert names(await shop.ask(shop.session(), PRODUCTS)) == ["Lamp"]
        assert shop.replicas.all[0].asked == asked + 1
        assert replica.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agora replica reads'") > 0
        before = replica.ask("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = 'followed'")
        shop.places.clear()
        await shop.ask(shop.session(), BOTH)
        await shop.sell(seller, "Chair")
        assert shop.places == []
        assert before is not None

    async def test_cannot_change_anything_there(self, shop: Shop, replica: StreamingReplica) -> None:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            replica.ask("UPDATE tenancy.tenant SET name = 'x'")

    async def test_show_the_own_tenants_rows_only(self, shop: Shop, primary_url: str) -> None:
        other = Shop(shop.services, shop._executor, tenant_maker(primary_url)())
        await other.sell(other.session(), "Foreign")
        await other.caught_up()
        other.places.clear()
        shop.replicas.observe = lambda place, reason: shop.places.append((place, reason))
        assert names(await shop.ask(shop.session(), PRODUCTS)) == []
        assert shop.places == [("replica", "")]


class TestWhoHasJustChangedSomething:
    async def test_reads_on_the_primary_until_the_replica_has_it(self, shop: Shop, replica: StreamingReplica) -> None:
        seller = shop.session()
        await shop.caught_up()
        shop.replicas.limit_seconds = 1_000.0
        replica.pause()
        try:
            await shop.sell(seller, "Vase")
            assert names(await shop.ask(seller, PRODUCTS)) == ["Vase"]
            assert names(await shop.ask(shop.session(), PRODUCTS)) == []
            assert shop.places == [("primary", "own change"), ("replica", "")]
        finally:
            shop.replicas.limit_seconds = 1.0
            replica.resume()
        await shop.caught_up()
        assert names(await shop.ask(seller, PRODUCTS)) == ["Vase"]
        assert shop.places[-1] == ("replica", "")

    async def test_does_so_in_every_process(self, shop: Shop, engines: Engines, replica: StreamingReplica) -> None:
        seller = shop.session()
        await shop.sell(seller, "Rug")
        async with connect(engines.redis_url) as redis:
            assert int(await redis.get(f"replicas:wrote:{{{seller.principal}}}")) > 0


class TestAReplicaTooFarBehind:
    async def test_is_left_out_and_asked_again_when_it_has_caught_up(
        self, shop: Shop, replica: StreamingReplica
    ) -> None:
        await shop.caught_up()
        replica.pause()
        try:
            await shop.sell(shop.session(), "Clock")
            await shop.near(lagging=True)
            assert names(await shop.ask(shop.session(), PRODUCTS)) == ["Clock"]
            assert shop.places == [("primary", "lag")]
        finally:
            replica.resume()
        await shop.near()
        await shop.caught_up()
        await shop.ask(shop.session(), PRODUCTS)
        assert shop.places[-1] == ("replica", "")

    async def test_is_not_taken_for_behind_because_nothing_happens(self, shop: Shop) -> None:
        await shop.caught_up()
        assert shop.replicas.all[0].lag_seconds == 0.0


class TestAReplicaThatIsLost:
    async def test_fails_no_operation_not_even_one_that_is_under_way(
        self, shop: Shop, replica: StreamingReplica
    ) -> None:
        await shop.sell(shop.session(), "Stool")
        await shop.caught_up()

        async def kill(context: Any) -> None:
            # Its snapshot is open, and half of the answer could be read.
            assert await context.reads.text("SELECT pg_is_in_recovery() AS follows")
            await asyncio.to_thread(replica.kill)

        assert names(await shop.ask(shop.session(), PRODUCTS, meanwhile=kill)) == ["Stool"]
        assert shop.places == [("replica", "")]
        await shop.near(lagging=True)
        assert names(await shop.ask(shop.session(), PRODUCTS)) == ["Stool"]
        assert shop.places[-1] == ("primary", "lag")
        await asyncio.to_thread(replica.start)
        await shop.near()
        await shop.caught_up()
        assert names(await shop.ask(shop.session(), PRODUCTS)) == ["Stool"]
        assert shop.places[-1] == ("replica", "")
