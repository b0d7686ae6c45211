"""What a quote uses up: discount codes, promotions, units of flash sales and points, none of them beyond its limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, event
from domain.money import Money


class UseKind(StrEnum):
    """What is used up."""

    CODE = "code"
    PROMOTION = "promotion"
    FLASH_SALE = "flash_sale"
    POINTS = "points"


@dataclass(frozen=True, slots=True)
class Use:
    """So much of one thing: `quantity` counts uses, units of a flash sale or points; `amount` is what it takes off.

    `id` is that of the code, the promotion, the item of a flash sale, or the loyalty program.
    """

    kind: UseKind
    id: UUID
    quantity: int
    amount: Money


@dataclass(eq=False)
class DiscountCodeExhausted(DomainError):
    """A code has been used as often as it may be."""

    discount_code: str
    template = "The discount code {discount_code} has been used up."


@dataclass(eq=False)
class DiscountCodeAlreadyUsed(DomainError):
    """A customer has used a code as often as one customer may."""

    discount_code: str
    template = "You have used the discount code {discount_code} already."


@dataclass(eq=False)
class FlashSaleSoldOut(DomainError):
    """Fewer units are left at the price of a flash sale than were asked for, in all or for one customer."""

    sku: str
    requested: int
    template = "The flash sale of {sku} has not {requested} units left."


@dataclass(eq=False)
class PromotionExhausted(DomainError):
    """A promotion has been used as often as it may be, in all or by one customer."""

    promotion_id: str
    template = "The promotion {promotion_id} has been used up."


@dataclass(eq=False)
class InsufficientPoints(DomainError):
    """More loyalty points were to be spent than there are."""

    requested: int
    available: int
    template = "{requested} points were to be spent; there are {available}."


@event("pricing.discount_applied")
@dataclass(frozen=True, kw_only=True)
class DiscountApplied(Event):
    order_id: UUID
    customer_id: UUID | None
    uses: Sequence[Use]


@event("pricing.discount_returned")
@dataclass(frozen=True, kw_only=True)
class DiscountReturned(Event):
    order_id: UUID
    source_ids: Sequence[UUID]


@event("flash_sale.sold_out")
@dataclass(frozen=True, kw_only=True)
class FlashSaleEmptied(Event):
    item_id: UUID
    sku: str


@event("loyalty.balance_changed")
@dataclass(frozen=True, kw_only=True)
class LoyaltyBalanceChanged(Event):
    user_id: UUID
    change: int
    balance: int
    kind: str
    order_id: UUID | None


@dataclass(eq=False, kw_only=True)
class Redemption(Aggregate):
    """What one order took or gave back, as the log tells it."""

    order_id: UUID

    def took(self, customer_id: UUID | None, uses: Sequence[Use]) -> None:
        """Note what the order used."""
        self.record(DiscountApplied(order_id=self.order_id, customer_id=customer_id, uses=tuple(uses)))

    def emptied(self, item_id: UUID, sku: str) -> None:
        """Note that the last unit of a flash sale went with this order."""
        self.record(FlashSaleEmptied(item_id=item_id, sku=sku))

    def changed_points(self, user_id: UUID, change: int, balance: int) -> None:
        """Note points that were spent with the order, or came back."""
        kind = "redeem" if change < 0 else "give_back"
        self.record(
            LoyaltyBalanceChanged(user_id=user_id, change=change, balance=balance, kind=kind, order_id=self.order_id)
        )

    def gave_back(self, source_ids: Sequence[UUID]) -> None:
        """Note what the order no longer uses."""
        self.record(DiscountReturned(order_id=self.order_id, source_ids=tuple(source_ids)))


class Allowances(Protocol):
    """Counts what orders use, so that limits hold however many buy at the same moment."""

    async def take(self, order_id: UUID, customer_id: UUID | None, uses: Sequence[Use], now: datetime) -> None:
        """Use up all of it for an order, or nothing; asked again for the same order, it changes nothing.

        The transaction must not go on after a refusal.

        Raises: DiscountCodeExhausted, DiscountCodeAlreadyUsed, FlashSaleSoldOut, PromotionExhausted,
            InsufficientPoints; InvalidStateTransition when the order has given its uses back.
        """
        ...

    async def give_back(self, order_id: UUID) -> None:
        """Undo exactly what `take` did for an order; asked again, or without anything taken, it changes nothing."""
        ...
