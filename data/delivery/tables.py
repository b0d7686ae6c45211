"""The tables of deliveries, and the mapping of what changes one object at a time."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, Float, Index, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from data.kernel import Choice, json_column, map_aggregate, money_column, refuses, tenant_table, timestamp
from domain.delivery.batches import DeliveryBatch
from domain.delivery.deliveries import Delivery, ProofAlreadyUsed
from domain.delivery.drivers import Driver
from domain.delivery.methods import PriceBasis, ShippingMethod
from domain.delivery.slots import DeliverySlot, SlotFull
from domain.delivery.states import (
    BatchState,
    DeliveryMode,
    DeliveryState,
    DriverStatus,
    FailureReason,
    ProofKind,
    VehicleType,
)
from domain.delivery.zones import DeliveryZone
from domain.kernel import AlreadyExists

zone = tenant_table(
    "delivery",
    "zone",
    Column("store_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("postal_codes", ARRAY(Text), nullable=False),
    Column("area", JSONB(none_as_null=True)),
    money_column("fee_minor"),
    money_column("minimum_order_minor"),
    Column("currency", Text, nullable=False),
    Column("estimated_minutes", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    CheckConstraint("fee_minor >= 0 AND minimum_order_minor >= 0", name="amounts_not_negative"),
    Index("ix_zone_store_id", "tenant_id", "store_id"),
)

method = tenant_table(
    "delivery",
    "method",
    Column("store_id", Uuid),
    Column("name", Text, nullable=False),
    Column("carrier", Text, nullable=False),
    Column("basis", Choice(PriceBasis), nullable=False),
    Column("currency", Text, nullable=False),
    money_column("fee_minor"),
    json_column("steps", default="[]"),
    money_column("free_from_minor", nullable=True),
    Column("countries", ARRAY(Text), nullable=False),
    Column("min_transit_days", Integer, nullable=False),
    Column("max_transit_days", Integer, nullable=False),
    Column("proof", Choice(ProofKind), nullable=False),
    Column("is_active", Boolean, nullable=False),
    CheckConstraint("fee_minor >= 0", name="fee_not_negative"),
    Index("ix_method_store_id", "tenant_id", "store_id"),
)

slot = tenant_table(
    "delivery",
    "slot",
    Column("store_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    timestamp("starts_at"),
    timestamp("ends_at"),
    Column("capacity", Integer, nullable=False),
    Column("booked", Integer, nullable=False),
    CheckConstraint("booked BETWEEN 0 AND capacity", name="booked_within_capacity"),
    CheckConstraint("ends_at > starts_at", name="ends_after_it_starts"),
    UniqueConstraint("tenant_id", "store_id", "starts_at", "ends_at"),
    Index("ix_slot_day", "tenant_id", "store_id", "day"),
)

promise = tenant_table(
    "delivery",
    "promise",
    Column("order_id", Uuid, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("method_id", Uuid),
    Column("zone_id", Uuid),
    Column("slot_id", Uuid),
    Column("carrier", Text, nullable=False),
    Column("proof", Choice(ProofKind), nullable=False),
    money_column("fee_minor"),
    Column("currency", Text, nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    timestamp("window_opens", nullable=True),
    timestamp("window_closes", nullable=True),
    Column("notes", Text),
    UniqueConstraint("tenant_id", "order_id", "store_id"),
    root=False,
)

delivery = tenant_table(
    "delivery",
    "delivery",
    Column("order_id", Uuid, nullable=False),
    Column("sub_order_id", Uuid, nullable=False),
    Column("order_number", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("store_id", Uuid, nullable=False),
    Column("mode", Choice(DeliveryMode), nullable=False),
    Column("state", Choice(DeliveryState), nullable=False),
    Column("tracking_number", Text, nullable=False),
    json_column("address"),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("store_latitude", Float),
    Column("store_longitude", Float),
    Column("distance_km", Float),
    money_column("fee_minor"),
    Column("currency", Text, nullable=False),
    Column("notes", Text),
    Column("method_id", Uuid),
    Column("zone_id", Uuid),
    Column("slot_id", Uuid),
    timestamp("window_opens", nullable=True),
    timestamp("window_closes", nullable=True),
    Column("proof_kind", Choice(ProofKind), nullable=False),
    Column("age_restricted", Boolean, nullable=False),
    Column("code", Text),
    Column("driver_id", Uuid),
    Column("vehicle_type", Choice(VehicleType)),
    Column("batch_id", Uuid),
    Column("place_in_batch", Integer),
    Column("carrier", Text),
    Column("carrier_reference", Text),
    Column("label_url", Text),
    timestamp("tracked_at", nullable=True),
    Column("fences", ARRAY(Text), nullable=False),
    Column("is_arriving", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failure_reason", Choice(FailureReason)),
    Column("signature_key", Text),
    Column("photo_key", Text),
    json_column("proof"),
    timestamp("made_at"),
    timestamp("started_at", nullable=True),
    timestamp("delivered_at", nullable=True),
    CheckConstraint(
        "driver_id IS NOT NULL OR mode = 'carrier' OR state NOT IN ('assigned', 'picked_up', 'en_route')",
        name="has_a_driver",
    ),
    UniqueConstraint("tenant_id", "tracking_number"),
    UniqueConstraint("tenant_id", "signature_key"),
    UniqueConstraint("tenant_id", "photo_key"),
    Index(
        "uq_delivery_sub_order_id",
        "tenant_id",
        "sub_order_id",
        unique=True,
        postgresql_where=text("state <> 'cancelled'"),
    ),
    Index("ix_delivery_order_id", "tenant_id", "order_id"),
    Index("ix_delivery_store_id", "tenant_id", "store_id", "id"),
    Index("ix_delivery_driver_id", "tenant_id", "driver_id", "state"),
    Index("ix_delivery_batch_id", "tenant_id", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    Index(
        "uq_delivery_carrier_reference",
        "tenant_id",
        "carrier",
        "carrier_reference",
        unique=True,
        postgresql_where=text("carrier_reference IS NOT NULL"),
    ),
)

driver = tenant_table(
    "delivery",
    "driver",
    Column("user_id", Uuid, nullable=False),
    Column("store_id", Uuid),
    Column("status", Choice(DriverStatus), nullable=False),
    Column("vehicle_type", Choice(VehicleType)),
    timestamp("changed_at", nullable=True),
    UniqueConstraint("tenant_id", "user_id"),
    Index("ix_driver_store_id", "tenant_id", "store_id"),
)

batch = tenant_table(
    "delivery",
    "batch",
    Column("store_id", Uuid, nullable=False),
    Column("state", Choice(BatchState), nullable=False),
    Column("delivery_ids", ARRAY(Uuid), nullable=False),
    Column("driver_id", Uuid),
    json_column("route", default="[]"),
    json_column("left_out", default="[]"),
    Column("distance_metres", Integer),
    Column("duration_seconds", Integer),
    timestamp("requested_at", nullable=True),
    timestamp("made_at"),
    Index("ix_batch_store_id", "tenant_id", "store_id", "id"),
)

scan = tenant_table(
    "delivery",
    "scan",
    Column("delivery_id", Uuid, nullable=False),
    Column("scan_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("state", Choice(DeliveryState)),
    timestamp("at"),
    Column("description", Text),
    UniqueConstraint("tenant_id", "delivery_id", "scan_id"),
    root=False,
)

position = tenant_table(
    "delivery",
    "position",
    Column("driver_id", Uuid, nullable=False),
    timestamp("at"),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("accuracy", Float),
    Column("speed", Float),
    Index("ix_position_driver_id", "tenant_id", "driver_id", "at"),
    root=False,
)

map_aggregate(DeliveryZone, zone)
map_aggregate(ShippingMethod, method)
map_aggregate(DeliverySlot, slot)
map_aggregate(Delivery, delivery)
map_aggregate(Driver, driver)
map_aggregate(DeliveryBatch, batch)

# The constraints are the last line of defence: the aggregates refuse first, with exact values.
refuses("ck_slot_booked_within_capacity", lambda _: SlotFull(slot_id=""))
refuses("uq_slot_tenant_id_store_id_starts_at_ends_at", lambda _: AlreadyExists(kind="DeliverySlot", value="then"))
refuses("uq_delivery_sub_order_id", lambda _: AlreadyExists(kind="Delivery", value="of that part"))
refuses("uq_delivery_tenant_id_signature_key", lambda _: ProofAlreadyUsed(key="signature"))
refuses("uq_delivery_tenant_id_photo_key", lambda _: ProofAlreadyUsed(key="photo"))
refuses("uq_driver_tenant_id_user_id", lambda _: AlreadyExists(kind="Driver", value="with that account"))
