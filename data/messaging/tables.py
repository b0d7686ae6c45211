"""The tables of messaging, and what of the domain is mapped onto them."""

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import ARRAY

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
from domain.kernel import ConcurrentModification
from domain.messaging import (
    Attachment,
    AttachmentState,
    Block,
    Conversation,
    ConversationState,
    ConversationType,
    Message,
    MessageState,
    Moderation,
    Side,
)

# Written out, not bound: only so does PostgreSQL see that a partial index holds the answer.
FOR_REVIEW = text("moderation IN ('held', 'reported')")
SHOWN = text("moderation NOT IN ('held', 'blocked')")

conversation = tenant_table(
    "messaging",
    "conversation",
    Column("type", Choice(ConversationType), nullable=False),
    Column("buyer_id", Uuid, nullable=False),
    Column("seller_id", Uuid),
    Column("store_id", Uuid),
    Column("order_id", Uuid),
    Column("product_id", Uuid),
    Column("staff_ids", ARRAY(Uuid), nullable=False),
    Column("state", Choice(ConversationState), nullable=False),
    Column("last_position", Integer, nullable=False),
    Column("last_message_id", Uuid),
    timestamp("last_message_at"),
    timestamp("started_at"),
    Index(
        "ux_conversation_subject",
        "tenant_id",
        "buyer_id",
        "type",
        "seller_id",
        "store_id",
        "order_id",
        "product_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("state <> 'closed'"),
    ),
    Index("ix_conversation_store_id", "tenant_id", "store_id"),
    Index("ix_conversation_order_id", "tenant_id", "order_id", postgresql_where=text("order_id IS NOT NULL")),
)

inbox_entry = Table(
    "inbox_entry",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("conversation_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("unread_count", Integer, nullable=False, server_default="0"),
    Column("delivered_position", Integer, nullable=False, server_default="0"),
    Column("read_position", Integer, nullable=False, server_default="0"),
    timestamp("last_message_at"),
    CheckConstraint("unread_count >= 0", name="unread_not_negative"),
    PrimaryKeyConstraint("conversation_id", "user_id", "tenant_id"),
    Index("ix_inbox_entry_user_id_latest", "tenant_id", "user_id", "last_message_at", "conversation_id"),
    schema="messaging",
    info={TENANT_OWNED: True},
)

correspondent = Table(
    "correspondent",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    json_column("recent", default="[]"),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    schema="messaging",
    info={TENANT_OWNED: True},
)

message = tenant_table(
    "messaging",
    "message",
    Column("conversation_id", Uuid, nullable=False),
    Column("sender_id", Uuid, nullable=False),
    Column("side", Choice(Side), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    json_column("attachments", default="[]"),
    Column("position", Integer, nullable=False),
    Column("state", Choice(MessageState), nullable=False),
    Column("moderation", Choice(Moderation), nullable=False),
    timestamp("sent_at"),
    timestamp("delivered_at", nullable=True),
    timestamp("read_at", nullable=True),
    UniqueConstraint("tenant_id", "sender_id", "client_id"),
    UniqueConstraint("tenant_id", "conversation_id", "position"),
    Index("ix_message_for_review", "tenant_id", "id", postgresql_where=FOR_REVIEW),
    root=False,
)

report = Table(
    "report",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("reporter_id", Uuid, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("message_id", "reporter_id", "tenant_id"),
    schema="messaging",
    info={TENANT_OWNED: True},
)

block = tenant_table(
    "messaging",
    "block",
    Column("blocker_id", Uuid, nullable=False),
    Column("blocked_id", Uuid, nullable=False),
    UniqueConstraint("tenant_id", "blocked_id", "blocker_id"),
)

attachment = tenant_table(
    "messaging",
    "attachment",
    Column("conversation_id", Uuid, nullable=False),
    Column("uploader_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Choice(AttachmentState), nullable=False),
    Column("content_type", Text),
    Column("size_bytes", Integer),
    Column("width", Integer),
    Column("height", Integer),
    Column("message_id", Uuid),
    timestamp("requested_at"),
    Index("ix_attachment_unused", "tenant_id", "uploader_id", postgresql_where=text("message_id IS NULL")),
)

map_aggregate(Conversation, conversation)
map_aggregate(Block, block)
map_aggregate(Attachment, attachment)
mapping.map_imperatively(Message, message)

# Both can only come of two transactions at once, of which the second finds everything when it asks again.
refuses("uq_block_tenant_id_blocked_id_blocker_id", lambda _: ConcurrentModification(kind="Block", id="of that person"))
refuses("ux_conversation_subject", lambda _: ConcurrentModification(kind="Conversation", id="about that"))
