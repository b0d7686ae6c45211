"""What carts are made of: goods, lines and shares, the states of a cart, and what it refuses."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from domain.kernel import DomainError, InvalidInput, Transitions, uuid7
from domain.money import Money

MAX_LINES = 100
MAX_UNITS = 999
MAX_CODES = 5
MAX_CODE = 64
LIFETIME = timedelta(days=7)
ABANDONED_AFTER = timedelta(hours=24)
TOKEN_BYTES = 32
SHARE_PREFIX = "share_"


@dataclass(eq=False)
class CartFull(DomainError):
    """A cart has as many different goods as it may have."""

    cart_id: str
    limit: int
    template = "Cart {cart_id} already has {limit} different goods."


@dataclass(eq=False)
class EmptyCart(DomainError):
    """There is nothing in the cart that could be ordered."""

    cart_id: str
    template = "Cart {cart_id} is empty."


@dataclass(eq=False)
class CartExpired(DomainError):
    """Nothing has happened in the cart for longer than it is kept."""

    cart_id: str
    template = "Cart {cart_id} has expired; start another one."


@dataclass(eq=False)
class CartClosed(DomainError):
    """The cart has become an order, or a part of another cart."""

    cart_id: str
    state: str
    template = "Cart {cart_id} can no longer be changed: it is {state}."


@dataclass(eq=False)
class ReadOnlyShare(DomainError):
    """The cart was shared to be looked at, not to be changed."""

    cart_id: str
    template = "Cart {cart_id} was shared for viewing only."


class CartState(StrEnum):
    """Where a cart stands between its first line and its order."""

    ACTIVE = "active"
    ABANDONED = "abandoned"
    CONVERTED = "converted"
    MERGED = "merged"


_S = CartState
TRANSITIONS = Transitions(
    "Cart",
    _S.ACTIVE,
    {
        _S.ACTIVE: {_S.ABANDONED, _S.CONVERTED, _S.MERGED},
        _S.ABANDONED: {_S.ACTIVE},
        # Only when the order came to nothing.
        _S.CONVERTED: {_S.ACTIVE},
        _S.MERGED: (),
    },
)


class CartAccess(StrEnum):
    """What somebody may do with a cart that was shared."""

    VIEW = "view"
    EDIT = "edit"


@dataclass(frozen=True, kw_only=True)
class Goods:
    """What can be put into a cart: one SKU as it is on sale now, from the shelf of one store."""

    product_id: UUID
    variant_id: UUID | None
    sku: str
    seller_id: UUID
    store_id: UUID
    category_id: UUID | None
    brand: str
    name: str
    variant_name: str | None
    price: Money


@dataclass(frozen=True, kw_only=True)
class CartLine(Goods):
    """So many units of some goods; the price is the one that was seen last, for information only."""

    id: UUID = field(default_factory=uuid7)
    quantity: int

    @classmethod
    def of(cls, goods: Goods, quantity: int) -> Self:
        """Make a line of goods."""
        return cls(**{name: getattr(goods, name) for name in Goods.__dataclass_fields__}, quantity=quantity)

    @property
    def place(self) -> tuple[str, UUID]:
        """What makes two lines the same: the SKU and the store it comes from."""
        return self.sku, self.store_id

    @property
    def subtotal(self) -> Money:
        return self.price * self.quantity


@dataclass(frozen=True, kw_only=True)
class CartShare:
    """Somebody else's way into a cart; `token` is in clear only in the answer that made it."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    cart_id: UUID
    token_hash: bytes
    access: CartAccess
    expires_at: datetime
    token: str | None = None


def digest(token: str) -> bytes:
    """Give the form of a token that is kept: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def check_quantity(quantity: int) -> None:
    """Refuse a number of units that no line can have.

    Raises: InvalidInput.
    """
    if not 1 <= quantity <= MAX_UNITS:
        raise InvalidInput(field="quantity", reason=f"a line has between 1 and {MAX_UNITS} units")


def check_code(code: str) -> None:
    """Refuse a text that can be no discount code.

    Raises: InvalidInput.
    """
    if not code.strip() or len(code) > MAX_CODE:
        raise InvalidInput(field="code", reason=f"a code has between 1 and {MAX_CODE} letters")
