"""The whole graph on real engines, executed in process as some principal of some tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from data.bus import RedisBus, connect
from data.embedded import Engines
from data.relay import Relay
from domain.kernel import NOBODY, Principal, uuid7
from resolvers.kernel import Context
from schema.graph import build
from server.services import Services, open_services
from server.settings import Settings
from tests.events import PATIENCE_SECONDS, running, skip_history


@pytest.fixture(scope="session")
def settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("agora"),
        database_url=engines.database_url,
        redis_url=engines.redis_url,
        redis_namespace="schema",
        secret_key="a secret that is long enough for tests",
        telegram_bot_token="1234:a token that only the bot's owner has",
    )


@pytest.fixture(scope="session")
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings, writes_index=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def supergraph() -> Any:
    return build()


@dataclass
class Answer:
    """What an operation answered, and how many selects it took (BEGIN and COMMIT not counted)."""

    data: Any
    errors: list[Any]
    statements: int

    @property
    def codes(self) -> list[str]:
        originals = [error.original_error for error in self.errors]
        return [getattr(error, "code", type(error).__name__) for error in originals]


Graph = Callable[..., Awaitable[Answer]]


@pytest.fixture
def graph(supergraph: Any, services: Services, tenant_id: UUID, admin: Principal) -> Graph:
    """Execute `graph(document, variables, principal=…, tenant=…)`; by default as the test's administrator."""

    async def execute(
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        principal: Principal | None = admin,
        tenant: UUID | None = tenant_id,
        locale: str = "en",
    ) -> Answer:
        reads = services.database.reads(tenant)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=principal or NOBODY,
            tenant_id=tenant,
            locale=locale,
            correlation_id=str(uuid7()),
        )
        try:
            result = await supergraph.execute(document, variable_values=variables, context_value=context)
        finally:
            await reads.close()
        return Answer(result.data, list(result.errors or ()), reads.statements)

    return execute


@dataclass(frozen=True)
class Goods:
    """A store with one product on sale that has one variant."""

    store: str
    product: str
    sku: str
    variant: str
    variant_sku: str


STORE = """mutation($input: CreateStoreInput!) {
  createStore(input: $input) { __typename ... on Store { id } ... on Error { message } } }"""
PRODUCT = """mutation($input: CreateProductInput!) {
  createProduct(input: $input) {
    __typename ... on Product { id sku variants { id sku } } ... on Error { message } } }"""
PUBLISH = """mutation($id: ID!) {
  publishProduct(input: {id: $id}) { __typename ... on Product { state } ... on Error { message } } }"""


@pytest.fixture
async def goods(graph: Graph) -> Goods:
    code = uuid7().hex[-12:]
    store = await graph(STORE, {"input": {"code": f"s-{code}", "name": "Corner", "provinceCode": "CA-ON"}})
    product = await graph(
        PRODUCT,
        {
            "input": {
                "name": "Mug",
                "sku": f"MUG-{code}",
                "price": {"amountMinor": 1250, "currency": "CAD"},
                "variants": [{"name": "Large", "sku": f"MUG-{code}-L"}],
            }
        },
    )
    made = product.data["createProduct"]
    assert made["__typename"] == "Product", made
    published = await graph(PUBLISH, {"id": made["id"]})
    assert published.data["publishProduct"] == {"__typename": "Product", "state": "ACTIVE"}
    variant = made["variants"][0]
    return Goods(store.data["createStore"]["id"], made["id"], made["sku"], variant["id"], variant["sku"])


@pytest.fixture
def suspend(database_url: str, tenant_id: UUID) -> Callable[[], None]:
    """Suspend the test's tenant behind everybody's back."""

    def apply() -> None:
        engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("UPDATE tenancy.tenant SET status = 'suspended' WHERE id = :id"), {"id": tenant_id})

    return apply


@pytest.fixture
async def relay(settings: Settings, services: Services) -> AsyncIterator[None]:
    """Carry what is committed to those who follow it, as a worker would."""
    async with connect(settings.redis_url) as redis:
        bus = RedisBus(redis, settings.redis_namespace)
        # What other tests wrote would have to be carried first, which takes longer than anybody waits here.
        await bus.begin(skip_history(settings.database_url))
        part = Relay(settings.database_url, bus, {})
        async with running(part.run):
            await asyncio.wait_for(part.leading.wait(), PATIENCE_SECONDS)
            yield
