"""What happens to orders. An event that changes an order's state says so in `state`; amounts are in minor units."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.kernel import Event, event
from domain.orders.drafts import PERSONAL, OrderDraft, SubOrder
from domain.orders.states import CancelReason, OrderState, PaymentStatus


@dataclass(frozen=True, kw_only=True)
class OrderFact(Event):
    """What every event of an order says."""

    person: ClassVar[str] = "customer_id"
    remarks: ClassVar[frozenset[str]] = frozenset({"note"})

    order_id: UUID
    number: str
    customer_id: UUID | None
    at: datetime
    note: str | None = None
    state: OrderState | None = None


@event("order.created")
@dataclass(frozen=True, kw_only=True)
class OrderPlaced(OrderFact):
    """A buyer ordered; the draft is what was agreed to, for good."""

    personal: ClassVar[frozenset[str]] = frozenset(f"draft.{each}" for each in PERSONAL)

    tenant_id: UUID
    draft: OrderDraft
    sub_orders: tuple[SubOrder, ...]
    state: OrderState | None = OrderState.PENDING


@event("order.confirmed")
@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(OrderFact):
    state: OrderState | None = OrderState.CONFIRMED


@dataclass(frozen=True, kw_only=True)
class OrderPaymentFact(OrderFact):
    """What every event about an order's payment says."""

    payment_id: UUID
    payment_status: PaymentStatus


@event("order.payment_authorized")
@dataclass(frozen=True, kw_only=True)
class OrderPaymentAuthorized(OrderPaymentFact):
    """The money is set aside, and not yet taken."""


@event("order.payment_failed")
@dataclass(frozen=True, kw_only=True)
class OrderPaymentFailed(OrderPaymentFact):
    """The money could not be had."""


@event("order.payment_received")
@dataclass(frozen=True, kw_only=True)
class OrderPaymentReceived(OrderPaymentFact):
    """The whole amount has come; `late` when the order had been cancelled before, and it is owed back."""

    amount_minor: int
    currency: str
    late: bool = False


@event("order.refunded")
@dataclass(frozen=True, kw_only=True)
class OrderRefunded(OrderFact):
    refund_id: UUID
    amount_minor: int
    refunded_minor: int
    currency: str
    payment_status: PaymentStatus


@event("order.refund_returned")
@dataclass(frozen=True, kw_only=True)
class OrderRefundReturned(OrderFact):
    """Money that had been sent to the buyer came back; it is still owed."""

    refund_id: UUID
    amount_minor: int
    refunded_minor: int
    currency: str
    payment_status: PaymentStatus


@event("order.part_moved")
@dataclass(frozen=True, kw_only=True)
class SubOrderMoved(OrderFact):
    """One seller's part went ahead of the others; the order itself stays where its slowest part is."""

    sub_order_id: UUID
    seller_id: UUID
    store_id: UUID
    part_state: OrderState
    tracking_number: str | None = None


@dataclass(frozen=True, kw_only=True)
class OrderMoved(OrderFact):
    """All parts that were behind came to the state, and the order with them."""

    tracking_number: str | None = None


@event("order.processing")
@dataclass(frozen=True, kw_only=True)
class OrderProcessing(OrderMoved):
    state: OrderState | None = OrderState.PROCESSING


@event("order.ready")
@dataclass(frozen=True, kw_only=True)
class OrderReady(OrderMoved):
    state: OrderState | None = OrderState.READY


@event("order.shipped")
@dataclass(frozen=True, kw_only=True)
class OrderShipped(OrderMoved):
    state: OrderState | None = OrderState.SHIPPED


@event("order.delivered")
@dataclass(frozen=True, kw_only=True)
class OrderDelivered(OrderMoved):
    state: OrderState | None = OrderState.DELIVERED


@event("order.completed")
@dataclass(frozen=True, kw_only=True)
class OrderCompleted(OrderMoved):
    """The buyer has it and keeps it, but for what was given back or is owed (`refunded_minor`, part of the total)."""

    total_minor: int
    refunded_minor: int
    currency: str
    state: OrderState | None = OrderState.COMPLETED


@event("order.cancelled")
@dataclass(frozen=True, kw_only=True)
class OrderCancelled(OrderFact):
    """The order is off; `owed_minor` was paid and is to be given back."""

    reason: CancelReason
    owed_minor: int
    currency: str
    state: OrderState | None = OrderState.CANCELLED


@dataclass(frozen=True, kw_only=True)
class ReturnLine:
    """So many units of a line of the order."""

    line_id: UUID
    quantity: int


@event("order.return_requested")
@dataclass(frozen=True, kw_only=True)
class ReturnRequested(OrderFact):
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    return_id: UUID
    lines: tuple[ReturnLine, ...]
    reason: str


@event("order.return_rejected")
@dataclass(frozen=True, kw_only=True)
class ReturnRejected(OrderFact):
    return_id: UUID


@event("order.returned")
@dataclass(frozen=True, kw_only=True)
class OrderReturned(OrderFact):
    """Units came back and are accepted; `amount_minor` is what the buyer is owed for them."""

    return_id: UUID
    lines: tuple[ReturnLine, ...]
    amount_minor: int
    currency: str
