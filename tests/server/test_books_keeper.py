"""The check of the books: what balances is silent, and what went around the rules is seen."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from data.database import Database
from data.vital_signs import imbalances, stuck_sagas, vital_signs
from domain.kernel import uuid7
from server.books_keeper import BooksKeeper
from server.metrics import Metrics
from tests.conftest import tenant_maker

BALANCED = {"postings": 0, "currencies": 0, "stock_levels": 0, "reservations": 0}


@pytest.fixture(scope="module")
def books_url(new_database: Callable[[str], str]) -> str:
    return new_database("books")


@pytest.fixture
async def books(books_url: str) -> AsyncIterator[Database]:
    async with Database(books_url) as opened:
        yield opened


def around_the_rules(url: str, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change rows as a person does who restores a backup: no trigger and no constraint is asked."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement, values in statements:
            connection.execute(statement, values)  # type: ignore[call-overload]


@pytest.fixture
def tenant(books_url: str) -> UUID:
    found: UUID = tenant_maker(books_url)(code=f"t-{uuid7().hex[-10:]}")
    return found


class TestTheBooks:
    async def test_balance_where_nothing_went_around_them(self, books: Database) -> None:
        metrics = Metrics()
        with capture_logs() as logs:
            await BooksKeeper(books, metrics).check()
        assert await imbalances(books) == BALANCED
        assert logs == []
        assert metrics.registry.get_sample_value("agora_books_checked_timestamp_seconds") > 1.7e9  # type: ignore[operator]

    async def test_are_seen_not_to_add_up(self, books: Database, books_url: str, tenant: UUID) -> None:
        entry = "INSERT INTO payments.entry (tenant_id, posting_id, account, currency, amount_minor) VALUES (%s, %s, 'cash', %s, %s)"
        level = """INSERT INTO inventory.stock_level
            (id, tenant_id, version, store_id, sku, product_id, on_hand, reserved, reorder_point, reorder_quantity)
            VALUES (%s, %s, 1, %s, %s, %s, 5, 3, 0, 0)"""
        posting, store, product = uuid7(), uuid7(), uuid7()
        around_the_rules(
            books_url,
            (entry, (tenant, posting, "CAD", 100)),
            (entry, (tenant, posting, "CAD", -100)),
            (entry, (tenant, posting, "EUR", 7)),
            (level, (uuid7(), tenant, store, "A", product)),
        )
        assert await imbalances(books) == {"postings": 1, "currencies": 1, "stock_levels": 0, "reservations": 1}
        metrics = Metrics()
        with capture_logs() as logs:
            await BooksKeeper(books, metrics).check()
        assert [(each["event"], each["book"], each["log_level"]) for each in logs] == [
            ("books.imbalance", "postings", "critical"),
            ("books.imbalance", "currencies", "critical"),
            ("books.imbalance", "reservations", "critical"),
        ]
        assert metrics.registry.get_sample_value("agora_books_imbalances", {"book": "reservations"}) == 1
        around_the_rules(
            books_url,
            ("DELETE FROM payments.entry WHERE tenant_id = %s", (tenant,)),
            ("DELETE FROM inventory.stock_level WHERE tenant_id = %s", (tenant,)),
        )
        assert await imbalances(books) == BALANCED


class TestVitalSigns:
    async def test_count_what_is_not_at_its_end(self, books: Database, books_url: str, tenant: UUID) -> None:
        saga = """INSERT INTO platform.saga (id, tenant_id, kind, key, request_hash, correlation_id, state, step, data,
            attempts, due_at, deadline, started_at) VALUES (%s, %s, 'checkout', %s, '', '', %s, 0, '{}', 0, now(), now(),
            now() - interval '90 s')"""
        states = ("running", "running", "waiting", "done", "stuck", "compensated")
        around_the_rules(books_url, *((saga, (uuid7(), tenant, str(n), state)) for n, state in enumerate(states)))
        signs = await vital_signs(books)
        assert signs.sagas == {"running": 2, "waiting": 1, "compensating": 0}
        assert signs.jobs == {"todo": 0, "doing": 0, "failed": 0}
        assert signs.parked == 0
        assert signs.oldest_saga_seconds >= 90
        assert await stuck_sagas(books) == 1
        metrics = Metrics()
        metrics.vital(signs)
        assert metrics.registry.get_sample_value("agora_sagas", {"state": "running"}) == 2
