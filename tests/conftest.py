"""Real engines for all tests: one PostgreSQL and one Valkey per test process, a tenant of its own per test.

Who runs a worker for longer than a test does so on a database of its own: its relay and its handlers would take the
events of everybody else.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from data import snapshots
from data.database import Database
from data.embedded import Engines
from data.migrations import upgrade
from data.transactions import SqlTransactions
from domain.kernel import Principal, Work, uuid7

# A test that changes tables stops the loop that would end a lingering snapshot, and would wait for it for ever.
snapshots.LINGER_SECONDS = 0

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


PRISTINE = "pristine"


def _named(url: str, name: str) -> str:
    return url.replace("/agora?", f"/{name}?")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with Engines(tmp_path_factory.mktemp("home"), durable=False) as running:
        _execute(running.database_url, f"CREATE DATABASE {PRISTINE}")
        upgrade(_named(running.database_url, PRISTINE))
        upgrade(running.database_url)
        yield running


@pytest.fixture(scope="session")
def new_database(engines: Engines) -> Callable[[str], str]:
    """Make another migrated database on the same server, and give its address."""

    def make(name: str) -> str:
        _execute(engines.database_url, f"CREATE DATABASE {name} TEMPLATE {PRISTINE}")
        return _named(engines.database_url, name)

    return make


@pytest.fixture(scope="session")
def database_url(engines: Engines) -> str:
    return engines.database_url


@pytest.fixture(scope="session")
def redis_url(engines: Engines) -> str:
    return engines.redis_url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    import data.tables  # noqa: F401 — maps every aggregate and registers every port.

    async with Database(database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def make_tenant(database_url: str) -> Callable[..., UUID]:
    return tenant_maker(database_url)


def tenant_maker(database_url: str) -> Callable[..., UUID]:
    """Insert a tenant as the owner of the tables would; tests are isolated from each other by their tenants."""
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)

    def make(status: str = "active", code: str | None = None) -> UUID:
        tenant_id = uuid7()
        values = {
            "id": tenant_id,
            "tenant_id": tenant_id,
            "version": 1,
            "code": code or f"t{tenant_id.hex}",
            "name": "A tenant",
            "status": status,
            "subscription_tier": "standard",
            "max_stores": 100,
            "currency": "CAD",
        }
        with engine.begin() as connection:
            if inspect(connection).has_table("tenant", schema="tenancy"):
                known = {column["name"] for column in inspect(connection).get_columns("tenant", schema="tenancy")}
                names = [name for name in values if name in known]
                columns, slots = ", ".join(names), ", ".join(f":{name}" for name in names)
                connection.execute(
                    text(f"INSERT INTO tenancy.tenant ({columns}) VALUES ({slots})"),
                    {name: values[name] for name in names},
                )
        return tenant_id

    return make


@pytest.fixture
def tenant_id(make_tenant: Callable[..., UUID]) -> UUID:
    return make_tenant()


@pytest.fixture
def admin(tenant_id: UUID) -> Principal:
    return Principal(user_id=uuid7(), tenant_id=tenant_id, roles=frozenset({"admin"}), permissions=frozenset({"*"}))


@pytest.fixture
def work(tenant_id: UUID, admin: Principal) -> Work:
    return Work(tenant_id=tenant_id, actor=admin, now=NOW, correlation_id="test")


@pytest.fixture
def transactions(database: Database) -> SqlTransactions:
    return SqlTransactions(database)
