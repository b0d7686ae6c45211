"""Refunds: set aside first, then sent by the provider, then settled; in between the money is owed to the buyer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Transitions, Work, event, uuid7
from domain.money import Money
from domain.payments.disputes import Disputes
from domain.payments.escrow import EscrowHolds, TakenBack, take_back
from domain.payments.ledger import Ledger
from domain.payments.methods import MethodKind
from domain.payments.payment import Payment, Payments, locked
from domain.payments.postings import (
    refund_failed_posting,
    refund_posting,
    refund_returned_posting,
    refund_settled_posting,
)
from domain.payments.splits import RefundPart


class RefundState(StrEnum):
    """Where a refund stands."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    RETURNED = "returned"


_S = RefundState
LONGEST_REFERENCE = 140
MOST_ATTEMPTS = 3
"""So often a refund is sent by itself; then somebody has to find out how the buyer can have the money."""

REFUND_STATES = Transitions(
    "Refund",
    RefundState.PENDING,
    {
        _S.PENDING: {_S.COMPLETED, _S.FAILED, _S.RETURNED},
        # Banks accept money for closed accounts, and send it back days later.
        _S.COMPLETED: {_S.RETURNED},
        _S.RETURNED: {_S.PENDING},
        _S.FAILED: (),
    },
)


@dataclass(eq=False)
class RefundSentByProvider(DomainError):
    """A provider sends this refund and tells by itself what became of it: nobody's word stands for that."""

    provider: str
    template = "The refund is sent by {provider}, which tells by itself when that is done."


@event("payment.refund_requested")
@dataclass(frozen=True, kw_only=True)
class RefundRequested(Event):
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str | None


@event("payment.refund_failed")
@dataclass(frozen=True, kw_only=True)
class RefundFailed(Event):
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    failure: str


@event("payment.refund_returned")
@dataclass(frozen=True, kw_only=True)
class RefundReturned(Event):
    """The buyer did not get the money, whatever was said before, and is owed it still; `sent` says that it had been sent."""

    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    failure: str
    attempt: int
    sent: bool


@event("payment.refund_retried")
@dataclass(frozen=True, kw_only=True)
class RefundRetried(Event):
    payment_id: UUID
    order_id: UUID
    attempt: int


@dataclass(eq=False, kw_only=True)
class Refund(Aggregate):
    """Money on its way back to a buyer, and again on its way after it came back.

    `attempts` counts those that came to nothing; what a provider reports of these is out of date.
    """

    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    parts: tuple[RefundPart, ...]
    taken: tuple[TakenBack, ...]
    reason: str | None = None
    state: RefundState = RefundState.PENDING
    attempts: int = 0
    provider: str
    reference: str | None = None
    failure: str | None = None
    requested_by: UUID | None = None
    requested_at: datetime
    settled_at: datetime | None = None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def key(self) -> str:
        """The key under which the provider is asked: the same until an attempt came to nothing, so that it is sent once."""
        return f"{self.id}:{self.attempts}" if self.attempts else str(self.id)

    @property
    def is_given_up(self) -> bool:
        """Whether it came back so often that a person has to look after it."""
        return self.state is _S.RETURNED and self.attempts + 1 >= MOST_ATTEMPTS

    def is_about(self, key: str | None) -> bool:
        """Say whether a report under a key is about the present attempt."""
        return key in {None, self.key}

    def request(self) -> None:
        """Note that it is wanted."""
        self.record(
            RefundRequested(
                payment_id=self.payment_id,
                order_id=self.order_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                reason=self.reason,
            )
        )

    def complete(self, reference: str, work: Work) -> bool:
        """Note that the provider has sent the money; says whether that is news.

        An attempt that came to nothing stays so: that it was sent was said earlier and arrives late.
        """
        if self.state is not _S.PENDING:
            return False
        self.state = REFUND_STATES.check(self.state, _S.COMPLETED)
        self.reference = reference
        self.failure = None
        self.settled_at = work.now
        return True

    def fail(self, failure: str, work: Work) -> bool:
        """Note that the provider refused for good; says whether that is news.

        Raises: InvalidStateTransition after the money was sent.
        """
        if self.state in {_S.FAILED, _S.RETURNED}:
            return False
        self.state = REFUND_STATES.check(self.state, _S.FAILED)
        self.failure = failure[:500]
        self.settled_at = work.now
        self.record(
            RefundFailed(
                payment_id=self.payment_id,
                order_id=self.order_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                failure=self.failure,
            )
        )
        return True

    def come_back(self, failure: str) -> bool:
        """Note that the buyer did not get what was on its way, or had been sent; says whether that is news."""
        if self.state in {_S.FAILED, _S.RETURNED}:
            return False
        sent = self.state is _S.COMPLETED
        self.state = REFUND_STATES.check(self.state, _S.RETURNED)
        self.failure = failure[:500]
        self.settled_at = None
        self.record(
            RefundReturned(
                payment_id=self.payment_id,
                order_id=self.order_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                failure=self.failure,
                attempt=self.attempts,
                sent=sent,
            )
        )
        return True

    def returned(self, now: datetime) -> "RefundReturn | None":
        """Say what its return moves if it comes back now; None where it was not sent."""
        if self.state is not _S.COMPLETED or self.settled_at is None:
            return None
        return RefundReturn(
            refund_id=self.id,
            attempt=self.attempts,
            provider=self.provider,
            reference=self.reference or "",
            amount=self.amount,
            sent_at=self.settled_at,
            returned_at=now,
        )

    def retry(self) -> None:
        """Have it sent once more, under another key.

        Raises: InvalidStateTransition when it did not come back.
        """
        self.state = REFUND_STATES.check(self.state, _S.PENDING)
        self.attempts += 1
        self.record(RefundRetried(payment_id=self.payment_id, order_id=self.order_id, attempt=self.attempts))


