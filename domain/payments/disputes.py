"""Disputes: a buyer's bank takes the money back at once; until it is decided, the escrow is frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Transitions, Work, event
from domain.money import CurrencyMismatch, Money
from domain.payments.escrow import EscrowHold, EscrowHolds, take_back
from domain.payments.ledger import Ledger
from domain.payments.payment import Payment, Payments, locked
from domain.payments.postings import dispute_lost_posting, dispute_posting, dispute_won_posting
from domain.payments.releasing import post_released
from domain.payments.splits import spread

MAX_EVIDENCE = 20


class DisputeState(StrEnum):
    """Where a dispute stands."""

    OPENED = "opened"
    EVIDENCE = "evidence"
    WON = "won"
    LOST = "lost"


_S = DisputeState
DISPUTE_STATES = Transitions(
    "Dispute",
    _S.OPENED,
    {_S.OPENED: {_S.EVIDENCE, _S.WON, _S.LOST}, _S.EVIDENCE: {_S.EVIDENCE, _S.WON, _S.LOST}, _S.WON: (), _S.LOST: ()},
)


@event("payment.dispute_raised")
@dataclass(frozen=True, kw_only=True)
class DisputeRaised(Event):
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str


@event("payment.dispute_closed")
@dataclass(frozen=True, kw_only=True)
class DisputeClosed(Event):
    payment_id: UUID
    order_id: UUID
    outcome: DisputeState
    amount_minor: int
    currency: str


@event("payment.dispute_contradicted")
@dataclass(frozen=True, kw_only=True)
class DisputeContradicted(Event):
    """The bank reports another decision than the one that is booked: somebody has to find out, and put the books right."""

    payment_id: UUID
    order_id: UUID
    booked: DisputeState
    reported: DisputeState
    amount_minor: int
    currency: str


@dataclass(eq=False, kw_only=True)
class Dispute(Aggregate):
    """One chargeback; amounts in minor units. `covered_minor` is what the payment still had to cover it with.

    `contradiction` is what the bank has reported since against the decision that is booked.
    """

    payment_id: UUID
    order_id: UUID
    provider: str
    reference: str
    amount_minor: int
    covered_minor: int
    fee_minor: int = 0
    currency: str
    reason: str
    state: DisputeState = DisputeState.OPENED
    contradiction: DisputeState | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    opened_at: datetime
    due_by: datetime | None = None
    closed_at: datetime | None = None

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def is_open(self) -> bool:
        return self.state in {_S.OPENED, _S.EVIDENCE}

    def open(self) -> None:
        """Note that it was raised."""
        self.record(
            DisputeRaised(
                payment_id=self.payment_id,
                order_id=self.order_id,
                amount_minor=self.amount_minor,
                currency=self.currency,
                reason=self.reason,
            )
        )

    def submit(self, evidence: Mapping[str, Any], work: Work) -> None:
        """Add evidence, until it is due or decided.

        Raises: InvalidStateTransition, InvalidInput.
        """
        if self.due_by is not None and work.now > self.due_by:
            raise InvalidInput(field="evidence", reason=f"it was due by {self.due_by.isoformat()}")
        together = {**self.evidence, **evidence}
        if not evidence or len(together) > MAX_EVIDENCE:
            raise InvalidInput(field="evidence", reason=f"there are between 1 and {MAX_EVIDENCE} pieces of it")
        self.state = DISPUTE_STATES.check(self.state, _S.EVIDENCE)
        self.evidence = together

    def close(self, outcome: DisputeState, work: Work) -> bool:
        """Note the bank's decision; says whether it is news.

        Raises: InvalidStateTransition when it was decided otherwise before.
        """
        if self.state is outcome:
            return False
        self.state = DISPUTE_STATES.check(self.state, outcome)
        self.closed_at = work.now
        self.record(
            DisputeClosed(
                payment_id=self.payment_id,
                order_id=self.order_id,
                outcome=outcome,
                amount_minor=self.amount_minor,
                currency=self.currency,
            )
        )
        return True

    def contradict(self, reported: DisputeState) -> None:
        """Keep the bank's word against a decision that was booked before, for a person; said twice, it is kept once."""
        if self.is_open or reported in {self.state, self.contradiction}:
            return
        self.contradiction = reported
        self.record(
            DisputeContradicted(
                payment_id=self.payment_id,
                order_id=self.order_id,
                booked=self.state,
                reported=reported,
                amount_minor=self.amount_minor,
                currency=self.currency,
            )
        )


