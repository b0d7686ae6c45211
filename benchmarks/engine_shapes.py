"""CPU per operation of the breadth-first engine and of graphql-core, in memory, with the same document caches.

Run: python benchmarks/engine_shapes.py [seconds per measurement]
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import strawberry
from aiodataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache

from schema.supergraph import Subgraph, Supergraph, bulk


@dataclass(slots=True)
class Row:
    """A row of any table, read by attribute."""

    id: str
    name: str
    text: str
    count: int
    price: float
    active: bool
    other_id: str


def rows(kind: str, size: int) -> dict[str, Row]:
    """Make `size` rows, each pointing at one of ten others."""
    return {f"{n}": Row(f"{n}", f"{kind} {n}", f"About {n}", n, n / 4, n % 2 == 0, f"{n % 10}") for n in range(size)}


PRODUCTS, CATEGORIES, USERS = rows("Product", 200), rows("Category", 10), rows("User", 10)
VARIANTS = {key: [Row(f"{key}-{n}", f"Variant {n}", "", n, 1.5, True, key) for n in range(3)] for key in PRODUCTS}
REVIEWS = {
    key: [Row(f"{key}-{n}", "", f"Review {n}", n, 0.0, True, f"{n % 10}") for n in range(200)] for key in PRODUCTS
}


async def categories_by_id(_context: Any, keys: Sequence[str]) -> list[Row | None]:
    """Load categories."""
    return [CATEGORIES.get(key) for key in keys]


async def products_by_id(_context: Any, keys: Sequence[str]) -> list[Row | None]:
    """Load products."""
    return [PRODUCTS.get(key) for key in keys]


async def users_by_id(_context: Any, keys: Sequence[str]) -> list[Row | None]:
    """Load users."""
    return [USERS.get(key) for key in keys]


async def variants_of(_context: Any, keys: Sequence[str]) -> list[list[Row]]:
    """Load the variants of products."""
    return [VARIANTS[key] for key in keys]


async def ratings_of(_context: Any, keys: Sequence[str]) -> list[float]:
    """Load the average ratings of products."""
    return [4.5 for _ in keys]


async def reviews_of(_context: Any, keys: Sequence[str], *, first: int = 5) -> list[list[Row]]:
    """Load reviews of products or of users."""
    return [REVIEWS[key][:first] for key in keys]


@strawberry.type
class Category:
    """A category."""

    id: strawberry.ID
    name: str


@strawberry.type
class Variant:
    """A variant."""

    id: strawberry.ID
    name: str
    count: int
    price: float


@strawberry.federation.type(keys=["id"])
class Product:
    """A product, owned by the catalog."""

    __references__ = {"id": products_by_id}  # noqa: RUF012  # Read, never written.
    id: strawberry.ID
    name: str
    text: str
    count: int
    price: float
    active: bool
    category: Category | None = bulk(categories_by_id, key="other_id")
    variants: list[Variant] = bulk(variants_of, key="id")


@strawberry.type
class CatalogQuery:
    """The catalog's root fields."""

    @strawberry.field
    def products(self, first: int = 20) -> list[Product]:
        """List products."""
        return list(PRODUCTS.values())[:first]  # type: ignore[return-value]  # Rows are read as they are.


@strawberry.federation.type(keys=["id"], name="User")
class User:
    """A user, owned by accounts."""

    __references__ = {"id": users_by_id}  # noqa: RUF012  # Read, never written.
    id: strawberry.ID
    name: str


@strawberry.type
class AccountsQuery:
    """The accounts' root fields."""

    @strawberry.field
    def users(self, first: int = 10) -> list[User]:
        """List users."""
        return list(USERS.values())[:first]  # type: ignore[return-value]  # Rows are read as they are.


@strawberry.federation.type(keys=["id"], name="Product")
class ReviewedProduct:
    """What reviews know of a product."""

    id: strawberry.ID
    rating: float | None = bulk(ratings_of, key="id")
    reviews: list["Review"] = bulk(reviews_of, key="id")


@strawberry.federation.type(keys=["id"], name="User")
class Author:
    """What reviews know of a user."""

    id: strawberry.ID
    reviews: list["Review"] = bulk(reviews_of, key="id")


@strawberry.type
class Review:
    """A review."""

    id: strawberry.ID
    text: str

    @strawberry.field
    def author(self) -> Author:
        """Point at the author."""
        return Author(id=strawberry.ID(self.other_id))  # type: ignore[attr-defined]  # self is a row.

    @strawberry.field
    def product(self) -> ReviewedProduct:
        """Point at the product."""
        return ReviewedProduct(id=strawberry.ID(self.other_id))  # type: ignore[attr-defined]  # self is a row.


@strawberry.type
class ReviewsQuery:
    """The reviews' root fields."""

    ok: bool = True


