"""The tables of payments, and how aggregates are mapped onto them."""

from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeDecorator

from data.kernel import (
    TENANT_OWNED,
    Choice,
    json_column,
    map_aggregate,
    metadata,
    money_column,
    refuses,
    tenant_table,
    timestamp,
)
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists
from domain.payments import (
    Discrepancy,
    DiscrepancyKind,
    DiscrepancyState,
    Dispute,
    DisputeState,
    EscrowHold,
    EscrowState,
    FraudSignal,
    MethodKind,
    MovementKind,
    Payment,
    PaymentPolicy,
    PaymentState,
    Payout,
    PayoutAccount,
    PayoutSchedule,
    PayoutState,
    PostingKind,
    ProviderCredential,
    ReconciliationRun,
    Refund,
    RefundExceedsPayment,
    RefundPart,
    RefundState,
    SavedMethod,
    Settlement,
    SettlementState,
    Split,
    TakenBack,
    UnbalancedPosting,
)

T = TypeVar("T")


class Values(TypeDecorator[tuple[T, ...]], Generic[T]):
    """Value objects of one kind, kept as a JSON list."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: tuple[T, ...] | None, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(() if value is None else value)

    def process_result_value(self, value: Any, dialect: Any) -> tuple[T, ...]:  # noqa: ARG002 — see above.
        return tuple(from_json(each, self.kind) for each in value or ())


def _values(name: str, kind: type) -> Column[Any]:
    return Column(name, Values(kind), nullable=False, server_default="[]")


def _choice(name: str, choices: type[StrEnum]) -> Column[Any]:
    return Column(name, Choice(choices), nullable=False)


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Uuid, nullable=nullable)


payment = tenant_table(
    "payments",
    "payment",
    _id("order_id"),
    _id("user_id", nullable=True),
    _text("provider"),
    Column("own_account", Boolean, nullable=False, server_default="false"),
    _choice("method_kind", MethodKind),
    _text("method_token"),
    _text("fingerprint", nullable=True),
    _text("card_brand", nullable=True),
    _text("card_last4", nullable=True),
    money_column("amount_minor"),
    _text("currency"),
    _values("splits", Split),
    _choice("state", PaymentState),
    _text("reference", nullable=True),
    money_column("fee_minor"),
    money_column("refunding_minor"),
    money_column("refunded_minor"),
    money_column("disputed_minor"),
    _text("failure_reason", nullable=True),
    Column("fraud_score", Integer, nullable=False),
    _values("fraud_signals", FraudSignal),
    _id("reviewed_by", nullable=True),
    timestamp("opened_at"),
    timestamp("authorized_at", nullable=True),
    timestamp("captured_at", nullable=True),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    CheckConstraint("fee_minor BETWEEN 0 AND amount_minor", name="fee_within_amount"),
    CheckConstraint(
        "refunding_minor >= 0 AND refunded_minor >= 0 AND disputed_minor >= 0"
        " AND refunding_minor + refunded_minor + disputed_minor <= amount_minor",
        name="refunds_within_amount",
    ),
    UniqueConstraint("tenant_id", "provider", "reference"),
    Index("ix_payment_order_id", "tenant_id", "order_id"),
    Index("ix_payment_user_id", "tenant_id", "user_id", "opened_at"),
    Index("ix_payment_fingerprint", "tenant_id", "fingerprint", "opened_at"),
    Index("ix_payment_captured_at", "tenant_id", "provider", "captured_at"),
    Index("ix_payment_state", "tenant_id", "state", "id"),
    Index(
        "uq_payment_one_open",
        "tenant_id",
        "order_id",
        unique=True,
        postgresql_where=text("state IN ('pending', 'review', 'authorized')"),
    ),
)

refund = tenant_table(
    "payments",
    "refund",
    _id("payment_id"),
    _id("order_id"),
    money_column("amount_minor"),
    _text("currency"),
    _values("parts", RefundPart),
    _values("taken", TakenBack),
    _text("reason", nullable=True),
    _choice("state", RefundState),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _text("provider"),
    _text("reference", nullable=True),
    _text("failure", nullable=True),
    _id("requested_by", nullable=True),
    timestamp("requested_at"),
    timestamp("settled_at", nullable=True),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    Index("ix_refund_payment_id", "tenant_id", "payment_id"),
    Index("ix_refund_settled_at", "tenant_id", "provider", "settled_at"),
    Index("ix_refund_reference", "tenant_id", "provider", "reference", unique=True),
    Index("ix_refund_returned", "tenant_id", "id", postgresql_where=text("state = 'returned'")),
)

refund_return = tenant_table(
    "payments",
    "refund_return",
    _id("refund_id"),
    Column("attempt", Integer, nullable=False),
    _text("provider"),
    _text("reference"),
    money_column("amount_minor"),
    _text("currency"),
    timestamp("sent_at"),
    timestamp("returned_at"),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    UniqueConstraint("tenant_id", "refund_id", "attempt"),
    Index("ix_refund_return_sent_at", "tenant_id", "provider", "sent_at"),
    Index("ix_refund_return_returned_at", "tenant_id", "provider", "returned_at"),
    Index("ix_refund_return_reference", "tenant_id", "provider", "reference"),
    root=False,
)

dispute = tenant_table(
    "payments",
    "dispute",
    _id("payment_id"),
    _id("order_id"),
    _text("provider"),
    _text("reference"),
    money_column("amount_minor"),
    money_column("covered_minor"),
    money_column("fee_minor"),
    _text("currency"),
    _text("reason"),
    _choice("state", DisputeState),
    Column("contradiction", Choice(DisputeState)),
    json_column("evidence"),
    timestamp("opened_at"),
    timestamp("due_by", nullable=True),
    timestamp("closed_at", nullable=True),
    CheckConstraint("covered_minor BETWEEN 0 AND amount_minor", name="covered_within_amount"),
    UniqueConstraint("tenant_id", "provider", "reference"),
    Index("ix_dispute_payment_id", "tenant_id", "payment_id"),
    Index("ix_dispute_state", "tenant_id", "state", "id"),
)

escrow_hold = tenant_table(
    "payments",
    "escrow_hold",
    _id("payment_id"),
    _id("order_id"),
    _id("sub_order_id"),
    _id("seller_id"),
    _text("currency"),
    money_column("amount_minor"),
    Column("commission_rate", Numeric(6, 5), nullable=False),
    money_column("refunded_minor"),
    money_column("released_minor"),
    money_column("returned_minor"),
    money_column("commission_minor"),
    Column("turns", Integer, nullable=False),
    Column("is_due", Boolean, nullable=False),
    _choice("state", EscrowState),
    timestamp("held_at"),
    timestamp("released_at", nullable=True),
    CheckConstraint(
        "refunded_minor >= 0 AND released_minor >= 0 AND refunded_minor + released_minor <= amount_minor",
        name="within_amount",
    ),
    CheckConstraint("returned_minor BETWEEN 0 AND released_minor", name="returned_within_released"),
    UniqueConstraint("tenant_id", "payment_id", "sub_order_id"),
    Index("ix_escrow_hold_order_id", "tenant_id", "order_id"),
    Index("ix_escrow_hold_seller_id", "tenant_id", "seller_id", "id"),
)

saved_method = tenant_table(
    "payments",
    "saved_method",
    _id("user_id"),
    _choice("kind", MethodKind),
    _text("provider"),
    _text("token"),
    _text("brand", nullable=True),
    _text("last4", nullable=True),
    Column("expires_on", Date),
    Column("is_default", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "user_id", "provider", "token"),
)

posting = tenant_table(
    "payments",
    "posting",
    _choice("kind", PostingKind),
    _text("reference"),
    _id("order_id", nullable=True),
    _id("payment_id", nullable=True),
    _text("memo", nullable=True),
    timestamp("at"),
    UniqueConstraint("tenant_id", "kind", "reference"),
    Index("ix_posting_order_id", "tenant_id", "order_id", "id"),
    Index("ix_posting_payment_id", "tenant_id", "payment_id", "id"),
    root=False,
)

entry = Table(
    "entry",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("posting_id", Uuid, nullable=False),
    _text("account"),
    _text("currency"),
    money_column("amount_minor"),
    CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
    Index("ix_entry_posting_id", "posting_id"),
    Index("ix_entry_account", "tenant_id", "account", "currency", postgresql_include=["amount_minor"]),
    schema="payments",
    info={TENANT_OWNED: True},
)

policy = tenant_table(
    "payments",
    "policy",
    Column("commission_rate", Numeric(6, 5), nullable=False),
    money_column("payout_minimum_minor"),
    _choice("payout_schedule", PayoutSchedule),
    Column("payout_delay_days", Integer, nullable=False),
    Column("transfer_days", Integer, nullable=False, server_default="7"),
    Column("review_score", Integer, nullable=False),
    Column("reject_score", Integer, nullable=False),
    Column("inactive_providers", ARRAY(Text, as_tuple=True), nullable=False, server_default="{}"),
    Column("own_accounts", ARRAY(Text, as_tuple=True), nullable=False, server_default="{}"),
    CheckConstraint("commission_rate >= 0 AND commission_rate < 1", name="commission_range"),
    CheckConstraint("payout_delay_days BETWEEN 1 AND 3", name="payout_delay_range"),
    CheckConstraint("transfer_days BETWEEN 1 AND 60", name="transfer_days_range"),
    UniqueConstraint("tenant_id"),
)

provider_credential = tenant_table(
    "payments",
    "provider_credential",
    _text("provider"),
    _text("sealed"),
    _text("webhook_sealed", nullable=True),
    timestamp("changed_at"),
    UniqueConstraint("tenant_id", "provider"),
)

payout_account = tenant_table(
    "payments",
    "payout_account",
    _id("seller_id"),
    _text("currency"),
    _text("provider"),
    _text("destination"),
    Column("place", Text, nullable=False, server_default="CA"),
    Column("is_active", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "seller_id", "currency"),
)

payout = tenant_table(
    "payments",
    "payout",
    _id("seller_id"),
    money_column("amount_minor"),
    _text("currency"),
    _text("provider"),
    Column("own_account", Boolean, nullable=False, server_default="false"),
    _text("destination"),
    Column("place", Text, nullable=False, server_default="CA"),
    Column("scheduled_for", Date, nullable=False),
    _choice("state", PayoutState),
    Column("attempts", Integer, nullable=False),
    _text("reference", nullable=True),
    money_column("fee_minor"),
    _text("failure", nullable=True),
    timestamp("requested_at"),
    timestamp("paid_at", nullable=True),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    Index("ix_payout_seller_id", "tenant_id", "seller_id", "id"),
    Index("ix_payout_state", "tenant_id", "state", "scheduled_for", "id"),
    Index("ix_payout_paid_at", "tenant_id", "provider", "paid_at"),
)

reconciliation_run = tenant_table(
    "payments",
    "reconciliation_run",
    _text("provider"),
    timestamp("since"),
    timestamp("until"),
    _text("digest"),
    Column("lines", Integer, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("discrepancy_count", Integer, nullable=False),
    _id("run_by", nullable=True),
    timestamp("run_at"),
    UniqueConstraint("tenant_id", "provider", "digest"),
)

discrepancy = tenant_table(
    "payments",
    "discrepancy",
    _id("run_id"),
    _choice("kind", DiscrepancyKind),
    _choice("movement", MovementKind),
    _text("reference"),
    money_column("ours_minor", nullable=True),
    _text("ours_currency", nullable=True),
    money_column("theirs_minor", nullable=True),
    _text("theirs_currency", nullable=True),
    _choice("state", DiscrepancyState),
    _text("note", nullable=True),
    _id("resolved_by", nullable=True),
    timestamp("resolved_at", nullable=True),
    Index("ix_discrepancy_run_id", "tenant_id", "run_id", "id"),
    Index("ix_discrepancy_state", "tenant_id", "state", "id"),
)

settlement = tenant_table(
    "payments",
    "settlement",
    _text("provider"),
    Column("day", Date, nullable=False),
    _text("currency"),
    money_column("gross_minor"),
    money_column("refunds_minor"),
    Column("returned_minor", BigInteger, nullable=False, server_default="0"),
    money_column("payouts_minor"),
    money_column("fees_minor"),
    Column("movements", Integer, nullable=False),
    _choice("state", SettlementState),
    timestamp("settled_at", nullable=True),
    UniqueConstraint("tenant_id", "provider", "day", "currency"),
)

map_aggregate(Payment, payment)
map_aggregate(Settlement, settlement)
map_aggregate(Refund, refund)
map_aggregate(Dispute, dispute)
map_aggregate(EscrowHold, escrow_hold)
map_aggregate(SavedMethod, saved_method)
map_aggregate(PaymentPolicy, policy)
map_aggregate(ProviderCredential, provider_credential)
map_aggregate(PayoutAccount, payout_account)
map_aggregate(Payout, payout)
map_aggregate(ReconciliationRun, reconciliation_run)
map_aggregate(Discrepancy, discrepancy)

# The constraints are the last line of defence: the aggregates refuse first, with exact numbers.
for _constraint in (
    "payment_refunds_within_amount",
    "escrow_hold_within_amount",
    "escrow_hold_returned_within_released",
):
    refuses(f"ck_{_constraint}", lambda _: RefundExceedsPayment(requested_minor=0, refundable_minor=0))
refuses("ck_posting_balances", lambda _: UnbalancedPosting(kind="", reference=""))
refuses("uq_payment_one_open", lambda _: AlreadyExists(kind="Payment", value="of that order"))
refuses("uq_payment_tenant_id_provider_reference", lambda _: AlreadyExists(kind="Payment", value="of that reference"))
refuses("ix_refund_reference", lambda _: AlreadyExists(kind="Refund", value="of that reference"))
refuses("uq_dispute_tenant_id_provider_reference", lambda _: AlreadyExists(kind="Dispute", value="of that reference"))
refuses(
    "uq_settlement_tenant_id_provider_day_currency",
    lambda _: AlreadyExists(kind="Settlement", value="of that provider and day"),
)
refuses(
    "uq_payout_account_tenant_id_seller_id_currency",
    lambda _: AlreadyExists(kind="PayoutAccount", value="of that seller and currency"),
)
refuses(
    "uq_provider_credential_tenant_id_provider",
    lambda _: AlreadyExists(kind="ProviderCredential", value="of that provider"),
)
refuses(
    "uq_saved_method_tenant_id_user_id_provider_token",
    lambda _: AlreadyExists(kind="PaymentMethod", value="of that token"),
)
refuses(
    "uq_reconciliation_run_tenant_id_provider_digest",
    lambda _: AlreadyExists(kind="ReconciliationRun", value="of that statement"),
)
