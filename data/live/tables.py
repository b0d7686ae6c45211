"""Tables of live commerce, and the aggregates that are mapped onto them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import DateTime, TypeDecorator

from data.kernel import (
    TENANT_OWNED,
    Choice,
    json_column,
    map_aggregate,
    metadata,
    money_column,
    refuses,
    tenant_table,
    timestamp,
)
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists
from domain.live import LiveSession, LiveSessionStatus, ShownProduct, Studio

CONTEXT = "live"


class Shown(TypeDecorator[tuple[ShownProduct, ...]]):
    """What a session shows, as JSONB."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — see above.
        return from_json(value, tuple[ShownProduct, ...])


def _owned(name: str, key: tuple[str, ...], *items: Any) -> Table:
    """Make a table whose rows are named by what they are about."""
    columns = [Column("tenant_id", Uuid, nullable=False), Column("session_id", Uuid, nullable=False)]
    primary = PrimaryKeyConstraint("tenant_id", *key)
    return Table(name, metadata, *columns, *items, primary, schema=CONTEXT, info={TENANT_OWNED: True})


studio = tenant_table(
    CONTEXT,
    "studio",
    Column("name", Text, nullable=False),
    Column("location", Text),
    Column("equipment", ARRAY(Text), nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

# That bookings never overlap is an exclusion constraint of the migration.
studio_booking = tenant_table(
    CONTEXT,
    "studio_booking",
    Column("studio_id", Uuid, nullable=False),
    Column("session_id", Uuid, nullable=False),
    timestamp("starts_at"),
    timestamp("ends_at"),
    CheckConstraint("starts_at <= ends_at", name="starts_before_end"),
    root=False,
)

session = tenant_table(
    CONTEXT,
    "session",
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("host_id", Uuid, nullable=False),
    Column("studio_id", Uuid, nullable=False),
    Column("status", Choice(LiveSessionStatus), nullable=False),
    timestamp("scheduled_for"),
    Column("currency", Text, nullable=False),
    Column("products", Shown, nullable=False),
    Column("preparation_id", Uuid),
    timestamp("slot_ends_at", nullable=True),
    Column("ingest_url", Text),
    Column("ingest_sealed", Text),
    Column("playback_url", Text),
    Column("pinned_product_id", Uuid),
    Column("flash_sale_id", Uuid),
    Column("sales_count", Integer, nullable=False),
    money_column("revenue_minor"),
    timestamp("started_at", nullable=True),
    timestamp("ended_at", nullable=True),
    CheckConstraint("sales_count >= 0 AND revenue_minor >= 0", name="sales_not_negative"),
    Index("ix_session_status", "tenant_id", "status", "scheduled_for", "id"),
    Index("ix_session_flash_sale_id", "flash_sale_id", postgresql_where=text("flash_sale_id IS NOT NULL")),
)

chatter = _owned(
    "chatter",
    ("session_id", "user_id"),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text),
    timestamp("banned_at", nullable=True),
    Column("sent", ARRAY(DateTime(timezone=True)), nullable=False, server_default="{}"),
)

chat_message = tenant_table(
    CONTEXT,
    "chat_message",
    Column("version", Integer, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("is_host", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    timestamp("sent_at"),
    Index("ix_chat_message_session_id", "tenant_id", "session_id", "id"),
    root=False,
)

attendance = _owned("attendance", ("session_id", "viewer"), Column("viewer", Text, nullable=False))

room = _owned(
    "room",
    ("session_id",),
    Column("peak_viewers", Integer, nullable=False),
    json_column("reactions"),
)

purchase = _owned(
    "purchase",
    ("order_id",),
    Column("order_id", Uuid, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("counted_minor", BigInteger, nullable=False),
    Column("counts", Boolean, nullable=False),
    json_column("products", default="[]"),
    CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
    Index("ix_purchase_session_id", "tenant_id", "session_id"),
)

map_aggregate(Studio, studio)
map_aggregate(LiveSession, session)

refuses("uq_studio_tenant_id_name", lambda _: AlreadyExists(kind="Studio", value="of that name"))
