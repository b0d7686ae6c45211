"""What other contexts own and orders point at, and amounts of money."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import strawberry

from resolvers.kernel import Context
from schema.kernel import Money, computed, money_of


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID


@strawberry.federation.type(keys=["id"])
class ProductVariant:
    id: UUID


@strawberry.federation.type(keys=["id"])
class Store:
    id: UUID


def amount(name: str, returns: Any = Money, **options: Any) -> Any:
    """Declare a field that shows an amount which stands in the parent's attribute of that name."""
    return computed(_reader(name), returns, **options)


def _reader(name: str) -> Callable[[Any, Context], Money | None]:
    def read(parent: Any, _context: Context) -> Money | None:
        value = getattr(parent, name)
        return None if value is None else money_of(value)

    return read
