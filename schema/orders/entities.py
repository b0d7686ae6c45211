"""What other contexts own and orders point at, and amounts of money."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from domain import money as domain
from resolvers.kernel import Context
from schema.kernel import Money, computed
from schema.scalars import BigInt


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID


@strawberry.federation.type(keys=["id"])
class ProductVariant:
    id: UUID


@strawberry.federation.type(keys=["id"])
class Store:
    id: UUID


def money_of(amount: domain.Money | None) -> Money | None:
    """Give an amount of the domain as the graph shows it."""
    if amount is None:
        return None
    decimal: Decimal = amount.decimal
    return Money(amount=decimal, amount_minor=BigInt(amount.amount_minor), currency=amount.currency)


def amount(name: str, returns: Any = Money, **options: Any) -> Any:
    """Declare a field that shows an amount which stands in the parent's attribute of that name."""
    return computed(_reader(name), returns, **options)


def _reader(name: str) -> Callable[[Any, Context], Money | None]:
    def read(parent: Any, _context: Context) -> Money | None:
        return money_of(getattr(parent, name))

    return read
