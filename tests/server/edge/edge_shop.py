"""A small schema for the edge's tests: every way in which a field can behave."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import strawberry
from starlette.applications import Starlette
from strawberry.schema_directive import Location

from server.edge.routes import Edge, create_edge, edge_middleware
from server.edge.sessions import anonymous_sessions
from server.edge.settings import EdgeSettings
from server.edge.strawberry_executor import StrawberryExecutor


@dataclass(eq=False)
class OutOfStock(Exception):
    sku: str
    code = "OUT_OF_STOCK"

    @property
    def message(self) -> str:
        return f"{self.sku} is out of stock."


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION], name="cost")
class Cost:
    weight: str


@strawberry.type
class Review:
    stars: int = 5


@strawberry.interface
class Named:
    name: str = "thing"


@strawberry.type
class Product(Named):
    name: str = "lamp"
    sku: str = "L-1"

    @strawberry.field
    def reviews(self, first: int = 10) -> list[Review]:
        return [Review()] * min(first, 3)


@strawberry.type
class Voucher(Named):
    name: str = "voucher"


@strawberry.type
class ProductConnection:
    nodes: list[Product]


class Watch:
    """What the tests look at to see that generators and resolvers were closed."""

    def __init__(self) -> None:
        self.open = 0
        self.cancelled = 0
        self.writes = 0


watch = Watch()


@strawberry.input
class Filter:
    name: str | None = None
    both: "list[Filter] | None" = None


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def products(self, first: int = 20, last: int | None = None) -> ProductConnection:
        return ProductConnection(nodes=[Product() for _ in range(min(first, 5))])

    @strawberry.field
    def things(self) -> list[Named]:
        return [Product(), Voucher()]

    @strawberry.field(directives=[Cost(weight="500")])
    def report(self) -> Review:
        return Review()

    @strawberry.field
    def matching(self, where: Filter) -> str:
        return where.name or ""

    @strawberry.field
    def crash(self) -> str:
        raise ZeroDivisionError("secret detail")

    @strawberry.field
    def refused(self) -> str | None:
        raise OutOfStock("L-1")

    @strawberry.field
    async def slow(self, seconds: float = 30) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            watch.cancelled += 1
            raise
        return "done"

    @strawberry.field
    def large(self, kilobytes: int = 64) -> str:
        return "x" * 1024 * kilobytes


@strawberry.type
class Mutation:
    @strawberry.mutation
    def write(self) -> int:
        watch.writes += 1
        return watch.writes


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3, pause: float = 0.0) -> AsyncGenerator[int, None]:
        watch.open += 1
        try:
            for number in range(1, to + 1):
                yield number
                await asyncio.sleep(pause)
        finally:
            watch.open -= 1

    @strawberry.subscription
    async def breaking(self) -> AsyncGenerator[int, None]:
        yield 1
        raise ZeroDivisionError("secret detail")

    @strawberry.subscription
    async def revoked(self) -> AsyncGenerator[int, None]:
        yield 1
        raise OutOfStock("L-1")

    @strawberry.subscription
    async def blobs(self, kilobytes: int = 64) -> AsyncGenerator[str, None]:
        watch.open += 1
        try:
            while True:
                yield "x" * 1024 * kilobytes
        finally:
            watch.open -= 1


def shop_schema() -> strawberry.Schema:
    return strawberry.Schema(Query, Mutation, Subscription, types=[Product, Voucher])


async def _context(connection: Any) -> dict[str, Any]:
    return {"connection": connection}


def shop_edge(settings: EdgeSettings | None = None, **parts: Any) -> Edge:
    parts.setdefault("sessions", anonymous_sessions(_context))
    return create_edge(StrawberryExecutor(shop_schema()), settings=settings, **parts)


def shop_app(settings: EdgeSettings | None = None, **parts: Any) -> Starlette:
    settings = settings or EdgeSettings()
    return Starlette(routes=shop_edge(settings, **parts).routes, middleware=edge_middleware(settings))
