"""The tables of notifications and what is mapped onto them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeDecorator

from data.kernel import (
    TENANT_OWNED,
    Choice,
    json_column,
    map_aggregate,
    mapping,
    metadata,
    refuses,
    tenant_table,
    timestamp,
)
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists
from domain.notifications import (
    Broadcast,
    BroadcastAudit,
    BroadcastState,
    BroadcastText,
    Channel,
    CommunicationPreferences,
    HoldReason,
    Inbox,
    MessageCategory,
    MessageTemplate,
    Notification,
    NotificationPolicy,
    NotificationState,
    PushSubscription,
    Recipient,
    Segment,
    SegmentCriteria,
    TemplateVersion,
)

CONTEXT = "notifications"
COUNTS = ("sent", "delivered", "bounced", "failed", "unsubscribed")


class _Criteria(TypeDecorator[SegmentCriteria]):
    """Criteria kept as JSONB."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — see above.
        return from_json(value, SegmentCriteria)


notification = tenant_table(
    CONTEXT,
    "notification",
    Column("key", Text, nullable=False),
    Column("user_id", Uuid),
    Column("channel", Choice(Channel), nullable=False),
    Column("category", Choice(MessageCategory), nullable=False),
    Column("template", Text),
    Column("broadcast_id", Uuid),
    Column("address", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    json_column("data"),
    Column("link", Text),
    Column("state", Choice(NotificationState), nullable=False),
    Column("hold_reason", Choice(HoldReason)),
    Column("attempts", Integer, nullable=False),
    timestamp("due_at", nullable=True),
    Column("digest_id", Uuid),
    Column("subject", Text),
    Column("text", Text),
    Column("provider_message_id", Text),
    Column("error", Text),
    timestamp("queued_at"),
    timestamp("sent_at", nullable=True),
    timestamp("delivered_at", nullable=True),
    timestamp("read_at", nullable=True),
    UniqueConstraint("tenant_id", "key"),
    Index("ix_notification_due_at", "due_at", postgresql_where="due_at IS NOT NULL"),
    Index("ix_notification_user_id", "tenant_id", "user_id", "channel", "id"),
    Index(
        "ix_notification_broadcast_id", "tenant_id", "broadcast_id", "id", postgresql_where="broadcast_id IS NOT NULL"
    ),
    Index("ix_notification_digest_id", "digest_id", postgresql_where="digest_id IS NOT NULL"),
)

inbox = tenant_table(
    CONTEXT,
    "inbox",
    Column("user_id", Uuid, nullable=False),
    Column("unread", Integer, nullable=False),
    UniqueConstraint("tenant_id", "user_id"),
    CheckConstraint("unread >= 0", name="unread_not_negative"),
)

communication_preference = tenant_table(
    CONTEXT,
    "communication_preference",
    Column("user_id", Uuid, nullable=False),
    json_column("choices"),
    json_column("quiet"),
    UniqueConstraint("tenant_id", "user_id"),
)

push_subscription = tenant_table(
    CONTEXT,
    "push_subscription",
    Column("user_id", Uuid, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("p256dh", Text, nullable=False),
    Column("auth", Text, nullable=False),
    timestamp("last_seen_at"),
    UniqueConstraint("tenant_id", "endpoint"),
    Index("ix_push_subscription_user_id", "tenant_id", "user_id", "id"),
)

push_slot = Table(
    "push_slot",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("sent_at", ARRAY(DateTime(timezone=True)), nullable=False),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    schema=CONTEXT,
    info={TENANT_OWNED: True},
)

policy = tenant_table(
    CONTEXT,
    "policy",
    Column("push_per_minute_limit", Integer, nullable=False),
    Column("sender_name", Text),
    Column("reply_to", Text),
    UniqueConstraint("tenant_id"),
)

message_template = tenant_table(
    CONTEXT,
    "message_template",
    Column("code", Text, nullable=False),
    Column("channel", Choice(Channel), nullable=False),
    Column("locale", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text),
    Column("variables", ARRAY(Text), nullable=False),
    timestamp("changed_at", nullable=True),
    UniqueConstraint("tenant_id", "code", "channel", "locale"),
)

template_version = tenant_table(
    CONTEXT,
    "template_version",
    Column("template_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text),
    timestamp("written_at"),
    UniqueConstraint("tenant_id", "template_id", "number"),
    root=False,
)

unsubscribe_entry = tenant_table(
    CONTEXT,
    "unsubscribe_entry",
    Column("address", Text, nullable=False),
    Column("channel", Choice(Channel), nullable=False),
    Column("category", Choice(MessageCategory)),
    Column("reason", Text, nullable=False),
    timestamp("at"),
    UniqueConstraint("tenant_id", "address", "channel", "category", postgresql_nulls_not_distinct=True),
    root=False,
)

communication_analytics = Table(
    "communication_analytics",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("channel", Choice(Channel), nullable=False),
    Column("template", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in COUNTS),
    PrimaryKeyConstraint("tenant_id", "day", "channel", "template"),
    schema=CONTEXT,
    info={TENANT_OWNED: True},
)

recipient = tenant_table(
    CONTEXT,
    "recipient",
    Column("user_id", Uuid, nullable=False),
    Column("locale", Text),
    Column("roles", ARRAY(Text), nullable=False),
    timestamp("last_order_at", nullable=True),
    Column("is_active", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "user_id"),
)

broadcast_segment = tenant_table(
    CONTEXT,
    "broadcast_segment",
    Column("name", Text, nullable=False),
    Column("criteria", _Criteria, nullable=False),
    Column("channel", Choice(Channel), nullable=False),
    Column("last_count", Integer, nullable=False),
    timestamp("refreshed_at", nullable=True),
    UniqueConstraint("tenant_id", "name"),
)

broadcast = tenant_table(
    CONTEXT,
    "broadcast",
    Column("name", Text, nullable=False),
    Column("channel", Choice(Channel), nullable=False),
    Column("segment_id", Uuid),
    Column("state", Choice(BroadcastState), nullable=False),
    timestamp("scheduled_at", nullable=True),
    timestamp("started_at", nullable=True),
    timestamp("sent_at", nullable=True),
    Column("reached", Uuid),
    Column("is_queued", Boolean, nullable=False),
    Column("total_recipients", Integer, nullable=False),
    Column("successful_sends", Integer, nullable=False),
    Column("failed_sends", Integer, nullable=False),
    Column("created_by", Uuid),
)

broadcast_message = tenant_table(
    CONTEXT,
    "broadcast_message",
    Column("broadcast_id", Uuid, nullable=False),
    Column("locale", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text),
    UniqueConstraint("tenant_id", "broadcast_id", "locale"),
    root=False,
)

broadcast_audit = tenant_table(
    CONTEXT,
    "broadcast_audit",
    Column("broadcast_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_id", Uuid),
    timestamp("at"),
    json_column("data"),
    Index("ix_broadcast_audit_broadcast_id", "broadcast_id", "id"),
    root=False,
)

for aggregate, table in (
    (Notification, notification),
    (Inbox, inbox),
    (CommunicationPreferences, communication_preference),
    (PushSubscription, push_subscription),
    (NotificationPolicy, policy),
    (MessageTemplate, message_template),
    (Recipient, recipient),
    (Segment, broadcast_segment),
    (Broadcast, broadcast),
):
    map_aggregate(aggregate, table)
mapping.map_imperatively(TemplateVersion, template_version)
mapping.map_imperatively(BroadcastText, broadcast_message)
mapping.map_imperatively(BroadcastAudit, broadcast_audit)

refuses("uq_broadcast_segment_tenant_id_name", lambda _: AlreadyExists(kind="Segment", value="of that name"))
