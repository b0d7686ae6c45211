"""Money on its way: what is asked of payment providers after a change, and what they tell by themselves."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5

from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.money import Money
from domain.orders import Order, Orders, OrderState
from domain.payments.disputes import CloseDispute, Dispute, Disputes, DisputeState, OpenDispute, open_dispute
from domain.payments.disputes import close_dispute as close
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.paying_out import CompletePayout, FailPayout, complete_payout
from domain.payments.payment import OVER, Payment, Payments, PaymentState
from domain.payments.payouts import Payouts, PayoutState
from domain.payments.policy import Policies
from domain.payments.providers import (
    PaymentProvider,
    ProviderEvent,
    ProviderFact,
    ProviderRefused,
    RefundOutcome,
    RefundStatus,
    TransferOutcome,
    TransferStatus,
    WebhookRejected,
)
from domain.payments.refunds import (
    CompleteRefund,
    FailRefund,
    Refund,
    RefundPayment,
    Refunds,
    RefundState,
    RetryRefund,
    ReturnRefund,
    complete_refund,
    fail_refund,
    request_refund,
    retry_refund,
    return_refund,
)
from domain.payments.releasing import ProviderReport, apply_report
from domain.processes.payouts import fail_payout
from domain.sagas import Sagas
from domain.tax import Calendars

SEND_REFUND = "payments.send_refund"
RESEND_REFUND = "payments.resend_refund"
SEND_PAYOUT = "payments.send_payout"
LET_GO = "payments.let_go"
# With pauses of up to a quarter of an hour this is about three days: so long may a provider be out of reach.
ATTEMPTS = 400
RESEND_AFTER = timedelta(days=1)
"""What came back today would come back again: by tomorrow the buyer's bank may know better."""

jobs = Jobs()
subscriptions = Subscriptions("payments")

_TO_BE_SENT = frozenset({PayoutState.SCHEDULED, PayoutState.PROCESSING})
_SENT = frozenset({PayoutState.PROCESSING, PayoutState.PAID})
_REPORTED = {
    ProviderFact.CHARGE_AUTHORIZED: PaymentState.AUTHORIZED,
    ProviderFact.CHARGE_CAPTURED: PaymentState.CAPTURED,
    ProviderFact.CHARGE_DECLINED: PaymentState.FAILED,
    ProviderFact.CHARGE_VOIDED: PaymentState.VOIDED,
}
_DECIDED = {ProviderFact.DISPUTE_WON: DisputeState.WON, ProviderFact.DISPUTE_LOST: DisputeState.LOST}


