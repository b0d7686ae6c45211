"""Payments and refunds, escrow and payouts, the ledger, disputes and reconciliation."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from domain import payments as domain
from domain.payments import providers
from domain.processes import configuring, intents
from resolvers import payments as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    Money,
    Node,
    attribute,
    bulk,
    computed,
    connection,
    money,
    money_of,
    permission,
)
from schema.scalars import JSON, BigInt

READ = permission("payments.read")
REFUND = permission("payments.refund")
MANAGE = permission("payments.manage")
PAYOUT = permission("payments.payout")
RECONCILE = permission("payments.reconcile")
REVIEW = permission("payments.review")

for _choices in (
    domain.AccountKind,
    domain.DiscrepancyKind,
    domain.DiscrepancyState,
    domain.DisputeState,
    domain.EscrowState,
    domain.MethodKind,
    domain.MovementKind,
    domain.PaymentState,
    domain.PayoutSchedule,
    domain.PayoutState,
    domain.PostingKind,
    domain.RefundState,
    domain.SettlementState,
    providers.ChargeStatus,
    providers.CircuitState,
):
    enum_of(_choices)


def _amounts(_context: Context, amounts: Sequence[tuple[int | None, str]]) -> list[Money | None]:
    return [None if minor is None else money(int(minor), currency) for minor, currency in amounts]


def _amount(column: str, currency: str = "currency", *, nullable: bool = False, **options: Any) -> Any:
    return computed(_amounts, Money | None if nullable else Money, key=(column, currency), **options)


@strawberry.type(description="Money on its way back to a buyer, or there.")
class Refund:
    __reads__ = (domain.Refund,)

    id: UUID
    payment_id: UUID
    amount = _amount("amount_minor")
    state: domain.RefundState
    attempts: int = strawberry.field(description="How often it was tried in vain.")
    reason: str | None
    failure: str | None
    requested_at: datetime
    settled_at: datetime | None


@strawberry.type(description="One thing that speaks against a payment.")
class FraudSignal:
    __reads__ = (domain.FraudSignal,)

    code: str
    points: int


@strawberry.federation.type(keys=["id"], description="What one order costs and how it is paid.")
class Payment(Node):
    __references__ = {"id": resolvers.payments_by_id}
    __reads__ = (domain.Payment,)

    id: UUID
    version: int
    order_id: UUID
    state: domain.PaymentState
    provider: str
    method_kind: domain.MethodKind
    card_brand: str | None
    card_last4: str | None
    amount = _amount("amount_minor")
    refunded = _amount("refunded_minor", description="What has been given back.")
    refunding = _amount("refunding_minor", description="What is on its way back.")
    failure_reason: str | None
    opened_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None
    reference: str | None = attribute(who=READ, description="The provider's name for it.")
    fee_minor: BigInt = attribute(who=READ, description="What the provider keeps, in minor units.")
    fraud_score: int = attribute(who=READ, description="0 to 100; the higher, the more suspicious.")
    fraud_signals: list[FraudSignal] = attribute(who=READ)
    reviewed_by: UUID | None = attribute(who=READ)
    refunds: list[Refund] = bulk(resolvers.refunds_of_payments, key="id", who=AUTHENTICATED)


@strawberry.type(description="What is held of a payment for one seller until the goods have arrived.")
class EscrowHold:
    __reads__ = (domain.EscrowHold,)

    id: UUID
    order_id: UUID
    sub_order_id: UUID
    seller_id: UUID
    state: domain.EscrowState
    amount = _amount("amount_minor")
    held = _amount("held_minor")
    released = _amount("released_minor")
    commission = _amount("commission_minor")
    held_at: datetime
    released_at: datetime | None


@strawberry.type(description="What was released of an order: the holds as they are now.")
class EscrowRelease:
    __reads__ = (domain.EscrowRelease,)

    order_id: UUID
    holds: list[EscrowHold]


@strawberry.federation.type(keys=["id"])
class Order:
    id: UUID
    payments: list[Payment] = bulk(resolvers.payments_of_orders, key="id", who=AUTHENTICATED)
    escrow: list[EscrowHold] = bulk(resolvers.escrow_of_orders, key="id", who=AUTHENTICATED)


@strawberry.type(
    description="A method of payment that its owner keeps; the card's number is known to the provider only."
)
class PaymentMethod:
    __reads__ = (domain.SavedMethod,)

    id: UUID
    kind: domain.MethodKind
    provider: str
    brand: str | None
    last4: str | None
    expires_on: date | None
    is_default: bool


@strawberry.federation.type(keys=["id"], description="One transfer of earnings to a seller.")
class Payout(Node):
    __references__ = {"id": resolvers.payouts_by_id}
    __reads__ = (domain.Payout,)

    id: UUID
    version: int
    seller_id: UUID
    state: domain.PayoutState
    amount = _amount("amount_minor")
    fee = _amount("fee_minor")
    provider: str
    destination: str
    scheduled_for: date
    attempts: int
    reference: str | None
    failure: str | None
    requested_at: datetime
    paid_at: datetime | None


@strawberry.type(description="Where a seller's earnings in one currency go.")
class PayoutAccount:
    __reads__ = (domain.PayoutAccount,)

    id: UUID
    version: int
    seller_id: UUID
    currency: str
    provider: str
    destination: str
    place: str = strawberry.field(description="The province or country on whose business days the seller is paid.")
    is_active: bool


@strawberry.type(description="What the tenant has settled about commission, payouts and suspicious payments.")
class PayoutPolicy:
    __reads__ = (domain.PaymentPolicy,)

    version: int
    commission_rate: Decimal = strawberry.field(description="A share of one.")
    payout_minimum_minor: BigInt
    payout_schedule: domain.PayoutSchedule
    payout_delay_days: int = strawberry.field(description="Business days from the release to the payout.")
    transfer_days: int = strawberry.field(description="So long a buyer has for a bank transfer, in days.")
    review_score: int = strawberry.field(description="From this score on, somebody looks at a payment first.")
    reject_score: int = strawberry.field(description="From this score on, a payment is refused.")


@strawberry.type(description="A payment provider as the tenant has set it up; its secret is never told.")
class PaymentProvider:
    __reads__ = (configuring.ProviderSetup,)

    name = computed(lambda setup, _context: setup.provider, str)
    methods: list[str] = strawberry.field(description="What one can pay by there.")
    is_active: bool = strawberry.field(description="Whether buyers can pay by it.")
    has_credentials = computed(
        lambda setup, _context: setup.credentials_changed_at is not None,
        bool,
        description="Whether the tenant has a secret of its own with it.",
    )
    credentials_changed_at: datetime | None
    webhook_endpoint: UUID | None = strawberry.field(
        description="Where the tenant's own account sends its webhooks: /webhooks/<name>/<endpoint>."
    )


@strawberry.type(description="How a provider did lately, as the process saw it that answers.")
class ProviderHealth:
    __reads__ = (providers.ProviderHealth,)

    provider: str
    state: providers.CircuitState = strawberry.field(description="Open: it is left alone for a while.")
    window_seconds: int = strawberry.field(description="How far back the numbers reach.")
    attempts: int
    failures: int
    success_rate: float | None
    p50_milliseconds: float | None
    p95_milliseconds: float | None
    p99_milliseconds: float | None
    last_success_at: datetime | None
    last_failure_at: datetime | None


@strawberry.type(description="A payment that waits for its buyer, as its provider knows it.")
class PaymentIntent:
    __reads__ = (intents.PaymentIntent,)

    payment_id: UUID
    order_id: UUID
    provider: str
    status: providers.ChargeStatus
    amount = computed(lambda intent, _context: money_of(intent.amount), Money)
    reference: str = strawberry.field(description="The provider's name for it; what a bank transfer has to name.")
    client_secret = computed(
        lambda intent, _context: intent.next_action, str | None, description="What the buyer's client needs to go on."
    )
    reason: str | None


@strawberry.type(description="What a seller has in one currency.")
class SellerBalance:
    currency: str
    held = _amount("held_minor", description="In escrow.")
    due = _amount(
        "due_minor", description="Released and not yet paid out; below zero after refunds of what was paid out."
    )


@strawberry.type(description="What stands on one account: debits above zero, credits below.")
class LedgerBalance:
    account: str
    kind: domain.AccountKind
    owner: UUID | None = strawberry.field(description="The seller, where sellers have accounts of their own.")
    amount = _amount("amount_minor")


@strawberry.type(description="One side of a posting: debits above zero, credits below.")
class LedgerEntry:
    account: str
    kind: domain.AccountKind
    owner: UUID | None
    amount = _amount("amount_minor")


@strawberry.type(description="One movement of money; its entries sum to zero in each currency.")
class LedgerPosting:
    id: UUID
    kind: domain.PostingKind
    reference: str
    order_id: UUID | None
    payment_id: UUID | None
    memo: str | None
    at: datetime
    entries: list[LedgerEntry] = bulk(resolvers.entries_of_postings, key="id", who=READ)


@strawberry.type(description="A chargeback: the buyer's bank has taken the money back until it is decided.")
class PaymentDispute:
    __reads__ = (domain.Dispute,)

    id: UUID
    version: int
    payment_id: UUID
    order_id: UUID
    provider: str
    reference: str
    reason: str
    state: domain.DisputeState
    contradiction: domain.DisputeState | None = strawberry.field(
        description="What the bank has reported since against the decision that is booked; somebody has to look."
    )
    amount = _amount("amount_minor")
    fee = _amount("fee_minor")
    evidence: JSON
    opened_at: datetime
    due_by: datetime | None
    closed_at: datetime | None


@strawberry.type(description="One difference between a provider's statement and our books.")
class Discrepancy:
    __reads__ = (domain.Discrepancy,)

    id: UUID
    run_id: UUID
    kind: domain.DiscrepancyKind
    movement: domain.MovementKind
    reference: str
    state: domain.DiscrepancyState
    ours = _amount("ours_minor", "ours_currency", nullable=True)
    theirs = _amount("theirs_minor", "theirs_currency", nullable=True)
    note: str | None
    resolved_by: UUID | None
    resolved_at: datetime | None


@strawberry.type(description="One statement of a provider, compared with our books.")
class ReconciliationRun:
    __reads__ = (domain.ReconciliationRun,)

    id: UUID
    provider: str
    since: datetime
    until: datetime
    lines: int
    matched: int
    discrepancy_count: int
    run_at: datetime
    run_by: UUID | None
    discrepancies: connection(Discrepancy) = bulk(  # type: ignore[valid-type]
        resolvers.discrepancies_of_runs, key="id", who=READ
    )


@strawberry.type(description="What a provider owes us for one day of UTC in one currency.")
class Settlement:
    __reads__ = (domain.Settlement,)

    id: UUID
    version: int
    provider: str
    day: date
    state: domain.SettlementState
    gross = _amount("gross_minor", description="What was captured.")
    refunds = _amount("refunds_minor")
    returned = _amount("returned_minor", description="Refunds that came back on that day.")
    payouts = _amount("payouts_minor")
    fees = _amount("fees_minor")
    net = _amount("net_minor", description="What is left of it.")
    movements: int
    settled_at: datetime | None


@strawberry.type(description="A provider's day: one settlement for each currency.")
class SettledDay:
    __reads__ = (domain.SettledDay,)

    provider: str
    day: date
    settlements: list[Settlement]


@strawberry.type(description="How a payment stands; follow on after the cursor.")
class PaymentStatusChanged:
    __reads__ = (resolvers.PaymentChange,)

    cursor: str
    payment: Payment
