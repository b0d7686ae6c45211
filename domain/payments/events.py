"""What happens to payments, as others hear of it; amounts in minor units."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import Event, event


@event("payment.opened")
@dataclass(frozen=True, kw_only=True)
class PaymentOpened(Event):
    order_id: UUID
    amount_minor: int
    currency: str
    provider: str


@event("payment.authorized")
@dataclass(frozen=True, kw_only=True)
class PaymentAuthorized(Event):
    order_id: UUID
    amount_minor: int
    currency: str


@event("payment.processed")
@dataclass(frozen=True, kw_only=True)
class PaymentProcessed(Event):
    """The money is there; `late` says that nobody waited for it any more."""

    order_id: UUID
    user_id: UUID | None
    amount_minor: int
    fee_minor: int
    currency: str
    provider: str
    late: bool


@event("order.paid")
@dataclass(frozen=True, kw_only=True)
class OrderPaid(Event):
    order_id: UUID
    payment_id: UUID
    user_id: UUID | None
    amount_minor: int
    currency: str
    seller_ids: tuple[UUID, ...]


@event("payment.failed")
@dataclass(frozen=True, kw_only=True)
class PaymentFailed(Event):
    order_id: UUID
    user_id: UUID | None
    reason: str


@event("payment.voided")
@dataclass(frozen=True, kw_only=True)
class PaymentVoided(Event):
    order_id: UUID
    reason: str


@event("payment.review_requested")
@dataclass(frozen=True, kw_only=True)
class PaymentReviewRequested(Event):
    order_id: UUID
    score: int
    signals: tuple[str, ...]


@event("payment.reviewed")
@dataclass(frozen=True, kw_only=True)
class PaymentReviewed(Event):
    order_id: UUID
    approved: bool
    note: str | None


@event("payment.refunded")
@dataclass(frozen=True, kw_only=True)
class PaymentRefunded(Event):
    order_id: UUID
    refund_id: UUID
    amount_minor: int
    refunded_minor: int
    currency: str
    full: bool


@event("payment.mistrusted")
@dataclass(frozen=True, kw_only=True)
class PaymentMistrusted(Event):
    """A report about the payment was refused; what it said is kept for the audit."""

    order_id: UUID
    reported: str
    reason: str


@event("payment.overdue")
@dataclass(frozen=True, kw_only=True)
class PaymentOverdue(Event):
    """Hours after it was opened nobody knows what became of it: somebody has to look."""

    order_id: UUID
    amount_minor: int
    currency: str
    provider: str