@dataclass(frozen=True, kw_only=True)
class RefundReturn:
    """One time that a refund was sent and came back: two movements of money, each of the day on which it happened."""

    refund_id: UUID
    attempt: int
    provider: str
    reference: str
    amount: Money
    sent_at: datetime
    returned_at: datetime


class Refunds(Protocol):
    """Refunds for change; what is given is locked until the transaction ends."""

    def add(self, refund: Refund) -> None: ...

    async def keep_return(self, came_back: RefundReturn) -> None:
        """Keep for settlements and reconciliation that a refund was sent, and came back."""
        ...

    async def lock(self, refund_id: UUID) -> Refund | None: ...

    async def find(self, refund_id: UUID) -> Refund | None:
        """Read a refund without locking it."""
        ...

    async def payment_of(self, refund_id: UUID) -> UUID | None:
        """Say which payment must be locked before a refund."""
        ...


@dataclass(frozen=True, kw_only=True)
class RefundPayment:
    """Give money back: all that is left, or an amount spread over all parts, or the parts that are named.

    `refundId` lets a caller choose the refund's id, so that asking again is asking once.
    """

    payment_id: UUID
    amount: Money | None = None
    reason: str | None = None
    parts: tuple[RefundPart, ...] = ()
    refund_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class CompleteRefund:
    """Say that the provider has sent a refund; `key` is the one that it was asked with."""

    refund_id: UUID
    reference: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class CompleteRefundInput:
    """Say that a refund by bank transfer has left the account; `reference` is that of its line on the statement."""

    refund_id: UUID
    reference: str


@dataclass(frozen=True, kw_only=True)
class ReturnRefund:
    """Say that the buyer did not get a refund that the provider had accepted; `key` is the one that it was asked with."""

    refund_id: UUID
    failure: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class RetryRefund:
    """Send a refund again that came back."""

    refund_id: UUID


@dataclass(frozen=True, kw_only=True)
class FailRefund:
    """Say that the provider refused a refund for good; `key` is the one that it was asked with."""

    refund_id: UUID
    failure: str
    key: str | None = None


async def request_refund(
    command: RefundPayment,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
) -> Refund:
    """Set money aside for the buyer; whoever talks to the provider sends it then, with the refund's id as key.

    Raises: NotFound, RefundExceedsPayment, CurrencyMismatch, InvalidInput.
    """
    payment = await locked(payments, command.payment_id)
    if command.refund_id is not None:
        # The payment's lock makes sure that nobody else is asking for the same refund at this moment.
        known = await refunds.find(command.refund_id)
        if known is not None and known.payment_id == payment.id:
            return known
    parts = payment.parts_for(command.amount, command.parts)
    total = payment.begin_refund(parts)
    taken = take_back(await holds.of_payment(payment.id), parts)
    refund = _refund(command, payment, total, parts, taken, work)
    refund.request()
    refunds.add(refund)
    await ledger.post(refund_posting(payment, refund.id, parts, taken, work))
    return refund


async def complete_refund(
    command: CompleteRefund, work: Work, payments: Payments, refunds: Refunds, ledger: Ledger
) -> Refund:
    """Note that a refund was sent; said twice, or after it came back, it is noted once.

    Raises: NotFound.
    """
    payment, refund = await _both(command.refund_id, payments, refunds)
    if refund.is_about(command.key):
        await _complete(payment, refund, command.reference, work, ledger)
    return refund


