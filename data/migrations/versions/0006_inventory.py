"""Inventory: stock levels and their journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    create_schema("inventory")
    op.create_table(
        "stock_level",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("variant_id", sa.Uuid),
        sa.Column("on_hand", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("reorder_point", sa.Integer, nullable=False),
        sa.Column("reorder_quantity", sa.Integer, nullable=False),
        sa.CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
        sa.CheckConstraint("reserved BETWEEN 0 AND on_hand", name="reserved_within_on_hand"),
        sa.UniqueConstraint("tenant_id", "store_id", "sku", name="uq_stock_level_tenant_id_store_id_sku"),
        sa.Index("ix_stock_level_product_id", "tenant_id", "product_id"),
        sa.Index("ix_stock_level_sku", "tenant_id", "sku"),
        schema="inventory",
    )
    isolate("inventory.stock_level")
    op.create_table(
        "journal",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("quantity_change", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("balance_after", sa.Integer, nullable=False),
        sa.Column("performed_by", sa.Uuid),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_journal_store_id_sku", "tenant_id", "store_id", "sku", "id"),
        schema="inventory",
    )
    op.execute("REVOKE UPDATE, DELETE ON inventory.journal FROM agora_app, agora_system")
    isolate("inventory.journal")
