"""What people do about payments by hand, where the provider and the order must hear of it."""

from dataclasses import dataclass
from uuid import UUID

from domain.jobs import JobQueue
from domain.kernel import InvalidStateTransition, Work
from domain.money import Money
from domain.orders import Orders, OrderState
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.methods import MethodKind
from domain.payments.payment import OVER, Payment, Payments, PaymentState, locked
from domain.payments.providers import ChargeStatus, PaymentProvider, ProviderRefused
from domain.payments.refunds import (
    CompleteRefundInput,
    Refund,
    RefundPayment,
    Refunds,
    RetryRefund,
    complete_by_hand,
    request_refund,
)
from domain.payments.releasing import ReviewFraud, VoidPayment, settle_capture
from domain.payments.releasing import review_fraud as review
from domain.payments.splits import RefundPart
from domain.processes.paying import LET_GO, ask_to_send, give_back, send_again
from domain.sagas import Sagas


@dataclass(frozen=True, kw_only=True)
class RefundPaymentInput:
    """Give money back: all that is left, or an amount spread over all parts, or the parts that are named."""

    payment_id: UUID
    amount: Money | None = None
    reason: str | None = None
    parts: tuple[RefundPart, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CapturePayment:
    """Take money that is set aside, or note that cash or a bank transfer has come."""

    payment_id: UUID


async def refund_payment(
    command: RefundPaymentInput,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> Refund:
    """Set money aside for the buyer and have it sent.

    Raises: NotFound, RefundExceedsPayment, CurrencyMismatch, InvalidInput.
    """
    wanted = RefundPayment(
        payment_id=command.payment_id, amount=command.amount, reason=command.reason, parts=command.parts
    )
    refund = await request_refund(wanted, work, payments, refunds, holds, ledger)
    work.require("payments.refund", amount_minor=refund.amount.amount_minor, currency=refund.amount.currency)
    await ask_to_send(refund.id, queue)
    return refund


async def retry_refund(command: RetryRefund, payments: Payments, refunds: Refunds, queue: JobQueue) -> Refund:
    """Send a refund again that came back.

    Raises: NotFound, InvalidStateTransition.
    """
    return await send_again(command.refund_id, payments, refunds, queue)


async def complete_refund(
    command: CompleteRefundInput, work: Work, orders: Orders, payments: Payments, refunds: Refunds, ledger: Ledger
) -> Refund:
    """Note that a refund by bank transfer was sent, on the payment, in the ledger and on the order.

    Raises: NotFound, RefundSentByProvider, InvalidInput, InvalidStateTransition.
    """
    known = await refunds.find(command.refund_id)
    # Everybody locks the order before its payments.
    order = None if known is None else await orders.lock(known.order_id)
    refund = await complete_by_hand(command, work, payments, refunds, ledger)
    if order is not None:
        order.note_refund(refund.amount, work, refund_id=refund.id)
    return refund


async def void_payment(command: VoidPayment, payments: Payments, queue: JobQueue) -> Payment:
    """Give up a payment whose money was not taken, and have the provider let go of what it has set aside.

    Raises: NotFound, InvalidStateTransition.
    """
    payment = await locked(payments, command.payment_id)
    payment.void(command.reason)
    if payment.reference:
        await queue.defer(LET_GO, {"payment_id": str(payment.id)}, key=f"let go {payment.id}")
    return payment


async def review_fraud(command: ReviewFraud, work: Work, payments: Payments, sagas: Sagas) -> Payment:
    """Let a suspicious payment go on, or refuse it; the checkout that waits for this goes on at once, or back.

    Raises: NotFound, InvalidStateTransition.
    """
    payment = await review(command, work, payments)
    await sagas.wake(payment.order_id, work.now)
    return payment


async def capture_payment(
    command: CapturePayment,
    work: Work,
    provider: PaymentProvider,
    orders: Orders,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> Payment:
    """Take the money of an authorised payment; the provider is asked under one key, so that it is taken once.

    A bank transfer that came after its order was cancelled is booked as well, and goes back to the buyer.

    Raises: NotFound, InvalidStateTransition, ProviderRefused, ProviderUnreachable.
    """
    known = await payments.get(command.payment_id)
    # Everybody locks the order before its payments.
    order = None if known is None else await orders.lock(known.order_id)
    payment = await locked(payments, command.payment_id)
    if payment.is_paid:
        return payment
    if order is not None and order.state is OrderState.CANCELLED and _may_come_late(payment):
        await settle_capture(payment, payment.reference or "", payment.amount, None, work, holds, ledger)
        order.pay_late(payment.id, payment.amount, work)
        reason = "the transfer arrived after the order was cancelled"
        await give_back(payment, reason, work, payments, refunds, holds, ledger, queue)
        return payment
    if payment.state is not PaymentState.AUTHORIZED or payment.reference is None:
        raise InvalidStateTransition(kind="Payment", current=payment.state, requested=PaymentState.CAPTURED)
    key = f"{payment.id}-capture"
    outcome = await provider.capture(payment.reference, payment.amount, key, account=payment.account)
    if outcome.status is not ChargeStatus.CAPTURED:
        raise ProviderRefused(provider=payment.provider, reason=outcome.reason or str(outcome.status))
    await settle_capture(payment, payment.reference, outcome.amount, outcome.fee, work, holds, ledger)
    if order is not None:
        order.pay(payment.id, payment.amount, work)
    return payment


def _may_come_late(payment: Payment) -> bool:
    # Nobody can call a transfer back that is on its way; what providers set aside, they have let go of.
    return payment.method_kind is MethodKind.BANK_TRANSFER and payment.state in OVER and payment.reference is not None
