"""What an order is, and how what happens to it changes it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from domain.kernel import Event, EventSourced, Work
from domain.money import Money
from domain.orders.drafts import PERSONAL, DeliveryAddress, OrderLine, SubOrder
from domain.orders.events import (
    OrderCancelled,
    OrderCompleted,
    OrderFact,
    OrderMoved,
    OrderPaymentFact,
    OrderPaymentReceived,
    OrderPlaced,
    OrderRefunded,
    OrderRefundReturned,
    OrderReturned,
    ReturnRejected,
    ReturnRequested,
    SubOrderMoved,
)
from domain.orders.returns import Return, Returns, ReturnState
from domain.orders.states import (
    PAID_ON_RECEIPT,
    CancelReason,
    DeliveryMethod,
    OrderState,
    OrderType,
    PaymentStatus,
)

F = TypeVar("F", bound=OrderFact)
RANK = {state: rank for rank, state in enumerate(OrderState)}
"""How far a state is on the way of an order."""

_DATED = frozenset(
    {
        OrderState.CONFIRMED,
        OrderState.SHIPPED,
        OrderState.DELIVERED,
        OrderState.COMPLETED,
        OrderState.CANCELLED,
    }
)


@dataclass(eq=False, kw_only=True)
class OrderRecord(EventSourced):
    """An order and its parts by seller; amounts are in minor units of its currency.

    `state` is that of the slowest part, and later says what came back.
    """

    person: ClassVar[str] = "customer_id"
    personal: ClassVar[frozenset[str]] = PERSONAL

    order_number: str = ""
    cart_id: UUID | None = None
    customer_id: UUID | None = None
    guest_email: str | None = None
    order_type: OrderType = OrderType.ONLINE
    state: OrderState = OrderState.DRAFT
    payment_status: PaymentStatus = PaymentStatus.PENDING
    payment_method: str = ""
    payment_id: UUID | None = None
    currency: str = ""
    subtotal_minor: int = 0
    discount_minor: int = 0
    tax_minor: int = 0
    delivery_fee_minor: int = 0
    total_minor: int = 0
    paid_minor: int = 0
    refunded_minor: int = 0
    tax_inclusive: bool = False
    delivery_method: DeliveryMethod = DeliveryMethod.DELIVERY
    address: DeliveryAddress | None = None
    tracking_number: str | None = None
    codes: tuple[str, ...] = ()
    notes: str | None = None
    live_session_id: UUID | None = None
    cancel_reason: CancelReason | None = None
    lines: tuple[OrderLine, ...] = ()
    sub_orders: tuple[SubOrder, ...] = ()
    returns: tuple[Return, ...] = ()
    refund_ids: tuple[UUID, ...] = ()
    placed_at: datetime | None = None
    confirmed_at: datetime | None = None
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def number(self) -> str:
        return self.order_number

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)

    @property
    def refundable(self) -> Money:
        return Money(self.paid_minor - self.refunded_minor, self.currency)

    @property
    def store_ids(self) -> list[UUID]:
        return sorted({part.store_id for part in self.sub_orders})

    @property
    def seller_ids(self) -> list[UUID]:
        return sorted({part.seller_id for part in self.sub_orders})

    @property
    def has_open_returns(self) -> bool:
        return any(each.state is ReturnState.REQUESTED for each in self.returns)

    @property
    def awaits_completion(self) -> bool:
        """Whether all of it was delivered, and some of it is still with a buyer who may send it back."""
        return self.completed_at is None and self.state in {OrderState.DELIVERED, OrderState.PARTIALLY_RETURNED}

    @property
    def must_be_paid_first(self) -> bool:
        return self.total_minor > 0 and self.payment_method not in PAID_ON_RECEIPT

    def returned_units(self, line_id: UUID) -> int:
        """Give how many units of a line came back."""
        return self._returns.returned(line_id)

    def apply(self, fact: Event) -> None:
        """Change the state as the event says."""
        match fact:
            case OrderPlaced():
                self._begin(fact)
            case OrderReturned() | ReturnRequested() | ReturnRejected():
                self.returns = self._returns.after(fact)
            case SubOrderMoved():
                self._move_parts(fact.part_state, {fact.sub_order_id})
                self.tracking_number = fact.tracking_number or self.tracking_number
            case OrderCompleted():
                self.completed_at = fact.at
                self._move_parts(OrderState.COMPLETED, {part.id for part in self.sub_orders})
            case OrderMoved():
                self.tracking_number = fact.tracking_number or self.tracking_number
            case OrderCancelled():
                self.cancel_reason = fact.reason
            case OrderPaymentFact():
                self._apply_payment(fact)
            case OrderRefunded() | OrderRefundReturned():
                self._apply_refund(fact)
        if isinstance(fact, OrderFact) and fact.state is not None:
            self._enter(fact.state, fact.at)

    def _begin(self, fact: OrderPlaced) -> None:
        draft = fact.draft
        self.id, self.tenant_id, self.placed_at = fact.order_id, fact.tenant_id, fact.at
        self.order_number = draft.number
        for name in ("subtotal", "discount", "tax", "delivery_fee", "total"):
            setattr(self, f"{name}_minor", getattr(draft, name).amount_minor)
        for name in _AS_AGREED:
            setattr(self, name, getattr(draft, name))
        self.sub_orders = fact.sub_orders

    def _enter(self, state: OrderState, at: datetime) -> None:
        self.state = state
        if state in _DATED:
            setattr(self, f"{state}_at", at)
        if state not in {OrderState.RETURNED, OrderState.PARTIALLY_RETURNED}:
            self._move_parts(state, {part.id for part in self.sub_orders if RANK[part.state] < RANK[state]})

    def _move_parts(self, state: OrderState, parts: Collection[UUID]) -> None:
        self.sub_orders = tuple(replace(each, state=state) if each.id in parts else each for each in self.sub_orders)

    def _apply_payment(self, fact: OrderPaymentFact) -> None:
        self.payment_id, self.payment_status = fact.payment_id, fact.payment_status
        if isinstance(fact, OrderPaymentReceived):
            self.paid_minor, self.paid_at = fact.amount_minor, fact.at

    def _apply_refund(self, fact: OrderRefunded | OrderRefundReturned) -> None:
        self.refunded_minor, self.payment_status = fact.refunded_minor, fact.payment_status
        others = tuple(each for each in self.refund_ids if each != fact.refund_id)
        self.refund_ids = (*others, fact.refund_id) if isinstance(fact, OrderRefunded) else others

    def _fact(self, kind: type[F], work: Work, **details: Any) -> F:
        return kind(order_id=self.id, number=self.order_number, customer_id=self.customer_id, at=work.now, **details)

    @property
    def _returns(self) -> Returns:
        return Returns(self.lines, self.returns)


_AS_AGREED = (
    "cart_id",
    "customer_id",
    "guest_email",
    "order_type",
    "payment_method",
    "currency",
    "tax_inclusive",
    "delivery_method",
    "address",
    "codes",
    "notes",
    "live_session_id",
    "lines",
)
