"""One payment for one order: its states, and what is left of it to be given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from domain.kernel import (
    Aggregate,
    DomainError,
    InvalidInput,
    InvalidStateTransition,
    NotFound,
    Transitions,
    Work,
    uuid7,
)
from domain.money import CurrencyMismatch, Money
from domain.payments.events import (
    OrderPaid,
    PaymentAuthorized,
    PaymentFailed,
    PaymentMistrusted,
    PaymentOpened,
    PaymentOverdue,
    PaymentProcessed,
    PaymentRefunded,
    PaymentReviewed,
    PaymentReviewRequested,
    PaymentVoided,
)
from domain.payments.fraud import Decision, FraudAssessment, FraudSignal
from domain.payments.methods import Method, MethodKind
from domain.payments.splits import RefundExceedsPayment, RefundPart, Split, check_splits, spread, take


class PaymentState(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    REVIEW = "review"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    VOIDED = "voided"


_S = PaymentState
PAYMENT_STATES = Transitions(
    "Payment",
    _S.PENDING,
    {
        _S.PENDING: {_S.REVIEW, _S.AUTHORIZED, _S.CAPTURED, _S.FAILED, _S.VOIDED},
        _S.REVIEW: {_S.PENDING, _S.AUTHORIZED, _S.CAPTURED, _S.FAILED, _S.VOIDED},
        _S.AUTHORIZED: {_S.CAPTURED, _S.FAILED, _S.VOIDED},
        _S.CAPTURED: {_S.PARTIALLY_REFUNDED, _S.REFUNDED},
        # A refund that was sent may come back.
        _S.PARTIALLY_REFUNDED: {_S.PARTIALLY_REFUNDED, _S.REFUNDED, _S.CAPTURED},
        _S.REFUNDED: {_S.PARTIALLY_REFUNDED, _S.CAPTURED},
        # Money that arrives after all is recorded, or it would be lost; the order is gone by then, so it is refunded.
        _S.FAILED: {_S.CAPTURED},
        _S.VOIDED: {_S.CAPTURED},
    },
)
PAID = frozenset({_S.CAPTURED, _S.PARTIALLY_REFUNDED, _S.REFUNDED})
OVER = frozenset({_S.FAILED, _S.VOIDED})


@dataclass(eq=False)
class PaymentAmountDiffers(DomainError):
    """The provider speaks of another amount than the order is for."""

    expected: str
    actual: str
    template = "The payment is for {expected}; the provider reports {actual}."


@dataclass(eq=False)
class PaymentReferenceDiffers(DomainError):
    """The provider's report is about another of its payments."""

    expected: str
    actual: str
    template = "The payment is known as {expected} to its provider; the report is about {actual}."


