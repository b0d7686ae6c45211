"""What a buyer settles step by step on the way to an order: it is kept with the cart, and is nothing but a plan."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self
from uuid import UUID

from domain.kernel import DomainError
from domain.orders.drafts import DeliveryAddress
from domain.orders.states import DeliveryMethod

_BRINGING = (
    "delivery_method", "shipping_method_ids", "slot_ids", "latitude", "longitude", "delivery_notes",
)  # fmt: skip


class CheckoutStep(StrEnum):
    """What a checkout needs to know."""

    LINES = "lines"
    DELIVERY = "delivery"
    ADDRESS = "address"
    CONTACT = "contact"
    PAYMENT = "payment"


@dataclass(eq=False)
class CheckoutIncomplete(DomainError):
    """The order cannot be placed before its buyer has settled more."""

    cart_id: str
    missing: tuple[CheckoutStep, ...]
    template = "The checkout of cart {cart_id} is not complete yet."


@dataclass(frozen=True, kw_only=True)
class CheckoutPlan:
    """What has been settled so far; nothing of it binds anybody before the order is placed.

    `payment_token` stands for a card at its provider, as with every payment.
    """

    delivery_method: DeliveryMethod | None = None
    shipping_method_ids: tuple[UUID, ...] = ()
    slot_ids: tuple[UUID, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    delivery_notes: str | None = None
    address: DeliveryAddress | None = None
    email: str | None = None
    notes: str | None = None
    payment_method: str | None = None
    payment_token: str = ""
    points: int = 0

    def missing(self, *, is_guest: bool) -> tuple[CheckoutStep, ...]:
        """Say what is not settled yet, in the order in which one would ask."""
        open_ = {
            CheckoutStep.DELIVERY: self.delivery_method is None,
            CheckoutStep.ADDRESS: self.address is None and self.delivery_method is not DeliveryMethod.PICKUP,
            CheckoutStep.CONTACT: is_guest and self.email is None,
            CheckoutStep.PAYMENT: self.payment_method is None,
        }
        return tuple(step for step, is_open in open_.items() if is_open)

    def over(self, earlier: Self) -> Self:
        """Give this plan with what it leaves open as an earlier one has it; delivery and payment each as a whole."""
        filled = {name: getattr(self, name) or getattr(earlier, name) for name in ("address", "email", "notes")}
        bringer = earlier if self.delivery_method is None else self
        brought = {name: getattr(bringer, name) for name in _BRINGING}
        payer = earlier if self.payment_method is None else self
        paid = {name: getattr(payer, name) for name in ("payment_method", "payment_token", "points")}
        return replace(self, **filled, **brought, **paid)


@dataclass(frozen=True, kw_only=True)
class CompleteCheckout:
    """Order what is in a cart, as it was settled step by step; the cart is the caller's own, or the one of a guest's token.

    With `expectedVersion` the order is refused where the cart has changed since, with `expectedTotalMinor` where it costs
    another sum by now.
    """

    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None
    expected_total_minor: int | None = None