async def complete_by_hand(
    command: CompleteRefundInput, work: Work, payments: Payments, refunds: Refunds, ledger: Ledger
) -> Refund:
    """Note that somebody has sent a refund, which no provider will tell of.

    Raises: NotFound, RefundSentByProvider, InvalidInput, InvalidStateTransition when it does not wait to be sent.
    """
    payment, refund = await _both(command.refund_id, payments, refunds)
    if payment.method_kind is not MethodKind.BANK_TRANSFER:
        raise RefundSentByProvider(provider=refund.provider)
    reference = command.reference.strip()
    if not 0 < len(reference) <= LONGEST_REFERENCE:
        raise InvalidInput(field="reference", reason=f"it has between 1 and {LONGEST_REFERENCE} characters")
    REFUND_STATES.check(refund.state, RefundState.COMPLETED)
    await _complete(payment, refund, reference, work, ledger)
    return refund


async def _complete(payment: Payment, refund: Refund, reference: str, work: Work, ledger: Ledger) -> None:
    if refund.complete(reference, work):
        payment.end_refund(refund.id, refund.parts, succeeded=True)
        await ledger.post(refund_settled_posting(payment, refund.key, refund.amount_minor, work))


async def return_refund(
    command: ReturnRefund, work: Work, payments: Payments, refunds: Refunds, ledger: Ledger
) -> Refund:
    """Note that a refund came back: the money is with us, and the buyer is owed it; said twice, it is noted once.

    Whether it was said before that it had been sent, or is said later, the books are the same in the end.
    Raises: NotFound.
    """
    payment, refund = await _both(command.refund_id, payments, refunds)
    sent = refund.returned(work.now)
    if refund.is_about(command.key) and refund.come_back(command.failure) and sent is not None:
        payment.reopen_refund(refund.amount_minor)
        await refunds.keep_return(sent)
        await ledger.post(refund_returned_posting(payment, refund.key, refund.amount_minor, work))
    return refund


async def retry_refund(command: RetryRefund, payments: Payments, refunds: Refunds) -> Refund:
    """Set a refund on its way again; whoever talks to the provider sends it then, with its new key.

    Raises: NotFound, InvalidStateTransition.
    """
    _, refund = await _both(command.refund_id, payments, refunds)
    refund.retry()
    return refund


async def fail_refund(
    command: FailRefund,
    work: Work,
    payments: Payments,
    refunds: Refunds,
    disputes: Disputes,
    holds: EscrowHolds,
    ledger: Ledger,
) -> Refund:
    """Note that a refund was refused for good: everybody has again what was theirs.

    Raises: NotFound, InvalidStateTransition.
    """
    payment, refund = await _both(command.refund_id, payments, refunds)
    if refund.is_about(command.key) and refund.fail(command.failure, work):
        payment.end_refund(refund.id, refund.parts, succeeded=False)
        by_sub_order = {hold.sub_order_id: hold for hold in await holds.of_payment(payment.id)}
        disputed = await disputes.are_open(payment.id)
        for taken in refund.taken:
            by_sub_order[taken.sub_order_id].restore(taken, disputed=disputed)
        await ledger.post(refund_failed_posting(payment, refund.id, refund.parts, refund.taken, work))
    return refund


async def _both(refund_id: UUID, payments: Payments, refunds: Refunds) -> tuple[Payment, Refund]:
    # Everybody locks the payment before its refunds, or two could wait for each other.
    payment_id = await refunds.payment_of(refund_id)
    if payment_id is None:
        raise NotFound(kind="Refund", id=str(refund_id))
    payment = await locked(payments, payment_id)
    refund = await refunds.lock(refund_id)
    assert refund is not None  # noqa: S101 — refunds are never taken away.
    return payment, refund


def _refund(
    command: RefundPayment,
    payment: Payment,
    amount_minor: int,
    parts: Sequence[RefundPart],
    taken: Sequence[TakenBack],
    work: Work,
) -> Refund:
    return Refund(
        id=command.refund_id or uuid7(),
        tenant_id=payment.tenant_id,
        payment_id=payment.id,
        order_id=payment.order_id,
        amount_minor=amount_minor,
        currency=payment.currency,
        parts=tuple(parts),
        taken=tuple(taken),
        reason=command.reason,
        provider=payment.provider,
        requested_by=work.actor.user_id,
        requested_at=work.now,
    )