@dataclass(eq=False, kw_only=True)
class Payment(Aggregate):
    """What one order costs and how it is paid; all amounts in minor units of `currency`.

    With `own_account` the money goes through the tenant's own account with the provider, first to last.
    """

    order_id: UUID
    user_id: UUID | None = None
    provider: str
    own_account: bool = False
    method_kind: MethodKind
    method_token: str = ""
    fingerprint: str | None = None
    card_brand: str | None = None
    card_last4: str | None = None
    amount_minor: int
    currency: str
    splits: tuple[Split, ...]
    state: PaymentState = PaymentState.PENDING
    reference: str | None = None
    fee_minor: int = 0
    refunding_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    failure_reason: str | None = None
    fraud_score: int = 0
    fraud_signals: tuple[FraudSignal, ...] = ()
    reviewed_by: UUID | None = None
    opened_at: datetime
    authorized_at: datetime | None = None
    captured_at: datetime | None = None

    @classmethod
    def open(
        cls,
        order_id: UUID,
        amount: Money,
        method: Method,
        splits: Sequence[Split],
        work: Work,
        *,
        user_id: UUID | None = None,
        assessment: FraudAssessment | None = None,
        payment_id: UUID | None = None,
        own_account: bool = False,
    ) -> Self:
        """Begin a payment, before any provider is asked; a suspicious one waits for a person's review.

        Raises: InvalidInput, SplitsDoNotAddUp.
        """
        if amount.amount_minor <= 0:
            raise InvalidInput(field="amount", reason="a payment is for more than nothing")
        check_splits(splits, amount.amount_minor)
        payment = cls(
            id=payment_id or uuid7(),
            tenant_id=work.tenant_id,
            order_id=order_id,
            user_id=user_id if user_id is not None else work.actor.user_id,
            provider=method.provider,
            own_account=own_account,
            method_kind=method.kind,
            method_token=method.token,
            fingerprint=method.fingerprint,
            card_brand=method.brand,
            card_last4=method.last4,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            splits=tuple(splits),
            opened_at=work.now,
        )
        payment.record(
            PaymentOpened(
                order_id=order_id, amount_minor=amount.amount_minor, currency=amount.currency, provider=method.provider
            )
        )
        if assessment is not None:
            payment.assess(assessment)
        return payment

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def account(self) -> UUID | None:
        """Whose account with the provider is asked: the tenant's own, or that of the installation (None)."""
        return self.tenant_id if self.own_account else None

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.currency)

    @property
    def refunded_amount(self) -> Money:
        return Money(self.refunded_minor, self.currency)

    @property
    def is_paid(self) -> bool:
        return self.state in PAID

    @property
    def refundable(self) -> Money:
        """What can still be given back: neither refunded, nor on its way back, nor disputed."""
        taken = self.refunded_minor + self.refunding_minor + self.disputed_minor
        return Money(self.amount_minor - taken if self.is_paid else 0, self.currency)

    def assess(self, assessment: FraudAssessment) -> None:
        """Keep what the fraud rules found; refuse or set aside what they object to."""
        self.fraud_score = assessment.score
        self.fraud_signals = assessment.signals
        if assessment.decision is Decision.REJECT:
            self.failed("it was refused as too risky")
        elif assessment.decision is Decision.REVIEW:
            self.state = PAYMENT_STATES.check(self.state, _S.REVIEW)
            codes = tuple(signal.code for signal in assessment.signals)
            self.record(PaymentReviewRequested(order_id=self.order_id, score=assessment.score, signals=codes))

    def review(self, approved: bool, note: str | None, work: Work) -> None:
        """Decide about a payment that was set aside.

        Raises: InvalidStateTransition when it was not, or no longer is.
        """
        wanted = _S.PENDING if approved else _S.FAILED
        if self.state is not _S.REVIEW:
            raise InvalidStateTransition(kind="Payment", current=self.state, requested=wanted)
        self.state = PAYMENT_STATES.check(self.state, wanted)
        self.reviewed_by = work.actor.user_id
        self.record(PaymentReviewed(order_id=self.order_id, approved=approved, note=note))
        if not approved:
            self.failure_reason = "it was refused after a review"
            self.record(PaymentFailed(order_id=self.order_id, user_id=self.user_id, reason=self.failure_reason))

    def authorized(self, reference: str, amount: Money, work: Work) -> None:
        """Note that the money is set aside at the provider; said twice, it is noted once.

        Raises: PaymentAmountDiffers, PaymentReferenceDiffers, CurrencyMismatch, InvalidStateTransition.
        """
        self._is_about(reference, amount)
        if self.state is _S.AUTHORIZED or self.is_paid:
            return
        self.state = PAYMENT_STATES.check(self.state, _S.AUTHORIZED)
        self.reference = reference
        self.authorized_at = work.now
        self.record(PaymentAuthorized(order_id=self.order_id, amount_minor=self.amount_minor, currency=self.currency))

    def captured(self, reference: str, amount: Money, fee: Money | None, work: Work) -> bool:
        """Note that the money is there; says whether that is news.

        Money for a payment that was given up is recorded all the same, as late: the order is not paid by it.
        Raises: PaymentAmountDiffers, PaymentReferenceDiffers, CurrencyMismatch, InvalidStateTransition.
        """
        self._is_about(reference, amount)
        if self.is_paid:
            return False
        late = self.state in OVER
        self.state = PAYMENT_STATES.check(self.state, _S.CAPTURED)
        self.reference = reference
        self.fee_minor = self._fee(fee)
        self.captured_at = work.now
        self.record(
            PaymentProcessed(
                order_id=self.order_id,
                user_id=self.user_id,
                amount_minor=self.amount_minor,
                fee_minor=self.fee_minor,
                currency=self.currency,
                provider=self.provider,
                late=late,
            )
        )
        if not late:
            self.record(self._order_paid())
        return True

    def failed(self, reason: str) -> None:
        """Note that nothing was or will be paid; a failure that is reported after the money is out of date.

        Raises: InvalidStateTransition.
        """
        if self.state in OVER:
            return
        self.state = PAYMENT_STATES.check(self.state, _S.FAILED)
        self.failure_reason = reason[:500]
        self.record(PaymentFailed(order_id=self.order_id, user_id=self.user_id, reason=self.failure_reason))

    def void(self, reason: str) -> None:
        """Give up a payment before the money is taken; giving it up twice is once.

        Raises: InvalidStateTransition when the money is there: refund it.
        """
        if self.state in OVER:
            return
        self.state = PAYMENT_STATES.check(self.state, _S.VOIDED)
        self.failure_reason = reason[:500]
        self.record(PaymentVoided(order_id=self.order_id, reason=self.failure_reason))

    def mistrust(self, reported: str, reason: str) -> None:
        """Keep a report that was refused, for the audit; nothing else changes."""
        self.record(PaymentMistrusted(order_id=self.order_id, reported=reported[:200], reason=reason[:500]))

    def raise_alarm(self) -> None:
        """Note that nobody knows what became of it."""
        self.record(
            PaymentOverdue(
                order_id=self.order_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                provider=self.provider,
            )
        )

    def parts_for(self, amount: Money | None, parts: Sequence[RefundPart] = ()) -> tuple[RefundPart, ...]:
        """Say which parts a refund takes: those that are named, or its share of everything that is left.

        Raises: RefundExceedsPayment, CurrencyMismatch, InvalidInput.
        """
        refundable = self.refundable
        wanted = amount if amount is not None else refundable
        if parts:
            if any(min(part.goods_minor, part.tax_minor) < 0 or not part.total_minor for part in parts):
                raise InvalidInput(field="parts", reason="no part of a refund is zero or less")
            named = Money(sum(part.total_minor for part in parts), self.currency)
            if amount is not None and named != amount:
                raise InvalidInput(field="amount", reason="it differs from the sum of the parts")
            wanted = named
        if wanted > refundable or wanted.amount_minor <= 0:
            raise RefundExceedsPayment(requested_minor=wanted.amount_minor, refundable_minor=refundable.amount_minor)
        return tuple(parts) or spread(self.splits, wanted)

    def begin_refund(self, parts: Sequence[RefundPart]) -> int:
        """Set parts aside that are on their way back; gives their sum in minor units.

        Raises: RefundExceedsPayment, InvalidInput.
        """
        total = sum(part.total_minor for part in parts)
        if not 0 < total <= self.refundable.amount_minor:
            raise RefundExceedsPayment(requested_minor=total, refundable_minor=self.refundable.amount_minor)
        self.splits = take(self.splits, parts)
        self.refunding_minor += total
        return total

    def end_refund(self, refund_id: UUID, parts: Sequence[RefundPart], *, succeeded: bool) -> None:
        """Note that what was on its way has arrived, or has come back to us."""
        total = sum(part.total_minor for part in parts)
        self.refunding_minor -= total
        if succeeded:
            self._refunded(refund_id, total)
        else:
            self.splits = take(self.splits, [-part for part in parts])

    def reopen_refund(self, amount_minor: int) -> None:
        """Note that what had arrived came back to us: it is on its way again, as far as the buyer is concerned."""
        self.refunded_minor -= amount_minor
        self.refunding_minor += amount_minor
        self.state = PAYMENT_STATES.check(self.state, _S.PARTIALLY_REFUNDED if self.refunded_minor else _S.CAPTURED)

    def begin_dispute(self, amount: Money) -> int:
        """Set aside what a dispute is about, as far as it was not given back; gives that in minor units."""
        covered = min(amount.amount_minor, self.refundable.amount_minor)
        self.disputed_minor += covered
        return covered

    def end_dispute(self, covered_minor: int) -> None:
        """Let what a dispute was about be refundable again."""
        self.disputed_minor -= covered_minor

    def charge_back(self, dispute_id: UUID, parts: Sequence[RefundPart]) -> None:
        """Give parts up that a buyer's bank has taken back.

        Raises: RefundExceedsPayment, InvalidInput.
        """
        self.splits = take(self.splits, parts)
        self._refunded(dispute_id, sum(part.total_minor for part in parts))

    def _refunded(self, cause_id: UUID, amount_minor: int) -> None:
        self.refunded_minor += amount_minor
        full = self.refunded_minor == self.amount_minor
        self.state = PAYMENT_STATES.check(self.state, _S.REFUNDED if full else _S.PARTIALLY_REFUNDED)
        self.record(
            PaymentRefunded(
                order_id=self.order_id,
                refund_id=cause_id,
                amount_minor=amount_minor,
                refunded_minor=self.refunded_minor,
                currency=self.currency,
                full=full,
            )
        )

    def _is_about(self, reference: str, amount: Money) -> None:
        self._require_currency(amount)
        if amount != self.amount:
            raise PaymentAmountDiffers(expected=_text(self.amount), actual=_text(amount))
        if self.reference is not None and reference != self.reference:
            raise PaymentReferenceDiffers(expected=self.reference, actual=reference)

    def _require_currency(self, amount: Money) -> None:
        if amount.currency != self.currency:
            raise CurrencyMismatch(expected=self.currency, actual=amount.currency)

    def _fee(self, fee: Money | None) -> int:
        if fee is None:
            return 0
        self._require_currency(fee)
        if not 0 <= fee.amount_minor <= self.amount_minor:
            raise InvalidInput(field="fee", reason="it is negative or exceeds the payment")
        return fee.amount_minor

    def _order_paid(self) -> OrderPaid:
        return OrderPaid(
            order_id=self.order_id,
            payment_id=self.id,
            user_id=self.user_id,
            amount_minor=self.amount_minor,
            currency=self.currency,
            seller_ids=tuple(split.seller_id for split in self.splits if split.seller_id is not None),
        )


def _text(amount: Money) -> str:
    return f"{amount.decimal} {amount.currency}"


class Payments(Protocol):
    """Payments for change; what `lock` and `by_reference` give is locked until the transaction ends."""

    def add(self, payment: Payment) -> None: ...

    async def get(self, payment_id: UUID) -> Payment | None: ...

    async def lock(self, payment_id: UUID) -> Payment | None: ...

    async def by_order(self, order_id: UUID) -> Sequence[Payment]:
        """Give an order's payments, locked, the first one first."""
        ...

    async def by_reference(self, provider: str, reference: str) -> Payment | None: ...

    async def waiting(self, since: datetime, until: datetime) -> Sequence[Payment]:
        """Give payments by card or wallet that were opened in a time (`until` is exclusive) and are still pending."""
        ...


async def locked(payments: Payments, payment_id: UUID) -> Payment:
    """Lock a payment.

    Raises: NotFound.
    """
    payment = await payments.lock(payment_id)
    if payment is None:
        raise NotFound(kind="Payment", id=str(payment_id))
    return payment
