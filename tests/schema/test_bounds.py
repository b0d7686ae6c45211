"""Every statement about tenants' tables that the graph sends says itself of which tenant: a distributed database asks one node then."""

import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import sqlglot
from sqlglot import exp

from data.bus import connect
from domain.discovery import SearchLog
from domain.kernel import uuid7
from server.services import open_services
from server.settings import Settings
from tests.data.test_keys import DISTRIBUTED
from tests.schema.documents import document, root_fields
from tests.schema.marketplace import furnished
from tests.schema.recipes import filled, keys_in, ways

MENTIONED = re.compile("|".join(rf"\b{name.replace('.', chr(92) + '.')}\b" for name in DISTRIBUTED))


@pytest.fixture(scope="module")
async def sent(engines: Any, supergraph: Any, make_tenant: Any, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What is sent within a tenant while a marketplace is made and every root field is called once, each text once."""
    heard: set[str] = set()
    original = asyncpg.connect

    async def listening(*arguments: Any, **options: Any) -> Any:
        connection = await original(*arguments, **options)
        as_platform = False

        def hear(record: Any) -> None:
            nonlocal as_platform
            if "BEGIN" in record.query or "COMMIT" in record.query:
                as_platform = "agora_system" in record.query
            elif not as_platform and MENTIONED.search(record.query.replace('"', "")):
                heard.add(record.query)

        connection.add_query_logger(hear)
        return connection

    settings = Settings(
        home=tmp_path_factory.mktemp("agora"),
        database_url=engines.database_url,
        redis_url=engines.redis_url,
        redis_namespace="bounds",
        secret_key="a secret that is long enough for tests",
        telegram_bot_token="1234:a token that only the bot's owner has",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg, "connect", listening)
        async with open_services(settings, writes_index=True) as services, connect(engines.redis_url):
            code = f"bounds-{uuid7().hex[-8:]}"
            market = await furnished(supergraph, services, make_tenant(code=code), code)
            for name in root_fields("Query", "Mutation"):
                for recipe in ways(name):
                    arguments = filled(recipe, {path: market.keys[key] for path, key in keys_in(recipe).items()})
                    await market.ask(document(name, arguments, depth=2), arguments)
            await services.by_port[SearchLog].flush()
    return heard


def unbounded(text: str) -> Iterator[str]:
    """Give the tenants' tables of a statement that no predicate bounds; rows that are inserted bring their tenant along."""
    for table in sqlglot.parse_one(text, dialect="postgres").find_all(exp.Table):
        if f"{table.db}.{table.name}" not in DISTRIBUTED:
            continue
        scope = table.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Insert)
        if scope is None or (isinstance(scope, exp.Insert) and scope.this.find(exp.Table) is table):
            continue
        if not any(_bounds(column, table.alias_or_name) for column in scope.find_all(exp.Column)):
            yield f"{table.db}.{table.name}"


def _bounds(column: exp.Column, table: str) -> bool:
    compared = column.find_ancestor(exp.EQ, exp.In) is not None
    condition = column.find_ancestor(exp.Where, exp.Join, exp.Merge) is not None
    return column.name == "tenant_id" and column.table in {table, ""} and compared and condition


async def test_every_statement_names_its_tenant(sent: set[str]) -> None:
    assert len(sent) > 300
    assert {text: tables for text in sorted(sent) if (tables := list(unbounded(text)))} == {}