class Disputes(Protocol):
    """Disputes for change; what `lock` gives is locked until the transaction ends."""

    def add(self, dispute: Dispute) -> None: ...

    async def payment_of(self, dispute_id: UUID) -> UUID | None:
        """Say which payment must be locked before a dispute."""
        ...

    async def by_reference(self, provider: str, reference: str) -> Dispute | None: ...

    async def lock(self, dispute_id: UUID) -> Dispute | None: ...

    async def are_open(self, payment_id: UUID, but: UUID | None = None) -> bool:
        """Say whether a payment has an open dispute, one of them left aside."""
        ...


@dataclass(frozen=True, kw_only=True)
class OpenDispute:
    """Record a chargeback as the provider reports it."""

    payment_id: UUID
    reference: str
    amount: Money
    reason: str
    fee: Money | None = None
    due_by: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SubmitDisputeEvidence:
    """Add what speaks for the seller, by name: texts, or addresses of files."""

    dispute_id: UUID
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CloseDispute:
    """Record the bank's decision."""

    dispute_id: UUID
    won: bool


async def open_dispute(
    command: OpenDispute, work: Work, payments: Payments, disputes: Disputes, holds: EscrowHolds, ledger: Ledger
) -> Dispute:
    """Record a chargeback and freeze what is held of the payment; reported twice, it is recorded once.

    Raises: NotFound, InvalidInput, CurrencyMismatch.
    """
    payment = await locked(payments, command.payment_id)
    known = await disputes.by_reference(payment.provider, command.reference)
    if known is not None:
        return known
    fee = _checked(payment, command)
    covered = payment.begin_dispute(command.amount)
    dispute = Dispute(
        tenant_id=payment.tenant_id,
        payment_id=payment.id,
        order_id=payment.order_id,
        provider=payment.provider,
        reference=command.reference,
        amount_minor=command.amount.amount_minor,
        covered_minor=covered,
        fee_minor=fee,
        currency=payment.currency,
        reason=command.reason,
        opened_at=work.now,
        due_by=command.due_by,
    )
    dispute.open()
    disputes.add(dispute)
    for hold in await holds.of_payment(payment.id):
        hold.freeze(dispute.id)
    await ledger.post(dispute_posting(payment, dispute.id, dispute.amount_minor, fee, work))
    return dispute


async def submit_dispute_evidence(command: SubmitDisputeEvidence, work: Work, disputes: Disputes) -> Dispute:
    """Add evidence.

    Raises: NotFound, InvalidInput, InvalidStateTransition.
    """
    dispute = await disputes.lock(command.dispute_id)
    if dispute is None:
        raise NotFound(kind="Dispute", id=str(command.dispute_id))
    dispute.submit(command.evidence, work)
    return dispute


async def close_dispute(
    command: CloseDispute, work: Work, payments: Payments, disputes: Disputes, holds: EscrowHolds, ledger: Ledger
) -> Dispute:
    """Record the decision: the money comes back to us, or is taken from whoever had its parts.

    Raises: NotFound, InvalidStateTransition.
    """
    payment_id = await disputes.payment_of(command.dispute_id)
    if payment_id is None:
        raise NotFound(kind="Dispute", id=str(command.dispute_id))
    payment = await locked(payments, payment_id)
    dispute = await disputes.lock(command.dispute_id)
    assert dispute is not None  # noqa: S101 — disputes are never taken away.
    outcome = _S.WON if command.won else _S.LOST
    if dispute.close(outcome, work):
        held = await holds.of_payment(payment.id)
        payment.end_dispute(dispute.covered_minor)
        if command.won:
            await ledger.post(dispute_won_posting(payment, dispute.id, dispute.amount_minor, work))
        else:
            await _lose(payment, dispute, held, work, ledger)
        if not await disputes.are_open(payment.id, dispute.id):
            await post_released([(hold, hold.thaw(work)) for hold in held], work, ledger)
    return dispute


async def _lose(payment: Payment, dispute: Dispute, held: Sequence[EscrowHold], work: Work, ledger: Ledger) -> None:
    parts = spread(payment.splits, Money(dispute.covered_minor, dispute.currency)) if dispute.covered_minor else ()
    taken = take_back(held, parts)
    if parts:
        payment.charge_back(dispute.id, parts)
    await ledger.post(dispute_lost_posting(payment, dispute.id, dispute.amount_minor, parts, taken, work))


def _checked(payment: Payment, command: OpenDispute) -> int:
    for amount in (command.amount, command.fee):
        if amount is not None and amount.currency != payment.currency:
            raise CurrencyMismatch(expected=payment.currency, actual=amount.currency)
    if not payment.is_paid or not 0 < command.amount.amount_minor <= payment.amount_minor:
        raise InvalidInput(field="amount", reason="only what was paid can be disputed")
    if command.fee is not None and command.fee.amount_minor < 0:
        raise InvalidInput(field="fee", reason="it cannot be negative")
    return 0 if command.fee is None else command.fee.amount_minor