def loading(name: str, key: str) -> Any:
    """Make the resolver that Strawberry's documentation recommends: one load of a DataLoader per object."""

    async def resolve(root: Any, info: strawberry.Info) -> Any:
        return await info.context[name].load(getattr(root, key))

    return resolve


@strawberry.type(name="Product")
class PlainProduct:
    """The product as one Strawberry type, without federation and without this package."""

    id: strawberry.ID
    name: str
    text: str
    count: int
    price: float
    active: bool
    category: Category | None = strawberry.field(resolver=loading("categories", "other_id"))
    variants: list[Variant] = strawberry.field(resolver=loading("variants", "id"))
    rating: float | None = strawberry.field(resolver=loading("ratings", "id"))
    reviews: list["PlainReview"] = strawberry.field(resolver=loading("reviews", "id"))


@strawberry.type(name="User")
class PlainUser:
    """The user as one Strawberry type."""

    id: strawberry.ID
    name: str
    reviews: list["PlainReview"] = strawberry.field(resolver=loading("reviews", "id"))


@strawberry.type(name="Review")
class PlainReview:
    """The review as one Strawberry type."""

    id: strawberry.ID
    text: str
    author: PlainUser = strawberry.field(resolver=loading("users", "other_id"))
    product: PlainProduct = strawberry.field(resolver=loading("products", "other_id"))


@strawberry.type(name="Query")
class PlainQuery:
    """All root fields."""

    @strawberry.field
    def products(self, first: int = 20) -> list[PlainProduct]:
        """List products."""
        return list(PRODUCTS.values())[:first]  # type: ignore[return-value]  # Rows are read as they are.

    @strawberry.field
    def users(self, first: int = 10) -> list[PlainUser]:
        """List users."""
        return list(USERS.values())[:first]  # type: ignore[return-value]  # Rows are read as they are.


def loaders() -> dict[str, DataLoader[Any, Any]]:
    """Make the DataLoaders of one operation."""
    functions = {
        "categories": categories_by_id,
        "products": products_by_id,
        "users": users_by_id,
        "variants": variants_of,
        "ratings": ratings_of,
        "reviews": reviews_of,
    }

    def loader(function: Any) -> DataLoader[Any, Any]:
        async def batch(keys: Sequence[str]) -> Any:
            return await function(None, keys)

        return DataLoader(batch)

    return {name: loader(function) for name, function in functions.items()}


LIST = """query List($first: Int!) { products(first: $first) {
  id name text count price active rating category { id name } variants { id name count price } } }"""
GATEWAY = """query Gateway { users(first: 10) { id name reviews { id text product { id name count
  reviews { id text author { id name } } } } } }"""


def fields(value: Any) -> int:
    """Count the fields of a result."""
    if isinstance(value, dict):
        return len(value) + sum(map(fields, value.values()))
    return sum(map(fields, value)) if isinstance(value, list) else 0


async def cpu_ms(schema: Any, query: str, variables: dict[str, Any], seconds: float) -> float:
    """Measure CPU milliseconds per operation: the best of five rounds, the document being hot."""
    await schema.execute(query, variable_values=variables, context_value=loaders())
    best = float("inf")
    for _ in range(5):
        started, count = time.process_time(), 0
        while time.process_time() - started < seconds / 5:
            await schema.execute(query, variable_values=variables, context_value=loaders())
            count += 1
        best = min(best, (time.process_time() - started) / count)
    return best * 1000


def schemas() -> dict[str, Any]:
    """Make the schemas to compare: all cache parsed and validated documents."""
    graph = Supergraph(
        {
            "accounts": Subgraph(AccountsQuery),
            "catalog": Subgraph(CatalogQuery),
            "reviews": Subgraph(ReviewsQuery, types=[ReviewedProduct, Author]),
        }
    )
    plain = strawberry.Schema(PlainQuery, extensions=[ParserCache, ValidationCache])
    return {"breadth first": graph, "plain Strawberry": plain, "depth first": graph.depth_first()}


async def main(seconds: float) -> None:
    """Print the table."""
    compared = schemas()
    shapes = [
        ("list of 20", LIST, {"first": 20}),
        ("list of 200", LIST, {"first": 200}),
        ("gateway", GATEWAY, {}),
    ]
    print("CPU ms per operation, and how many times the breadth-first one")
    print(f"{'shape':<12}{'fields':>7}" + "".join(f"{name:>24}" for name in compared) + f"{'per second':>12}")
    for name, query, variables in shapes:
        results = [
            await s.execute(query, variable_values=variables, context_value=loaders()) for s in compared.values()
        ]
        assert all(result.errors is None and result.data == results[0].data for result in results), results
        times = [await cpu_ms(schema, query, variables, seconds) for schema in compared.values()]
        cells = "".join(f"{ms:>15.3f}{f'x{ms / times[0]:.1f}':>9}" for ms in times)
        print(f"{name:<12}{fields(results[0].data):>7}{cells}{1000 / times[0]:>12.0f}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