async def give_back(
    payment: Payment,
    reason: str,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> None:
    """Set everything aside that is left of a payment, and have it sent to the buyer; asked again, it is done once."""
    if payment.refundable.amount_minor:
        wanted = RefundPayment(payment_id=payment.id, reason=reason, refund_id=uuid5(payment.id, "given back"))
        refund = await request_refund(wanted, work, payments, refunds, holds, ledger)
        await ask_to_send(refund.id, queue)


async def ask_to_send(refund_id: UUID, queue: JobQueue) -> None:
    """Have a refund sent by its provider, in the transaction that set it aside."""
    await queue.defer(SEND_REFUND, {"refund_id": str(refund_id)}, key=f"refund {refund_id}")


@jobs.on(SEND_REFUND, attempts=ATTEMPTS)
async def send_refund(
    payload: Mapping[str, Any],
    work: Work,
    provider: PaymentProvider,
    payments: Payments,
    refunds: Refunds,
    disputes: Disputes,
    holds: EscrowHolds,
    ledger: Ledger,
    orders: Orders,
    queue: JobQueue,
) -> None:
    """Send a refund under its own key; left without an answer, the job comes again and asks the same."""
    refund = await refunds.find(UUID(payload["refund_id"]))
    if refund is None or refund.state is not RefundState.PENDING:
        return
    outcome = await _sent(refund, payments, provider)
    if outcome.status is not RefundStatus.FAILED:
        await note_refund(refund.id, outcome, work, payments, refunds, ledger, orders, queue)
    elif refund.attempts:
        # The buyer had been told that it was sent, and is owed it: sellers do not get it back.
        await note_return(refund.id, outcome, work, payments, refunds, ledger, orders, queue)
    else:
        failed = FailRefund(refund_id=refund.id, failure=_failure(outcome), key=outcome.key)
        await fail_refund(failed, work, payments, refunds, disputes, holds, ledger)


async def _sent(refund: Refund, payments: Payments, provider: PaymentProvider) -> RefundOutcome:
    payment = await payments.get(refund.payment_id)
    assert payment is not None  # noqa: S101 — refunds hang on payments, which are never taken away.
    try:
        outcome = await provider.refund(payment.reference or "", refund.amount, refund.key, account=payment.account)
    except ProviderRefused as refusal:
        return RefundOutcome(
            provider=refund.provider,
            status=RefundStatus.FAILED,
            reference="",
            amount=refund.amount,
            reason=refusal.reason,
            key=refund.key,
        )
    return replace(outcome, key=refund.key)


@jobs.on(RESEND_REFUND, attempts=ATTEMPTS)
async def resend_refund(payload: Mapping[str, Any], payments: Payments, refunds: Refunds, queue: JobQueue) -> None:
    """Send a refund again that came back, unless somebody has done so meanwhile."""
    refund = await refunds.find(UUID(payload["refund_id"]))
    if refund is not None and refund.state is RefundState.RETURNED and refund.attempts == payload["attempts"]:
        await send_again(refund.id, payments, refunds, queue)


async def send_again(refund_id: UUID, payments: Payments, refunds: Refunds, queue: JobQueue) -> Refund:
    """Set a refund on its way again that came back.

    Raises: NotFound, InvalidStateTransition.
    """
    refund = await retry_refund(RetryRefund(refund_id=refund_id), payments, refunds)
    await ask_to_send(refund.id, queue)
    return refund


async def note_refund(
    refund_id: UUID,
    outcome: RefundOutcome,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    ledger: Ledger,
    orders: Orders,
    queue: JobQueue,
) -> None:
    """Note what a provider tells of a refund, on the payment, in the ledger and on the order."""
    if outcome.status is RefundStatus.PENDING:
        return
    if outcome.status is RefundStatus.FAILED:
        await note_return(refund_id, outcome, work, payments, refunds, ledger, orders, queue)
        return
    order = await _order_of_refund(refund_id, refunds, orders)
    sent = CompleteRefund(refund_id=refund_id, reference=outcome.reference, key=outcome.key)
    done = await complete_refund(sent, work, payments, refunds, ledger)
    if order is not None and done.state is RefundState.COMPLETED:
        order.note_refund(done.amount, work, refund_id=done.id)


async def note_return(
    refund_id: UUID,
    outcome: RefundOutcome,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    ledger: Ledger,
    orders: Orders,
    queue: JobQueue,
) -> None:
    """Note that a buyer did not get a refund, and have it sent again; after several times that is left to people."""
    order = await _order_of_refund(refund_id, refunds, orders)
    back = ReturnRefund(refund_id=refund_id, failure=_failure(outcome), key=outcome.key)
    refund = await return_refund(back, work, payments, refunds, ledger)
    if refund.state is not RefundState.RETURNED:
        return
    if order is not None:
        order.note_refund_returned(refund.amount, work, refund_id=refund.id)
    if not refund.is_given_up:
        again = {"refund_id": str(refund.id), "attempts": refund.attempts}
        key = f"refund {refund.key} again"
        await queue.defer(RESEND_REFUND, again, at=work.now + RESEND_AFTER, key=key)


def _failure(outcome: RefundOutcome) -> str:
    return outcome.reason or "the provider gave no reason"


async def _order_of_refund(refund_id: UUID, refunds: Refunds, orders: Orders) -> Order | None:
    # Everybody locks the order before its payments.
    refund = await refunds.find(refund_id)
    return None if refund is None else await orders.lock(refund.order_id)


@jobs.on(LET_GO, attempts=ATTEMPTS)
async def let_go(payload: Mapping[str, Any], work: Work, provider: PaymentProvider, payments: Payments) -> None:
    """Release money that a provider has set aside for a payment that was given up."""
    del work
    payment = await payments.get(UUID(payload["payment_id"]))
    if payment is not None and payment.state in OVER and payment.reference:
        await provider.void(payment.reference, f"{payment.id}-void", account=payment.account)


@subscriptions.on("payout.scheduled")
async def on_payout_scheduled(envelope: Envelope, queue: JobQueue) -> None:
    """Send a payout on its day."""
    day = datetime.fromisoformat(str(envelope.data["scheduled_for"])).date()
    at = datetime.combine(day, time(7), tzinfo=UTC)
    await queue.defer(
        SEND_PAYOUT, {"payout_id": str(envelope.aggregate_id)}, at=at, key=f"payout {envelope.aggregate_id}"
    )


@jobs.on(SEND_PAYOUT, attempts=ATTEMPTS)
async def send_payout(
    payload: Mapping[str, Any],
    work: Work,
    provider: PaymentProvider,
    policies: Policies,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
) -> None:
    """Transfer a seller's earnings under the payout's key; left without an answer, the job comes again and asks the same."""
    payout = await payouts.lock(UUID(payload["payout_id"]))
    if payout is None or payout.state not in _TO_BE_SENT:
        # It was given up, or its provider has told us by itself that it is done.
        return
    payout.begin()
    try:
        outcome = await provider.transfer(
            payout.destination,
            payout.amount,
            payout.transfer_key,
            tenant_id=payout.tenant_id,
            account=payout.account,
        )
    except ProviderRefused as refusal:
        command = FailPayout(payout_id=payout.id, failure=refusal.reason)
        await fail_payout(command, work, policies, payouts, ledger, calendars)
        return
    await note_transfer(payout.id, outcome, work, policies, payouts, ledger, calendars)


async def note_transfer(
    payout_id: UUID,
    outcome: TransferOutcome,
    work: Work,
    policies: Policies,
    payouts: Payouts,
    ledger: Ledger,
    calendars: Calendars,
) -> None:
    """Note what became of a transfer to a seller."""
    if outcome.status is TransferStatus.PAID:
        command = CompletePayout(payout_id=payout_id, reference=outcome.reference)
        await complete_payout(command, work, payouts, ledger)
    elif outcome.status is TransferStatus.FAILED:
        payout = await payouts.lock(payout_id)
        said_of = {None} if payout is None else {None, payout.transfer_key}
        if payout is None or payout.state not in _SENT or outcome.key not in said_of:
            # It is known, or is about an earlier attempt: the present one must not be repeated while it is on its way.
            return
        failure = outcome.reason or "the provider gave no reason"
        refused = FailPayout(payout_id=payout_id, failure=failure)
        await fail_payout(refused, work, policies, payouts, ledger, calendars)


async def hear_provider(
    told: ProviderEvent,
    work: Work,
    orders: Orders,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    disputes: Disputes,
    policies: Policies,
    payouts: Payouts,
    calendars: Calendars,
    sagas: Sagas,
    queue: JobQueue,
) -> None:
    """Do what a provider's message asks for, however late, repeated or out of order it comes.

    Raises: WebhookRejected where a tenant's own account speaks of money that did not go through it.
    """
    if told.account is not None and not await _is_of_its_account(told, payments, refunds, payouts):
        raise WebhookRejected(provider=told.provider, reason="it is not about that account")
    if told.transfer is not None:
        if (payout_id := _id(told.transfer.key)) is not None:
            await note_transfer(payout_id, told.transfer, work, policies, payouts, ledger, calendars)
    elif told.refund is not None:
        if (refund_id := _id(told.refund.key)) is not None:
            await note_refund(refund_id, told.refund, work, payments, refunds, ledger, orders, queue)
    elif told.payment_id is None:
        return
    elif told.fact in _REPORTED:
        await _hear_charge(told, work, orders, payments, refunds, holds, ledger, sagas, queue)
    elif told.dispute_reference is not None:
        await _hear_dispute(told, work, orders, payments, refunds, disputes, holds, ledger, queue)


async def _is_of_its_account(told: ProviderEvent, payments: Payments, refunds: Refunds, payouts: Payouts) -> bool:
    if told.transfer is not None:
        payout_id = _id(told.transfer.key)
        payout = None if payout_id is None else await payouts.lock(payout_id)
        return payout is not None and (payout.account, payout.provider) == (told.account, told.provider)
    payment_id = told.payment_id
    if told.refund is not None:
        # Whose a refund is, our books say and not the message.
        refund_id = _id(told.refund.key)
        refund = None if refund_id is None else await refunds.find(refund_id)
        payment_id = None if refund is None else refund.payment_id
    payment = None if payment_id is None else await payments.get(payment_id)
    return payment is not None and (payment.account, payment.provider) == (told.account, told.provider)


async def _hear_charge(
    told: ProviderEvent,
    work: Work,
    orders: Orders,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    sagas: Sagas,
    queue: JobQueue,
) -> None:
    assert told.payment_id is not None  # noqa: S101 — the caller has looked.
    found = await payments.get(told.payment_id)
    # What is paid has been settled with its order: nothing that comes after it is news, and nobody is locked for it.
    if found is None or found.is_paid:
        return
    # A checkout that waits asks the provider itself, and settles what it is told.
    if await sagas.wake(found.order_id, work.now):
        return
    order = await orders.lock(found.order_id)
    payment = await payments.lock(found.id)
    if order is None or payment is None or payment.state not in OVER:
        return
    report = ProviderReport(
        payment_id=payment.id,
        state=_REPORTED[told.fact],
        reference=told.reference,
        amount=told.amount,
        fee=told.charge.fee if told.charge else None,
        reason=told.reason,
    )
    payment = await apply_report(report, work, payments, holds, ledger)
    if payment.is_paid and order.state is OrderState.CANCELLED:
        order.pay_late(payment.id, payment.amount, work)
        await give_back(
            payment, "it arrived after the order was cancelled", work, payments, refunds, holds, ledger, queue
        )


async def _hear_dispute(
    told: ProviderEvent,
    work: Work,
    orders: Orders,
    payments: Payments,
    refunds: Refunds,
    disputes: Disputes,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> None:
    assert told.payment_id is not None  # noqa: S101 — the caller has looked.
    await _lock_order(told.payment_id, orders, payments)
    reference = told.dispute_reference or ""
    opened = OpenDispute(
        payment_id=told.payment_id, reference=reference, amount=told.amount, reason=told.reason or "not told"
    )
    dispute = await open_dispute(opened, work, payments, disputes, holds, ledger)
    outcome = _DECIDED.get(told.fact)
    if outcome is not None and not dispute.is_open:
        # Somebody has booked a decision by hand; what follows from another one only a person can put right.
        dispute.contradict(outcome)
    elif outcome is not None:
        decided = CloseDispute(dispute_id=dispute.id, won=outcome is DisputeState.WON)
        await close_dispute(decided, work, orders, payments, refunds, disputes, holds, ledger, queue)


async def close_dispute(
    command: CloseDispute,
    work: Work,
    orders: Orders,
    payments: Payments,
    refunds: Refunds,
    disputes: Disputes,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> Dispute:
    """Record the bank's decision, also on the order: what was lost, its buyer has again.

    What was won of an order that was cancelled meanwhile goes back to the buyer now.
    Raises: NotFound, InvalidStateTransition.
    """
    payment_id = await disputes.payment_of(command.dispute_id)
    order = None if payment_id is None else await _lock_order(payment_id, orders, payments)
    dispute = await close(command, work, payments, disputes, holds, ledger)
    if order is None or not dispute.covered_minor:
        return dispute
    if dispute.state is DisputeState.LOST:
        order.note_refund(Money(dispute.covered_minor, dispute.currency), work, refund_id=dispute.id)
    elif order.state is OrderState.CANCELLED:
        wanted = RefundPayment(
            payment_id=dispute.payment_id,
            amount=Money(dispute.covered_minor, dispute.currency),
            reason="the order had been cancelled",
            refund_id=uuid5(dispute.id, "given back"),
        )
        refund = await request_refund(wanted, work, payments, refunds, holds, ledger)
        await ask_to_send(refund.id, queue)
    return dispute


async def _lock_order(payment_id: UUID, orders: Orders, payments: Payments) -> Order | None:
    # Everybody locks the order before its payments.
    payment = await payments.get(payment_id)
    return None if payment is None else await orders.lock(payment.order_id)


def _id(key: str | None) -> UUID | None:
    """Give the id that a key of ours begins with; what was done at the provider's own desk has none."""
    try:
        return UUID((key or "").partition(":")[0])
    except ValueError:
        return None
