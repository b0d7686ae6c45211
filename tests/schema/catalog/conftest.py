"""A shop to test through its graph: people of one tenant, and what they ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from data.database import Database, Reads
from data.transactions import SqlTransactions
from domain.kernel import NOBODY, Principal, uuid7
from resolvers.kernel import Context
from schema.catalog import subgraph
from schema.supergraph import Supergraph

CREATE = "mutation($input: CreateProductInput!) { createProduct(input: $input) { __typename ... on Product { id version slug sku state } ... on Error { code message } } }"
SHELF = frozenset({"catalog.write", "catalog.publish"})


@pytest.fixture(scope="session")
def graph() -> Supergraph:
    return Supergraph({"catalog": subgraph})


@dataclass
class Answer:
    data: Any
    errors: list[Any]
    statements: int


@dataclass
class Shop:
    """One tenant's catalogue with its admin, two sellers and the public."""

    graph: Supergraph
    database: Database
    tenant_id: UUID
    admin: Principal = field(init=False)
    seller: Principal = field(init=False)
    rival: Principal = field(init=False)

    def __post_init__(self) -> None:
        self.admin = self.person("catalog.*", "stores.any")
        self.seller = self.person(*SHELF)
        self.rival = self.person(*SHELF)

    def person(self, *permissions: str) -> Principal:
        return Principal(user_id=uuid7(), tenant_id=self.tenant_id, permissions=frozenset(permissions))

    async def ask(self, document: str, who: Principal = NOBODY, locale: str = "en", **variables: Any) -> Answer:
        reads: Reads = self.database.reads(self.tenant_id)
        context = Context(
            reads=reads,
            transactions=SqlTransactions(self.database),
            principal=who,
            tenant_id=self.tenant_id,
            locale=locale,
        )
        try:
            result = await self.graph.execute(document, variable_values=variables, context_value=context)
        finally:
            await context.forget()
        return Answer(result.data, result.errors or [], reads.statements)

    async def get(self, document: str, who: Principal = NOBODY, **variables: Any) -> Any:
        answer = await self.ask(document, who, **variables)
        assert answer.errors == []
        return answer.data

    async def do(self, mutation: str, fields: str, who: Principal | None = None, **given: Any) -> Any:
        kind = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ __typename {fields} "
            "... on Error { code message } } }"
        )
        return (await self.get(document, who or self.seller, input=given))[mutation]

    async def product(self, who: Principal | None = None, *, publish: bool = True, **given: Any) -> Any:
        values = {"name": "A mug", "sku": uuid7().hex, "price": {"amountMinor": 1250, "currency": "EUR"}, **given}
        made = await self.do("createProduct", "... on Product { id version slug sku state }", who, **values)
        assert made["__typename"] == "Product", made
        if publish:
            made = await self.do("publishProduct", "... on Product { id version slug sku state }", who, id=made["id"])
            assert made["state"] == "ACTIVE", made
        return made

    async def category(self, name: str, parent: Any = None, **given: Any) -> Any:
        values = {"name": name, **({"parentId": parent["id"]} if parent else {}), **given}
        made = await self.do("createCategory", "... on Category { id version slug depth }", self.admin, **values)
        assert made["__typename"] == "Category", made
        return made

    async def events(self, aggregate_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Read the log of one aggregate, in order."""
        async with self.database.session(self.tenant_id) as session:
            connection = await session.connection()
            rows = await connection.exec_driver_sql(
                "SELECT name, data FROM platform.event_log WHERE aggregate_id = $1 ORDER BY version",
                (UUID(aggregate_id),),
            )
            return [(row.name, row.data) for row in rows]


@pytest.fixture
def shop(graph: Supergraph, database: Database, tenant_id: UUID) -> Shop:
    return Shop(graph, database, tenant_id)


@pytest.fixture
def other_shop(graph: Supergraph, database: Database, make_tenant: Callable[..., UUID]) -> Shop:
    return Shop(graph, database, make_tenant())
