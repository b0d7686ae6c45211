"""The projection of orders: what lists and pages read. The events are the truth, and these tables follow from them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from data.kernel import Choice, json_column, money_column, refuses, tenant_table, timestamp
from domain.kernel import AlreadyExists
from domain.orders import CancelReason, DeliveryMethod, OrderState, OrderType, PaymentStatus

order = tenant_table(
    "orders",
    "order",
    Column("version", Integer, nullable=False),
    Column("order_number", Text, nullable=False),
    Column("cart_id", Uuid),
    Column("customer_id", Uuid),
    Column("guest_email", Text),
    Column("order_type", Choice(OrderType), nullable=False),
    Column("state", Choice(OrderState), nullable=False),
    Column("payment_status", Choice(PaymentStatus), nullable=False),
    Column("payment_method", Text, nullable=False),
    Column("payment_id", Uuid),
    Column("currency", Text, nullable=False),
    money_column("subtotal_minor"),
    money_column("discount_minor"),
    money_column("tax_minor"),
    money_column("delivery_fee_minor"),
    money_column("total_minor"),
    money_column("paid_minor"),
    money_column("refunded_minor"),
    Column("tax_inclusive", Boolean, nullable=False),
    Column("delivery_method", Choice(DeliveryMethod), nullable=False),
    json_column("address", nullable=True),
    Column("tracking_number", Text),
    Column("codes", ARRAY(Text), nullable=False),
    Column("notes", Text),
    Column("cancel_reason", Choice(CancelReason)),
    json_column("returns", default="[]"),
    Column("store_ids", ARRAY(Uuid), nullable=False),
    Column("seller_ids", ARRAY(Uuid), nullable=False),
    Column("words", Text, nullable=False),
    timestamp("placed_at"),
    *(
        timestamp(f"{name}_at", nullable=True)
        for name in ("confirmed", "paid", "shipped", "delivered", "completed", "cancelled")
    ),
    CheckConstraint("refunded_minor BETWEEN 0 AND paid_minor", name="refunded_within_paid"),
    CheckConstraint("total_minor >= 0", name="total_not_negative"),
    UniqueConstraint("tenant_id", "order_number"),
    Index("ix_order_customer_id", "tenant_id", "customer_id", "id"),
    Index("ix_order_state", "tenant_id", "state", "id"),
    Index("ix_order_store_ids", "store_ids", postgresql_using="gin"),
    root=False,
)

sub_order = tenant_table(
    "orders",
    "sub_order",
    Column("order_id", Uuid, nullable=False),
    Column("place", SmallInteger, nullable=False),
    Column("number", Text, nullable=False),
    Column("seller_id", Uuid, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("state", Choice(OrderState), nullable=False),
    Column("currency", Text, nullable=False),
    money_column("subtotal_minor"),
    money_column("discount_minor"),
    money_column("tax_minor"),
    money_column("delivery_fee_minor"),
    money_column("total_minor"),
    timestamp("placed_at"),
    Index("ix_sub_order_order_id", "order_id", "place"),
    Index("ix_sub_order_seller_id", "tenant_id", "seller_id", "id"),
    Index("ix_sub_order_store_id", "tenant_id", "store_id", "id"),
    root=False,
)

order_line = tenant_table(
    "orders",
    "order_line",
    Column("order_id", Uuid, nullable=False),
    Column("sub_order_id", Uuid, nullable=False),
    Column("place", SmallInteger, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    Column("sku", Text, nullable=False),
    Column("seller_id", Uuid, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("variant_name", Text),
    Column("quantity", Integer, nullable=False),
    Column("returned", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    money_column("unit_minor"),
    money_column("discount_minor"),
    money_column("tax_minor"),
    money_column("total_minor"),
    CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within_quantity"),
    Index("ix_order_line_order_id", "order_id", "place"),
    Index("ix_order_line_sub_order_id", "sub_order_id", "place"),
    Index("ix_order_line_product_id", "tenant_id", "product_id"),
    root=False,
)

# Row-level security keeps PostgreSQL from saying which number it was.
refuses("uq_order_tenant_id_order_number", lambda _: AlreadyExists(kind="Order", value="of that number"))
