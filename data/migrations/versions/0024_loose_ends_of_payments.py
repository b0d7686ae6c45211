"""Returned refunds, contradicted disputes, awaited transfers, and tenants' own accounts with providers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("dispute", sa.Column("contradiction", sa.Text), schema="payments")
    op.add_column(
        "settlement",
        sa.Column("returned_minor", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        schema="payments",
    )
    op.add_column(
        "policy",
        sa.Column("transfer_days", sa.Integer, nullable=False, server_default=sa.text("7")),
        schema="payments",
    )
    op.create_check_constraint(
        "transfer_days_range", "policy", "transfer_days BETWEEN 1 AND 60", schema="payments"
    )
    op.add_column("provider_credential", sa.Column("webhook_sealed", sa.Text), schema="payments")
    op.add_column(
        "policy",
        sa.Column("own_accounts", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        schema="payments",
    )
    for table in ("payment", "payout"):
        op.add_column(
            table,
            sa.Column("own_account", sa.Boolean, nullable=False, server_default=sa.text("false")),
            schema="payments",
        )
    # One line of a statement stands for one refund.
    op.drop_index("ix_refund_reference", "refund", schema="payments")
    op.create_index(
        "ix_refund_reference", "refund", ["tenant_id", "provider", "reference"], unique=True, schema="payments"
    )
    op.create_table(
        "refund_return",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("refund_id", sa.Uuid, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.UniqueConstraint(
            "tenant_id", "refund_id", "attempt", name="uq_refund_return_tenant_id_refund_id_attempt"
        ),
        schema="payments",
    )
    for name in ("sent_at", "returned_at", "reference"):
        op.create_index(
            f"ix_refund_return_{name}", "refund_return", ["tenant_id", "provider", name], schema="payments"
        )
    isolate("payments.refund_return")
