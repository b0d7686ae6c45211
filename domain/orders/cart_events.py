"""What happens to carts."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import Event, event
from domain.orders.cart_checkout import CheckoutStep


@event("cart.created")
@dataclass(frozen=True, kw_only=True)
class CartCreated(Event):
    cart_id: UUID
    customer_id: UUID | None


@event("cart.checkout_changed")
@dataclass(frozen=True, kw_only=True)
class CartCheckoutChanged(Event):
    """A step towards the order; what was settled by it is not told."""

    cart_id: UUID
    customer_id: UUID | None
    step: CheckoutStep


@dataclass(frozen=True, kw_only=True)
class CartLineFact(Event):
    """What every event about one line says; `quantity` is how many units the line has after it."""

    cart_id: UUID
    customer_id: UUID | None
    line_id: UUID
    product_id: UUID
    sku: str
    quantity: int


@event("cart.item_added")
@dataclass(frozen=True, kw_only=True)
class CartItemAdded(CartLineFact):
    price_minor: int
    currency: str


@event("cart.quantity_changed")
@dataclass(frozen=True, kw_only=True)
class CartQuantityChanged(CartLineFact):
    """A line has more units than before, or fewer."""


@event("cart.item_removed")
@dataclass(frozen=True, kw_only=True)
class CartItemRemoved(CartLineFact):
    """A line went, with all its units."""


@event("cart.cleared")
@dataclass(frozen=True, kw_only=True)
class CartCleared(Event):
    cart_id: UUID
    customer_id: UUID | None


@event("cart.code_applied")
@dataclass(frozen=True, kw_only=True)
class CartCodeApplied(Event):
    cart_id: UUID
    code: str


@event("cart.code_removed")
@dataclass(frozen=True, kw_only=True)
class CartCodeRemoved(Event):
    cart_id: UUID
    code: str


@event("cart.shared")
@dataclass(frozen=True, kw_only=True)
class CartShared(Event):
    cart_id: UUID
    share_id: UUID
    access: str


@event("cart.merged")
@dataclass(frozen=True, kw_only=True)
class CartMerged(Event):
    cart_id: UUID
    into: UUID
    customer_id: UUID | None


@event("cart.abandoned")
@dataclass(frozen=True, kw_only=True)
class CartAbandoned(Event):
    cart_id: UUID
    customer_id: UUID | None
    units: int
    subtotal_minor: int
    currency: str


@event("cart.recovered")
@dataclass(frozen=True, kw_only=True)
class CartRecovered(Event):
    cart_id: UUID
    customer_id: UUID | None


@event("cart.converted")
@dataclass(frozen=True, kw_only=True)
class CartConverted(Event):
    cart_id: UUID
    customer_id: UUID | None
    order_id: UUID


@event("cart.reopened")
@dataclass(frozen=True, kw_only=True)
class CartReopened(Event):
    cart_id: UUID
    customer_id: UUID | None
    order_id: UUID
