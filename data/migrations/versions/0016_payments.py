"""Payments: what buyers paid, the ledger, escrow, payouts, disputes and reconciliation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0016"
down_revision = "0015"

BALANCED = """
CREATE FUNCTION payments.require_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked uuid;
    entries bigint;
    unbalanced bigint;
BEGIN
    IF TG_TABLE_NAME = 'posting' THEN
        checked := NEW.id;
    ELSE
        checked := NEW.posting_id;
    END IF;
    SELECT coalesce(sum(sums.entries), 0), count(*) FILTER (WHERE sums.total <> 0) INTO entries, unbalanced
    FROM (
        SELECT count(*) AS entries, sum(amount_minor) AS total
        FROM payments.entry WHERE posting_id = checked GROUP BY currency
    ) AS sums;
    IF entries < 2 OR unbalanced > 0 THEN
        RAISE EXCEPTION 'posting % does not balance', checked
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_posting_balances', SCHEMA = 'payments', TABLE = 'posting';
    END IF;
    RETURN NULL;
END
$$
"""


def root(*columns: sa.Column) -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        *columns,
    ]


def instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def minor(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def text(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def upgrade() -> None:
    create_schema("payments")
    _payments()
    _ledger()
    _payouts()
    _reconciliation()
    for table in (
        "payment",
        "refund",
        "dispute",
        "escrow_hold",
        "saved_method",
        "posting",
        "entry",
        "policy",
        "payout_account",
        "payout",
        "reconciliation_run",
        "discrepancy",
        "settlement",
    ):
        isolate(f"payments.{table}")


def _payments() -> None:
    op.create_table(
        "payment",
        *root(
            sa.Column("order_id", sa.Uuid, nullable=False),
            sa.Column("user_id", sa.Uuid),
            *text("provider", "method_kind", "method_token"),
            *text("fingerprint", "card_brand", "card_last4", nullable=True),
            *minor("amount_minor"),
            *text("currency"),
            sa.Column("splits", postgresql.JSONB, nullable=False, server_default="[]"),
            *text("state"),
            *text("reference", nullable=True),
            *minor("fee_minor", "refunding_minor", "refunded_minor", "disputed_minor"),
            *text("failure_reason", nullable=True),
            sa.Column("fraud_score", sa.Integer, nullable=False),
            sa.Column("fraud_signals", postgresql.JSONB, nullable=False, server_default="[]"),
            sa.Column("reviewed_by", sa.Uuid),
            instant("opened_at"),
            instant("authorized_at", nullable=True),
            instant("captured_at", nullable=True),
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.CheckConstraint("fee_minor BETWEEN 0 AND amount_minor", name="fee_within_amount"),
        sa.CheckConstraint(
            "refunding_minor >= 0 AND refunded_minor >= 0 AND disputed_minor >= 0"
            " AND refunding_minor + refunded_minor + disputed_minor <= amount_minor",
            name="refunds_within_amount",
        ),
        sa.UniqueConstraint("tenant_id", "provider", "reference", name="uq_payment_tenant_id_provider_reference"),
        sa.Index("ix_payment_order_id", "tenant_id", "order_id"),
        sa.Index("ix_payment_user_id", "tenant_id", "user_id", "opened_at"),
        sa.Index("ix_payment_fingerprint", "tenant_id", "fingerprint", "opened_at"),
        sa.Index("ix_payment_captured_at", "tenant_id", "provider", "captured_at"),
        sa.Index("ix_payment_state", "tenant_id", "state", "id"),
        sa.Index(
            "uq_payment_one_open",
            "tenant_id",
            "order_id",
            unique=True,
            postgresql_where=sa.text("state IN ('pending', 'review', 'authorized')"),
        ),
        schema="payments",
    )
    op.create_table(
        "refund",
        *root(
            sa.Column("payment_id", sa.Uuid, nullable=False),
            sa.Column("order_id", sa.Uuid, nullable=False),
            *minor("amount_minor"),
            *text("currency"),
            sa.Column("parts", postgresql.JSONB, nullable=False, server_default="[]"),
            sa.Column("taken", postgresql.JSONB, nullable=False, server_default="[]"),
            *text("reason", nullable=True),
            *text("state", "provider"),
            *text("reference", "failure", nullable=True),
            sa.Column("requested_by", sa.Uuid),
            instant("requested_at"),
            instant("settled_at", nullable=True),
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.Index("ix_refund_payment_id", "tenant_id", "payment_id"),
        sa.Index("ix_refund_settled_at", "tenant_id", "provider", "settled_at"),
        sa.Index("ix_refund_reference", "tenant_id", "provider", "reference"),
        schema="payments",
    )
    op.create_table(
        "dispute",
        *root(
            sa.Column("payment_id", sa.Uuid, nullable=False),
            sa.Column("order_id", sa.Uuid, nullable=False),
            *text("provider", "reference"),
            *minor("amount_minor", "covered_minor", "fee_minor"),
            *text("currency", "reason", "state"),
            sa.Column("evidence", postgresql.JSONB, nullable=False, server_default="{}"),
            instant("opened_at"),
            instant("due_by", nullable=True),
            instant("closed_at", nullable=True),
        ),
        sa.CheckConstraint("covered_minor BETWEEN 0 AND amount_minor", name="covered_within_amount"),
        sa.UniqueConstraint("tenant_id", "provider", "reference", name="uq_dispute_tenant_id_provider_reference"),
        sa.Index("ix_dispute_payment_id", "tenant_id", "payment_id"),
        sa.Index("ix_dispute_state", "tenant_id", "state", "id"),
        schema="payments",
    )
    op.create_table(
        "escrow_hold",
        *root(
            *(sa.Column(name, sa.Uuid, nullable=False) for name in ("payment_id", "order_id", "sub_order_id", "seller_id")),
            *text("currency"),
            *minor("amount_minor"),
            sa.Column("commission_rate", sa.Numeric(6, 5), nullable=False),
            *minor("refunded_minor", "released_minor", "returned_minor", "commission_minor"),
            sa.Column("turns", sa.Integer, nullable=False),
            sa.Column("is_due", sa.Boolean, nullable=False),
            *text("state"),
            instant("held_at"),
            instant("released_at", nullable=True),
        ),
        sa.CheckConstraint(
            "refunded_minor >= 0 AND released_minor >= 0 AND refunded_minor + released_minor <= amount_minor",
            name="within_amount",
        ),
        sa.CheckConstraint("returned_minor BETWEEN 0 AND released_minor", name="returned_within_released"),
        sa.UniqueConstraint(
            "tenant_id", "payment_id", "sub_order_id", name="uq_escrow_hold_tenant_id_payment_id_sub_order_id"
        ),
        sa.Index("ix_escrow_hold_order_id", "tenant_id", "order_id"),
        sa.Index("ix_escrow_hold_seller_id", "tenant_id", "seller_id", "id"),
        schema="payments",
    )
    op.create_table(
        "saved_method",
        *root(
            sa.Column("user_id", sa.Uuid, nullable=False),
            *text("kind", "provider", "token"),
            *text("brand", "last4", nullable=True),
            sa.Column("expires_on", sa.Date),
            sa.Column("is_default", sa.Boolean, nullable=False),
        ),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "provider", "token", name="uq_saved_method_tenant_id_user_id_provider_token"
        ),
        schema="payments",
    )


def _ledger() -> None:
    op.create_table(
        "posting",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        *text("kind", "reference"),
        sa.Column("order_id", sa.Uuid),
        sa.Column("payment_id", sa.Uuid),
        *text("memo", nullable=True),
        instant("at"),
        sa.UniqueConstraint("tenant_id", "kind", "reference", name="uq_posting_tenant_id_kind_reference"),
        sa.Index("ix_posting_order_id", "tenant_id", "order_id", "id"),
        sa.Index("ix_posting_payment_id", "tenant_id", "payment_id", "id"),
        schema="payments",
    )
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("posting_id", sa.Uuid, nullable=False),
        *text("account", "currency"),
        *minor("amount_minor"),
        sa.CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        sa.Index("ix_entry_posting_id", "posting_id"),
        sa.Index(
            "ix_entry_account", "tenant_id", "account", "currency", postgresql_include=["amount_minor"]
        ),
        schema="payments",
    )
    op.execute(BALANCED)
    for table in ("posting", "entry"):
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_balances AFTER INSERT ON payments.{table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments.require_balance()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON payments.{table} FROM agora_app, agora_system")


def _payouts() -> None:
    op.create_table(
        "policy",
        *root(
            sa.Column("commission_rate", sa.Numeric(6, 5), nullable=False),
            *minor("payout_minimum_minor"),
            *text("payout_schedule"),
            sa.Column("payout_delay_days", sa.Integer, nullable=False),
            sa.Column("review_score", sa.Integer, nullable=False),
            sa.Column("reject_score", sa.Integer, nullable=False),
        ),
        sa.CheckConstraint("commission_rate >= 0 AND commission_rate < 1", name="commission_range"),
        sa.CheckConstraint("payout_delay_days BETWEEN 1 AND 3", name="payout_delay_range"),
        sa.UniqueConstraint("tenant_id", name="uq_policy_tenant_id"),
        schema="payments",
    )
    op.create_table(
        "payout_account",
        *root(
            sa.Column("seller_id", sa.Uuid, nullable=False),
            *text("currency", "provider", "destination"),
            sa.Column("is_active", sa.Boolean, nullable=False),
        ),
        sa.UniqueConstraint(
            "tenant_id", "seller_id", "currency", name="uq_payout_account_tenant_id_seller_id_currency"
        ),
        schema="payments",
    )
    op.create_table(
        "payout",
        *root(
            sa.Column("seller_id", sa.Uuid, nullable=False),
            *minor("amount_minor"),
            *text("currency", "provider", "destination"),
            sa.Column("scheduled_for", sa.Date, nullable=False),
            *text("state"),
            sa.Column("attempts", sa.Integer, nullable=False),
            *text("reference", nullable=True),
            *minor("fee_minor"),
            *text("failure", nullable=True),
            instant("requested_at"),
            instant("paid_at", nullable=True),
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.Index("ix_payout_seller_id", "tenant_id", "seller_id", "id"),
        sa.Index("ix_payout_state", "tenant_id", "state", "scheduled_for", "id"),
        sa.Index("ix_payout_paid_at", "tenant_id", "provider", "paid_at"),
        schema="payments",
    )


def _reconciliation() -> None:
    op.create_table(
        "reconciliation_run",
        *root(
            *text("provider"),
            instant("since"),
            instant("until"),
            *text("digest"),
            *(sa.Column(name, sa.Integer, nullable=False) for name in ("lines", "matched", "discrepancy_count")),
            sa.Column("run_by", sa.Uuid),
            instant("run_at"),
        ),
        sa.UniqueConstraint("tenant_id", "provider", "digest", name="uq_reconciliation_run_tenant_id_provider_digest"),
        schema="payments",
    )
    op.create_table(
        "discrepancy",
        *root(
            sa.Column("run_id", sa.Uuid, nullable=False),
            *text("kind", "movement", "reference"),
            sa.Column("ours_minor", sa.BigInteger),
            *text("ours_currency", nullable=True),
            sa.Column("theirs_minor", sa.BigInteger),
            *text("theirs_currency", nullable=True),
            *text("state"),
            *text("note", nullable=True),
            sa.Column("resolved_by", sa.Uuid),
            instant("resolved_at", nullable=True),
        ),
        sa.Index("ix_discrepancy_run_id", "tenant_id", "run_id", "id"),
        sa.Index("ix_discrepancy_state", "tenant_id", "state", "id"),
        schema="payments",
    )
    op.create_table(
        "settlement",
        *root(
            *text("provider"),
            sa.Column("day", sa.Date, nullable=False),
            *text("currency"),
            *minor("gross_minor", "refunds_minor", "payouts_minor", "fees_minor"),
            sa.Column("movements", sa.Integer, nullable=False),
            *text("state"),
            instant("settled_at", nullable=True),
        ),
        sa.UniqueConstraint(
            "tenant_id", "provider", "day", "currency", name="uq_settlement_tenant_id_provider_day_currency"
        ),
        schema="payments",
    )
