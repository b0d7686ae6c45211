"""Money that arrives is held, and held money is released."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.kernel import InvalidStateTransition, Work
from domain.money import CurrencyMismatch, Money
from domain.payments.escrow import EscrowHold, EscrowHolds, Released, holds_of
from domain.payments.ledger import Ledger
from domain.payments.payment import (
    Payment,
    PaymentAmountDiffers,
    PaymentReferenceDiffers,
    Payments,
    PaymentState,
    locked,
)
from domain.payments.postings import capture_posting, release_posting


@dataclass(frozen=True, kw_only=True)
class ReleaseEscrow:
    """Let sellers have their money: of a whole order, or of the sub-orders that are named."""

    order_id: UUID
    sub_order_ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class EscrowRelease:
    """What was released: the holds as they are now."""

    order_id: UUID
    holds: tuple[EscrowHold, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewFraud:
    """Decide about a payment that was set aside as suspicious."""

    payment_id: UUID
    approve: bool
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class VoidPayment:
    """Give up a payment whose money was not taken yet."""

    payment_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProviderReport:
    """What a provider says of a payment; `amount` of a failure may be missing, `reason` of a success."""

    payment_id: UUID
    state: PaymentState
    reference: str
    amount: Money | None = None
    fee: Money | None = None
    reason: str | None = None


async def settle_capture(
    payment: Payment,
    reference: str,
    amount: Money,
    fee: Money | None,
    work: Work,
    holds: EscrowHolds,
    ledger: Ledger,
) -> bool:
    """Record money that has arrived: payment, escrow and ledger together; says whether that is news.

    Two statements beside those that save the payment and its events.
    Raises: PaymentAmountDiffers, PaymentReferenceDiffers, CurrencyMismatch, InvalidStateTransition.
    """
    if not payment.captured(reference, amount, fee, work):
        return False
    holds.add(*holds_of(payment, work.now))
    await ledger.post(capture_posting(payment, work))
    return True


async def apply_report(
    command: ProviderReport, work: Work, payments: Payments, holds: EscrowHolds, ledger: Ledger
) -> Payment:
    """Bring a payment up to what its provider says of it, however late, repeated or out of order that comes.

    A report that cannot be about this payment changes nothing but is kept for the audit; ask `payment.state` what came
    of it. Raises: NotFound.
    """
    payment = await locked(payments, command.payment_id)
    try:
        await _apply(payment, command, work, holds, ledger)
    except (PaymentAmountDiffers, PaymentReferenceDiffers, CurrencyMismatch, InvalidStateTransition) as refusal:
        payment.mistrust(f"{command.state} {command.reference} {command.amount}", refusal.message)
    return payment


async def _apply(payment: Payment, report: ProviderReport, work: Work, holds: EscrowHolds, ledger: Ledger) -> None:
    amount = report.amount if report.amount is not None else payment.amount
    if report.state is PaymentState.CAPTURED:
        await settle_capture(payment, report.reference, amount, report.fee, work, holds, ledger)
    elif report.state is PaymentState.AUTHORIZED:
        payment.authorized(report.reference, amount, work)
    elif report.state is PaymentState.FAILED and not payment.is_paid:
        payment.failed(report.reason or "the provider declined it")
    elif report.state is PaymentState.VOIDED and not payment.is_paid:
        payment.void(report.reason or "the provider released it")


async def release_escrow(command: ReleaseEscrow, work: Work, holds: EscrowHolds, ledger: Ledger) -> EscrowRelease:
    """Release what is held for an order; what is released or refunded already is passed over.

    Raises: EscrowFrozen.
    """
    wanted = await _wanted(command, holds)
    await post_released([(hold, hold.release(work)) for hold in wanted], work, ledger)
    return EscrowRelease(order_id=command.order_id, holds=tuple(wanted))


async def fall_due(command: ReleaseEscrow, work: Work, holds: EscrowHolds, ledger: Ledger) -> list[EscrowHold]:
    """Release what is held for an order; what a dispute has frozen follows when the dispute is decided."""
    wanted = await _wanted(command, holds)
    await post_released([(hold, hold.fall_due(work)) for hold in wanted], work, ledger)
    return wanted


async def post_released(released: Sequence[tuple[EscrowHold, Released | None]], work: Work, ledger: Ledger) -> None:
    """Post releases, in one statement; holds that had nothing to release are passed over."""
    postings = [release_posting(hold, each, work) for hold, each in released if each is not None]
    if postings:
        await ledger.post(*postings)


async def _wanted(command: ReleaseEscrow, holds: EscrowHolds) -> list[EscrowHold]:
    found = await holds.of_order(command.order_id)
    return [hold for hold in found if command.sub_order_ids is None or hold.sub_order_id in command.sub_order_ids]


async def review_fraud(command: ReviewFraud, work: Work, payments: Payments) -> Payment:
    """Let a suspicious payment go on, or refuse it.

    Raises: NotFound, InvalidStateTransition.
    """
    payment = await locked(payments, command.payment_id)
    payment.review(command.approve, command.note, work)
    return payment


async def void_payment(command: VoidPayment, payments: Payments) -> Payment:
    """Give up a payment before its money is taken.

    Raises: NotFound, InvalidStateTransition.
    """
    payment = await locked(payments, command.payment_id)
    payment.void(command.reason)
    return payment
