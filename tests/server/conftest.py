"""The application as it is served, with two tenants that trade, one that is suspended, and people in them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from data.embedded import Engines
from domain.identity.sessions import AccessTokens
from domain.kernel import Principal, uuid7
from schema.graph import build
from server.services import Services, open_services
from server.settings import Settings
from server.worker import run as run_worker
from tests.conftest import tenant_maker
from tests.schema.marketplace import Marketplace, furnished
from tests.server.application import Application, served


@pytest.fixture(scope="session")
def application_settings(
    engines: Engines, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("application"),
        database_url=new_database("application"),
        redis_url=engines.redis_url,
        redis_namespace="application",
        secret_key="a secret that is long enough for tests",
        telegram_bot_token="1234:a token that only the bot's owner has",
    )


@pytest.fixture(scope="session")
async def application(application_settings: Settings) -> AsyncIterator[Application]:
    with served(application_settings) as running:
        yield running
        await running.client.aclose()


@pytest.fixture(scope="session")
async def workshop(application_settings: Settings) -> AsyncIterator[Services]:
    """The services of another process on the same engines."""
    async with open_services(application_settings) as opened:
        yield opened


@pytest.fixture(scope="session")
async def worker(application_settings: Settings) -> AsyncIterator[None]:
    """The worker beside the application: what it does comes sooner or later."""
    running = asyncio.create_task(run_worker(application_settings))
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@dataclass
class Shop:
    """A tenant, the things in it, and a token of its administrator."""

    code: str
    host: str
    market: Marketplace
    token: str

    @property
    def keys(self) -> dict[str, str]:
        return self.market.keys


@pytest.fixture(scope="session")
async def open_shop(workshop: Services) -> Any:
    graph = build()
    database_url = workshop.database.url
    make_tenant = tenant_maker(database_url)
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)

    async def make(code: str) -> Shop:
        tenant_id: UUID = make_tenant(code=code)
        host = f"{code}.shop.test"
        with engine.begin() as connection:
            statement = "INSERT INTO tenancy.tenant_host (id, host, tenant_id) VALUES (:id, :host, :tenant_id)"
            connection.execute(text(statement), {"id": uuid7(), "host": host, "tenant_id": tenant_id})
        market = await furnished(graph, workshop, tenant_id, code)
        return Shop(code, host, market, token_of(workshop, market.admin))

    return make


def token_of(services: Services, principal: Principal) -> str:
    """Give a token of the kind that a login gives."""
    return services.by_port[AccessTokens].issue(principal, datetime.now(UTC)).token


@pytest.fixture(scope="session")
async def shop(open_shop: Any) -> Shop:
    made: Shop = await open_shop("harbour")
    return made


@pytest.fixture(scope="session")
async def other_shop(open_shop: Any) -> Shop:
    made: Shop = await open_shop("meadow")
    return made
