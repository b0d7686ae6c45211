"""Notifications: messages, preferences, texts, audiences and broadcasts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    create_schema("notifications")
    op.create_table(
        "broadcast",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("segment_id", sa.Uuid),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("reached", sa.Uuid),
        sa.Column("is_queued", sa.Boolean, nullable=False),
        sa.Column("total_recipients", sa.Integer, nullable=False),
        sa.Column("successful_sends", sa.Integer, nullable=False),
        sa.Column("failed_sends", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Uuid),
        schema="notifications",
    )
    isolate("notifications.broadcast")
    op.create_table(
        "broadcast_audit",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("broadcast_id", sa.Uuid, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Index("ix_broadcast_audit_broadcast_id", "broadcast_id", "id"),
        schema="notifications",
    )
    isolate("notifications.broadcast_audit")
    op.create_table(
        "broadcast_message",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("broadcast_id", sa.Uuid, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("html", sa.Text),
        sa.UniqueConstraint("broadcast_id", "locale", name="uq_broadcast_message_broadcast_id_locale"),
        schema="notifications",
    )
    isolate("notifications.broadcast_message")
    op.create_table(
        "broadcast_segment",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("criteria", postgresql.JSONB, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("last_count", sa.Integer, nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "name", name="uq_broadcast_segment_tenant_id_name"),
        schema="notifications",
    )
    isolate("notifications.broadcast_segment")
    op.create_table(
        "communication_analytics",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("delivered", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("bounced", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("unsubscribed", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("tenant_id", "day", "channel", "template", name="pk_communication_analytics"),
        schema="notifications",
    )
    isolate("notifications.communication_analytics")
    op.create_table(
        "communication_preference",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("choices", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("quiet", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_communication_preference_tenant_id_user_id"),
        schema="notifications",
    )
    isolate("notifications.communication_preference")
    op.create_table(
        "inbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("unread", sa.Integer, nullable=False),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_inbox_tenant_id_user_id"),
        sa.CheckConstraint("unread >= 0", name="unread_not_negative"),
        schema="notifications",
    )
    isolate("notifications.inbox")
    op.create_table(
        "message_template",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("html", sa.Text),
        sa.Column("variables", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "code", "channel", "locale", name="uq_message_template_tenant_id_code_channel_locale"),
        schema="notifications",
    )
    isolate("notifications.message_template")
    op.create_table(
        "notification",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("template", sa.Text),
        sa.Column("broadcast_id", sa.Uuid),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("link", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("hold_reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("digest_id", sa.Uuid),
        sa.Column("subject", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("provider_message_id", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "key", name="uq_notification_tenant_id_key"),
        sa.Index("ix_notification_broadcast_id", "tenant_id", "broadcast_id", "id", postgresql_where=sa.text("broadcast_id IS NOT NULL")),
        sa.Index("ix_notification_digest_id", "digest_id", postgresql_where=sa.text("digest_id IS NOT NULL")),
        sa.Index("ix_notification_due_at", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index("ix_notification_user_id", "tenant_id", "user_id", "channel", "id"),
        schema="notifications",
    )
    isolate("notifications.notification")
    op.create_table(
        "policy",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("push_per_minute_limit", sa.Integer, nullable=False),
        sa.Column("sender_name", sa.Text),
        sa.Column("reply_to", sa.Text),
        sa.UniqueConstraint("tenant_id", name="uq_policy_tenant_id"),
        schema="notifications",
    )
    isolate("notifications.policy")
    op.create_table(
        "push_slot",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("sent_at", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_push_slot"),
        schema="notifications",
    )
    isolate("notifications.push_slot")
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("p256dh", sa.Text, nullable=False),
        sa.Column("auth", sa.Text, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("tenant_id", "endpoint", name="uq_push_subscription_tenant_id_endpoint"),
        sa.Index("ix_push_subscription_user_id", "tenant_id", "user_id", "id"),
        schema="notifications",
    )
    isolate("notifications.push_subscription")
    op.create_table(
        "recipient",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("locale", sa.Text),
        sa.Column("roles", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("last_order_at", sa.DateTime(timezone=True)),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_recipient_tenant_id_user_id"),
        schema="notifications",
    )
    isolate("notifications.recipient")
    op.create_table(
        "template_version",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("html", sa.Text),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("template_id", "number", name="uq_template_version_template_id_number"),
        schema="notifications",
    )
    isolate("notifications.template_version")
    op.create_table(
        "unsubscribe_entry",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("category", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("tenant_id", "address", "channel", "category", name="uq_unsubscribe_entry_tenant_id_address_channel_category", postgresql_nulls_not_distinct=True),
        schema="notifications",
    )
    isolate("notifications.unsubscribe_entry")
