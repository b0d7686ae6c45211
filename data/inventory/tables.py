"""The tables of inventory, and the mapping of what changes one object at a time."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from data.kernel import Choice, map_aggregate, money_column, refuses, tenant_table, timestamp
from domain.inventory import InsufficientStock, ReservationPurpose, ReservationState, StockChange, StockLevel
from domain.kernel import ConcurrentModification

stock_level = tenant_table(
    "inventory",
    "stock_level",
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("reorder_point", Integer, nullable=False),
    Column("reorder_quantity", Integer, nullable=False),
    CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
    CheckConstraint("reserved BETWEEN 0 AND on_hand", name="reserved_within_on_hand"),
    UniqueConstraint("tenant_id", "store_id", "sku"),
    Index("ix_stock_level_product_id", "tenant_id", "product_id"),
    Index("ix_stock_level_sku", "tenant_id", "sku"),
)

journal = tenant_table(
    "inventory",
    "journal",
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity_change", Integer, nullable=False),
    Column("kind", Choice(StockChange), nullable=False),
    Column("reason", Text),
    Column("balance_after", Integer, nullable=False),
    Column("performed_by", Uuid),
    timestamp("performed_at"),
    Column("reserved_change", Integer, nullable=False, server_default="0"),
    Column("reference_id", Uuid),
    Index("ix_journal_store_id_sku", "tenant_id", "store_id", "sku", "id"),
    root=False,
)

reservation = tenant_table(
    "inventory",
    "reservation",
    Column("version", Integer, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("consumed", Integer, nullable=False),
    Column("purpose", Choice(ReservationPurpose), nullable=False),
    Column("state", Choice(ReservationState), nullable=False),
    timestamp("reserved_at"),
    timestamp("expires_at", nullable=True),
    timestamp("ended_at", nullable=True),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("consumed BETWEEN 0 AND quantity", name="consumed_within_quantity"),
    UniqueConstraint("tenant_id", "order_id", "store_id", "sku"),
    Index("ix_reservation_store_id", "tenant_id", "store_id", "id"),
    Index("ix_reservation_expires_at", "tenant_id", "expires_at", postgresql_where=text("state = 'active'")),
    root=False,
)

lot = tenant_table(
    "inventory",
    "lot",
    Column("store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("batch_lot", Text, nullable=False),
    Column("quantity_received", Integer, nullable=False),
    Column("quantity_remaining", Integer, nullable=False),
    money_column("unit_cost_minor", nullable=True),
    Column("currency", Text),
    Column("expires_on", Date),
    timestamp("received_at"),
    CheckConstraint("quantity_remaining BETWEEN 0 AND quantity_received", name="remaining_within_received"),
    UniqueConstraint("tenant_id", "store_id", "sku", "batch_lot"),
    root=False,
)

movement = tenant_table(
    "inventory",
    "movement",
    Column("version", Integer, nullable=False),
    Column("from_store_id", Uuid, nullable=False),
    Column("to_store_id", Uuid, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("reason", Text),
    Column("performed_by", Uuid),
    timestamp("performed_at"),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    Index("ix_movement_from_store_id", "tenant_id", "from_store_id", "id"),
    Index("ix_movement_to_store_id", "tenant_id", "to_store_id", "id"),
    root=False,
)

map_aggregate(StockLevel, stock_level)

# The constraint is the last line of defence: the aggregate refuses first, with exact numbers.
for constraint in ("on_hand_not_negative", "reserved_within_on_hand"):
    refuses(f"ck_stock_level_{constraint}", lambda _: InsufficientStock(sku="", requested=0, available=0))
refuses("uq_reservation_tenant_id_order_id_store_id_sku", lambda _: ConcurrentModification(kind="Reservation", id=""))
