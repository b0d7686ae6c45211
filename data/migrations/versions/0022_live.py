"""Live commerce: studios and their bookings, sessions, chat, attendance, and what was sold."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0022"
down_revision = "0021"


def _own(*items: sa.schema.SchemaItem, root: bool = True) -> list[sa.schema.SchemaItem]:
    columns: list[sa.schema.SchemaItem] = [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
    ]
    if root:
        columns += [
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
            sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        ]
    return [*columns, *items]


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    create_schema("live")
    _create_studios()
    _create_sessions()
    _create_chat()
    _create_rooms()
    _create_purchases()


def _create_studios() -> None:
    op.create_table(
        "studio",
        *_own(
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("location", sa.Text),
            sa.Column("equipment", postgresql.ARRAY(sa.Text), nullable=False),
        ),
        sa.UniqueConstraint("tenant_id", "name", name="uq_studio_tenant_id_name"),
        schema="live",
    )
    isolate("live.studio")
    op.create_table(
        "studio_booking",
        *_own(
            sa.Column("studio_id", sa.Uuid, nullable=False),
            sa.Column("session_id", sa.Uuid, nullable=False),
            _instant("starts_at"),
            _instant("ends_at"),
            root=False,
        ),
        sa.CheckConstraint("starts_at <= ends_at", name="starts_before_end"),
        schema="live",
    )
    isolate("live.studio_booking")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    # Also what bookings are looked up by: of a studio, in a span.
    op.execute(
        """
        ALTER TABLE live.studio_booking ADD CONSTRAINT ex_studio_booking_no_overlap EXCLUDE USING gist (
          tenant_id WITH =, studio_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        """
    )


def _create_sessions() -> None:
    op.create_table(
        "session",
        *_own(
            sa.Column("title", sa.Text, nullable=False),
            sa.Column("description", sa.Text),
            sa.Column("host_id", sa.Uuid, nullable=False),
            sa.Column("studio_id", sa.Uuid, nullable=False),
            sa.Column("status", sa.Text, nullable=False),
            _instant("scheduled_for"),
            sa.Column("currency", sa.Text, nullable=False),
            sa.Column("products", postgresql.JSONB, nullable=False),
            sa.Column("preparation_id", sa.Uuid),
            _instant("slot_ends_at", nullable=True),
            sa.Column("ingest_url", sa.Text),
            sa.Column("ingest_sealed", sa.Text),
            sa.Column("playback_url", sa.Text),
            sa.Column("pinned_product_id", sa.Uuid),
            sa.Column("flash_sale_id", sa.Uuid),
            sa.Column("sales_count", sa.Integer, nullable=False),
            sa.Column("revenue_minor", sa.BigInteger, nullable=False),
            _instant("started_at", nullable=True),
            _instant("ended_at", nullable=True),
        ),
        sa.CheckConstraint("sales_count >= 0 AND revenue_minor >= 0", name="sales_not_negative"),
        sa.Index("ix_session_status", "tenant_id", "status", "scheduled_for", "id"),
        sa.Index(
            "ix_session_flash_sale_id", "flash_sale_id", postgresql_where=sa.text("flash_sale_id IS NOT NULL")
        ),
        schema="live",
    )
    isolate("live.session")


def _create_chat() -> None:
    op.create_table(
        "chatter",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text),
        _instant("banned_at", nullable=True),
        sa.Column("sent", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "user_id", name="pk_chatter"),
        schema="live",
    )
    isolate("live.chatter")
    op.create_table(
        "chat_message",
        *_own(
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("session_id", sa.Uuid, nullable=False),
            sa.Column("author_id", sa.Uuid, nullable=False),
            sa.Column("author_name", sa.Text, nullable=False),
            sa.Column("is_host", sa.Boolean, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            _instant("sent_at"),
            root=False,
        ),
        sa.Index("ix_chat_message_session_id", "tenant_id", "session_id", "id"),
        schema="live",
    )
    isolate("live.chat_message")


def _create_rooms() -> None:
    op.create_table(
        "attendance",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("viewer", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "viewer", name="pk_attendance"),
        schema="live",
    )
    isolate("live.attendance")
    op.create_table(
        "room",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("peak_viewers", sa.Integer, nullable=False),
        sa.Column("reactions", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_room"),
        schema="live",
    )
    isolate("live.room")


def _create_purchases() -> None:
    op.create_table(
        "purchase",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("buyer", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("counted_minor", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Boolean, nullable=False),
        sa.Column("products", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.PrimaryKeyConstraint("tenant_id", "order_id", name="pk_purchase"),
        sa.CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
        sa.Index("ix_purchase_session_id", "tenant_id", "session_id"),
        schema="live",
    )
    isolate("live.purchase")
