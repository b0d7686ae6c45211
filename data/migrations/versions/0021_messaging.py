"""Messaging: conversations, what is said in them, who has read how far, and files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from data.migrations.isolation import create_schema, isolate

revision = "0021"
down_revision = "0020"


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def upgrade() -> None:
    create_schema("messaging")
    op.create_table(
        "conversation",
        *_root(),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("buyer_id", sa.Uuid, nullable=False),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("store_id", sa.Uuid),
        sa.Column("order_id", sa.Uuid),
        sa.Column("product_id", sa.Uuid),
        sa.Column("staff_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("last_position", sa.Integer, nullable=False),
        sa.Column("last_message_id", sa.Uuid),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_conversation_store_id", "tenant_id", "store_id"),
        sa.Index("ix_conversation_order_id", "tenant_id", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
        schema="messaging",
    )
    # Of one subject two people have one conversation at a time; what is closed makes room for another.
    op.execute(
        "CREATE UNIQUE INDEX ux_conversation_subject ON messaging.conversation "
        "(tenant_id, buyer_id, type, seller_id, store_id, order_id, product_id) NULLS NOT DISTINCT "
        "WHERE state <> 'closed'"
    )
    op.create_table(
        "inbox_entry",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("unread_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("delivered_position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("read_position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("unread_count >= 0", name="unread_not_negative"),
        sa.PrimaryKeyConstraint("conversation_id", "user_id", name="pk_inbox_entry"),
        sa.Index("ix_inbox_entry_user_id_latest", "tenant_id", "user_id", "last_message_at", "conversation_id"),
        schema="messaging",
    )
    op.create_table(
        "correspondent",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("recent", JSONB, nullable=False, server_default="[]"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_correspondent"),
        schema="messaging",
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("sender_id", sa.Uuid, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attachments", JSONB, nullable=False, server_default="[]"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("moderation", sa.Text, nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "sender_id", "client_id", name="uq_message_tenant_id_sender_id_client_id"),
        sa.UniqueConstraint("conversation_id", "position", name="uq_message_conversation_id_position"),
        sa.Index(
            "ix_message_for_review",
            "tenant_id",
            "id",
            postgresql_where=sa.text("moderation IN ('held', 'reported')"),
        ),
        schema="messaging",
    )
    op.create_table(
        "report",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("reporter_id", sa.Uuid, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "reporter_id", name="pk_report"),
        schema="messaging",
    )
    op.create_table(
        "block",
        *_root(),
        sa.Column("blocker_id", sa.Uuid, nullable=False),
        sa.Column("blocked_id", sa.Uuid, nullable=False),
        sa.UniqueConstraint("tenant_id", "blocked_id", "blocker_id", name="uq_block_tenant_id_blocked_id_blocker_id"),
        schema="messaging",
    )
    op.create_table(
        "attachment",
        *_root(),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("uploader_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text),
        sa.Column("size_bytes", sa.Integer),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("message_id", sa.Uuid),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index(
            "ix_attachment_unused", "tenant_id", "uploader_id", postgresql_where=sa.text("message_id IS NULL")
        ),
        schema="messaging",
    )
    for table in ("conversation", "inbox_entry", "correspondent", "message", "report", "block", "attachment"):
        isolate(f"messaging.{table}")
