"""Reservations, lots and movements of stock; the journal tells of promised units too."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import isolate

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    _extend_journal()
    _create_reservation()
    _create_lot()
    _create_movement()


def _extend_journal() -> None:
    op.add_column(
        "journal", sa.Column("reserved_change", sa.Integer, nullable=False, server_default="0"), schema="inventory"
    )
    op.add_column("journal", sa.Column("reference_id", sa.Uuid), schema="inventory")


def _create_reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("consumed", sa.Integer, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("consumed BETWEEN 0 AND quantity", name="consumed_within_quantity"),
        sa.UniqueConstraint(
            "tenant_id", "order_id", "store_id", "sku", name="uq_reservation_tenant_id_order_id_store_id_sku"
        ),
        sa.Index("ix_reservation_store_id", "tenant_id", "store_id", "id"),
        sa.Index(
            "ix_reservation_expires_at", "tenant_id", "expires_at", postgresql_where=sa.text("state = 'active'")
        ),
        schema="inventory",
    )
    op.execute("REVOKE DELETE ON inventory.reservation FROM agora_app, agora_system")
    isolate("inventory.reservation")


def _create_lot() -> None:
    op.create_table(
        "lot",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("batch_lot", sa.Text, nullable=False),
        sa.Column("quantity_received", sa.Integer, nullable=False),
        sa.Column("quantity_remaining", sa.Integer, nullable=False),
        sa.Column("unit_cost_minor", sa.BigInteger),
        sa.Column("currency", sa.Text),
        sa.Column("expires_on", sa.Date),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "quantity_remaining BETWEEN 0 AND quantity_received", name="remaining_within_received"
        ),
        sa.UniqueConstraint(
            "tenant_id", "store_id", "sku", "batch_lot", name="uq_lot_tenant_id_store_id_sku_batch_lot"
        ),
        schema="inventory",
    )
    isolate("inventory.lot")


def _create_movement() -> None:
    op.create_table(
        "movement",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("from_store_id", sa.Uuid, nullable=False),
        sa.Column("to_store_id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("performed_by", sa.Uuid),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.Index("ix_movement_from_store_id", "tenant_id", "from_store_id", "id"),
        sa.Index("ix_movement_to_store_id", "tenant_id", "to_store_id", "id"),
        schema="inventory",
    )
    op.execute("REVOKE UPDATE, DELETE ON inventory.movement FROM agora_app, agora_system")
    isolate("inventory.movement")
