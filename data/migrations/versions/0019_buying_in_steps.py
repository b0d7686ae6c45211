"""Checkout in steps, refunds that come back, payouts on business days, and what tenants settle about providers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("cart", sa.Column("checkout", postgresql.JSONB, nullable=False, server_default="{}"), schema="orders")
    for table in ("payout_account", "payout"):
        op.add_column(table, sa.Column("place", sa.Text, nullable=False, server_default="CA"), schema="payments")
    op.add_column(
        "refund", sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")), schema="payments"
    )
    op.create_index(
        "ix_refund_returned",
        "refund",
        ["tenant_id", "id"],
        schema="payments",
        postgresql_where=sa.text("state = 'returned'"),
    )
    op.add_column(
        "policy",
        sa.Column("inactive_providers", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        schema="payments",
    )
    op.create_table(
        "provider_credential",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("tenant_id", "provider", name="uq_provider_credential_tenant_id_provider"),
        schema="payments",
    )
    isolate("payments.provider_credential")
