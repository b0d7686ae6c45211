"""Where an order can stand, and what may follow."""

from enum import StrEnum

from domain.kernel import Transitions


class OrderState(StrEnum):
    """Where an order stands, and each of its parts."""

    DRAFT = "draft"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    PAID = "paid"
    PROCESSING = "processing"
    READY = "ready"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    PARTIALLY_RETURNED = "partially_returned"
    RETURNED = "returned"


class PaymentStatus(StrEnum):
    """Where the money of an order stands."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PAID = "paid"
    FAILED = "failed"
    PARTIAL_REFUND = "partial_refund"
    REFUNDED = "refunded"


class OrderType(StrEnum):
    """The channel through which an order came."""

    ONLINE = "online"
    IN_STORE = "in_store"
    KIOSK = "kiosk"
    PHONE = "phone"


class DeliveryMethod(StrEnum):
    """How goods reach the buyer."""

    DELIVERY = "delivery"
    PICKUP = "pickup"


class CancelReason(StrEnum):
    """Why an order was cancelled."""

    BUYER_REQUEST = "buyer_request"
    SELLER_REQUEST = "seller_request"
    STOCK_UNAVAILABLE = "stock_unavailable"
    PAYMENT_FAILED = "payment_failed"
    EXPIRED = "expired"
    FRAUD = "fraud"
    TRANSFER_NOT_RECEIVED = "transfer_not_received"


_S = OrderState
ORDER_STATES = Transitions(
    "Order",
    _S.DRAFT,
    {
        _S.DRAFT: {_S.PENDING, _S.CANCELLED},
        _S.PENDING: {_S.CONFIRMED, _S.CANCELLED},
        # What is paid for on receipt is packed before it is paid.
        _S.CONFIRMED: {_S.PAID, _S.PROCESSING, _S.CANCELLED},
        _S.PAID: {_S.PROCESSING, _S.CANCELLED},
        _S.PROCESSING: {_S.READY, _S.CANCELLED},
        _S.READY: {_S.SHIPPED, _S.COMPLETED},
        _S.SHIPPED: {_S.DELIVERED},
        _S.DELIVERED: {_S.COMPLETED, _S.PARTIALLY_RETURNED, _S.RETURNED},
        _S.COMPLETED: {_S.PARTIALLY_RETURNED, _S.RETURNED},
        _S.PARTIALLY_RETURNED: {_S.PARTIALLY_RETURNED, _S.RETURNED},
        _S.CANCELLED: (),
        _S.RETURNED: (),
    },
)

_P = PaymentStatus
PAYMENT_STATUSES = Transitions(
    "Payment of the order",
    _P.PENDING,
    {
        _P.PENDING: {_P.AUTHORIZED, _P.PAID, _P.FAILED},
        _P.AUTHORIZED: {_P.PAID, _P.FAILED},
        # A buyer whose card was declined may try another one.
        _P.FAILED: {_P.FAILED, _P.AUTHORIZED, _P.PAID},
        _P.PAID: {_P.PARTIAL_REFUND, _P.REFUNDED},
        # A refund that was sent may come back.
        _P.PARTIAL_REFUND: {_P.PARTIAL_REFUND, _P.REFUNDED, _P.PAID},
        _P.REFUNDED: {_P.PARTIAL_REFUND, _P.PAID},
    },
)

FULFILMENT = (_S.PROCESSING, _S.READY, _S.SHIPPED, _S.DELIVERED, _S.COMPLETED)
"""The states that people who pack and carry go through, in their order."""

WITH_THE_BUYER = frozenset({_S.DELIVERED, _S.COMPLETED, _S.PARTIALLY_RETURNED})
PAID_ON_RECEIPT = frozenset({"cash"})
