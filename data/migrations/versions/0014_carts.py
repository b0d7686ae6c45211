"""Carts, and the ways into them that their owners share."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    create_schema("orders")
    op.create_table(
        "cart",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("token_hash", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lines", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("codes", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("abandoned_at", sa.DateTime(timezone=True)),
        sa.Column("order_id", sa.Uuid),
        sa.Column("merged_into", sa.Uuid),
        sa.CheckConstraint("(state = 'converted') = (order_id IS NOT NULL)", name="converted_has_an_order"),
        sa.CheckConstraint("customer_id IS NOT NULL OR token_hash IS NOT NULL", name="has_an_owner"),
        sa.UniqueConstraint("tenant_id", "token_hash", name="uq_cart_tenant_id_token_hash"),
        sa.Index(
            "ux_cart_customer_id",
            "tenant_id",
            "customer_id",
            unique=True,
            postgresql_where=sa.text("state IN ('active', 'abandoned')"),
        ),
        sa.Index(
            "ix_cart_touched_at",
            "tenant_id",
            "touched_at",
            postgresql_where=sa.text("state = 'active' AND lines <> '[]'::jsonb"),
        ),
        sa.Index("ix_cart_expires_at", "expires_at"),
        schema="orders",
    )
    op.create_table(
        "cart_share",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("cart_id", sa.Uuid, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("access", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cart_id"], ["orders.cart.id"], name="fk_cart_share_cart_id", ondelete="CASCADE"),
        sa.UniqueConstraint("tenant_id", "token_hash", name="uq_cart_share_tenant_id_token_hash"),
        sa.Index("ix_cart_share_cart_id", "cart_id"),
        schema="orders",
    )
    for table in ("cart", "cart_share"):
        isolate(f"orders.{table}")
