"""Orders: the projection that lists read, and the serials of their numbers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE orders.order_serial")
    _create_order()
    _create_parts()
    _create_lines()
    for table in ('"order"', "sub_order", "order_line"):
        isolate(f"orders.{table}")


def _create_order() -> None:
    op.create_table(
        "order",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("order_number", sa.Text, nullable=False),
        sa.Column("cart_id", sa.Uuid),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("guest_email", sa.Text),
        sa.Column("order_type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("payment_status", sa.Text, nullable=False),
        sa.Column("payment_method", sa.Text, nullable=False),
        sa.Column("payment_id", sa.Uuid),
        sa.Column("currency", sa.Text, nullable=False),
        *_amounts("subtotal", "discount", "tax", "delivery_fee", "total", "paid", "refunded"),
        sa.Column("tax_inclusive", sa.Boolean, nullable=False),
        sa.Column("delivery_method", sa.Text, nullable=False),
        sa.Column("address", postgresql.JSONB, server_default="{}"),
        sa.Column("tracking_number", sa.Text),
        sa.Column("codes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("notes", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("returns", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("store_ids", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("seller_ids", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(f"{name}_at", sa.DateTime(timezone=True))
            for name in ("confirmed", "paid", "shipped", "delivered", "completed", "cancelled")
        ),
        sa.CheckConstraint("refunded_minor BETWEEN 0 AND paid_minor", name="refunded_within_paid"),
        sa.CheckConstraint("total_minor >= 0", name="total_not_negative"),
        sa.UniqueConstraint("tenant_id", "order_number", name="uq_order_tenant_id_order_number"),
        sa.Index("ix_order_customer_id", "tenant_id", "customer_id", "id"),
        sa.Index("ix_order_state", "tenant_id", "state", "id"),
        sa.Index("ix_order_store_ids", "store_ids", postgresql_using="gin"),
        schema="orders",
    )


def _create_parts() -> None:
    op.create_table(
        "sub_order",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("place", sa.SmallInteger, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("seller_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        *_amounts("subtotal", "discount", "tax", "delivery_fee", "total"),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_sub_order_order_id", "order_id", "place"),
        sa.Index("ix_sub_order_seller_id", "tenant_id", "seller_id", "id"),
        sa.Index("ix_sub_order_store_id", "tenant_id", "store_id", "id"),
        schema="orders",
    )


def _create_lines() -> None:
    op.create_table(
        "order_line",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("sub_order_id", sa.Uuid, nullable=False),
        sa.Column("place", sa.SmallInteger, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("variant_id", sa.Uuid),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("seller_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("variant_name", sa.Text),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("returned", sa.Integer, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        *_amounts("unit", "discount", "tax", "total"),
        sa.CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within_quantity"),
        sa.Index("ix_order_line_order_id", "order_id", "place"),
        sa.Index("ix_order_line_sub_order_id", "sub_order_id", "place"),
        sa.Index("ix_order_line_product_id", "tenant_id", "product_id"),
        schema="orders",
    )


def _amounts(*names: str) -> list[sa.Column]:
    return [sa.Column(f"{name}_minor", sa.BigInteger, nullable=False) for name in names]
