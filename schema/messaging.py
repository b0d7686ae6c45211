"""The messaging subgraph: conversations of buyers with stores, sellers and the support."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.federation.schema_directives import ListSize

from domain import messaging as domain
from domain.kernel import InvalidStateTransition
from domain.paging import DEFAULT_PAGE
from resolvers import messaging as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Node,
    bulk,
    command,
    computed,
    connection,
    feed,
    make_subgraph,
    permission,
    query,
)

MODERATE = permission(domain.MODERATE)

enum_of(domain.ConversationType)
enum_of(domain.ConversationState)
enum_of(domain.Side)
enum_of(domain.MessageState)
enum_of(domain.Moderation)
enum_of(domain.Decision)


@strawberry.federation.type(keys=["id"])
class User:
    id: UUID


@strawberry.federation.type(keys=["id"])
class Product:
    id: UUID


@strawberry.federation.type(keys=["id"])
class Store:
    id: UUID


@strawberry.type(description="A file in a message; its content is at `url`, for participants.")
class MessageAttachment:
    id: UUID
    name: str
    content_type: str
    size_bytes: int
    width: int | None = strawberry.field(description="In pixels; null for what is no image.")
    height: int | None
    url: str
    thumbnail_url: str | None = strawberry.field(description="A small picture of an image, at most 320 pixels wide.")


def _attachments(message: Any, _context: Context) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "id": UUID(each["id"]),
            "url": f"/attachments/{each['id']}",
            "thumbnail_url": f"/attachments/{each['id']}?size=thumbnail" if each["width"] else None,
        }
        for each in message.attachments
    ]


@strawberry.federation.type(
    keys=["id"], description="What somebody said in a conversation: plain text, as it was sent."
)
class Message(Node):
    __references__ = {"id": resolvers.messages_by_id}
    __reads__ = (domain.Message,)

    id: UUID
    conversation_id: UUID
    conversation: Annotated["Conversation", strawberry.lazy("schema.messaging")] | None = bulk(
        resolvers.conversations_by_id, key="conversation_id", who=AUTHENTICATED
    )
    sender = computed(lambda message, _context: User(id=message.sender_id), User | None)
    sender_id: UUID
    side: domain.Side
    client_id: str = strawberry.federation.field(description="What its sender called it; the same is never sent twice.")
    body: str
    attachments = computed(_attachments, list[MessageAttachment])
    position: int = strawberry.federation.field(description="Its place in the conversation, counted from one.")
    state: domain.MessageState
    moderation: domain.Moderation
    sent_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None


def _staff(conversation: Any, _context: Context) -> list[User]:
    return [User(id=each) for each in conversation.staff_ids]


def _product(conversation: Any, _context: Context) -> Product | None:
    return Product(id=conversation.product_id) if conversation.product_id else None


def _store(conversation: Any, _context: Context) -> Store | None:
    return Store(id=conversation.store_id) if conversation.store_id else None


def _order(conversation: Any, _context: Context) -> Any:
    return Order(id=conversation.order_id) if conversation.order_id else None


@strawberry.federation.type(keys=["id"], description="A buyer and those who speak for a store, or for the support.")
class Conversation(Node):
    __references__ = {"id": resolvers.conversations_by_id}
    __reads__ = (domain.Conversation,)

    id: UUID
    type: domain.ConversationType
    state: domain.ConversationState
    buyer = computed(lambda conversation, _context: User(id=conversation.buyer_id), User | None)
    buyer_id: UUID
    staff = computed(_staff, list[User | None])
    staff_ids: list[UUID]
    store = computed(_store, Store | None)
    product = computed(_product, Product | None)
    order = computed(_order, Annotated["Order", strawberry.lazy("schema.messaging")] | None)
    started_at: datetime
    last_message_at: datetime
    last_message: Message | None = bulk(resolvers.last_messages, key="last_message_id", who=AUTHENTICATED)
    unread_count: int = bulk(resolvers.unread_of_conversations, key="id", who=AUTHENTICATED)


@strawberry.federation.type(keys=["id"])
class Order:
    id: UUID
    conversation: Conversation | None = bulk(
        resolvers.conversations_of_orders,
        key="id",
        who=PUBLIC,
        description="The caller's own about this order; of several, the one that was spoken in last.",
    )


@strawberry.type(description="A message that has come, and the cursor to follow on from.")
class MessageReceived:
    __reads__ = (resolvers.Received,)

    cursor: str
    message: Message


@strawberry.type(description="How far somebody has come in a conversation, or what was decided about a message.")
class MessageStatusChanged:
    __reads__ = (resolvers.StatusChange,)

    cursor: str
    conversation_id: UUID
    message_id: UUID
    position: int = strawberry.field(
        description="What the others said up to here is in that state, unless it is BLOCKED."
    )
    state: domain.MessageState
    user_id: UUID | None = strawberry.field(description="Who got or read it; null for a moderator's decision.")
    at: datetime


@strawberry.type(description="Who types at the moment, and until when that is to be believed.")
class TypingSignal:
    __reads__ = (resolvers.Typing,)

    conversation_id: UUID
    user_id: UUID
    is_typing: bool
    expires_at: datetime


@strawberry.type(description="Whether somebody is online.")
class UserPresence:
    __reads__ = (resolvers.Being,)

    user_id: UUID
    is_online: bool


@strawberry.type(description="Where to send the bytes of a file to, as the body of one request, and until when.")
class AttachmentUpload:
    __reads__ = (domain.AttachmentUpload,)

    attachment_id: UUID
    url: str
    method: str
    max_bytes: int
    expires_at: datetime


_HISTORY = ListSize(
    assumed_size=DEFAULT_PAGE,
    slicing_arguments=["first"],
    sized_fields=["edges", "nodes"],
    require_one_slicing_argument=False,
)


@strawberry.type
class Query:
    conversations = query(
        resolvers.conversations,
        connection(Conversation),
        who=AUTHENTICATED,
        description="The caller's conversations, those spoken in last first.",
    )
    conversation = query(resolvers.conversation, Conversation | None, who=AUTHENTICATED)
    messages = query(
        resolvers.messages,
        connection(Message),
        who=AUTHENTICATED,
        directives=[_HISTORY],
        description="What was said, newest first; `before` takes the `endCursor` of what is known.",
    )
    unread_count = query(resolvers.unread_count, int, who=AUTHENTICATED)
    messages_for_review = query(
        resolvers.messages_for_review,
        connection(Message),
        who=MODERATE,
        description="What is held or was reported, oldest first.",
    )


@strawberry.type
class Mutation:
    start_conversation = command(resolvers.start_conversation, Conversation, who=AUTHENTICATED)
    send_message = command(
        resolvers.send_message,
        Message,
        errors=[domain.RateLimited, domain.ParticipantBlocked, domain.ConversationClosed],
        who=AUTHENTICATED,
    )
    mark_messages_delivered = command(resolvers.mark_messages_delivered, Conversation, who=AUTHENTICATED)
    mark_messages_read = command(resolvers.mark_messages_read, Conversation, who=AUTHENTICATED)
    archive_conversation = command(
        resolvers.archive_conversation, Conversation, errors=[InvalidStateTransition], who=AUTHENTICATED
    )
    close_conversation = command(
        resolvers.close_conversation, Conversation, errors=[InvalidStateTransition], who=AUTHENTICATED
    )
    report_message = command(resolvers.report_message, Message, who=AUTHENTICATED)
    moderate_message = command(resolvers.moderate_message, Message, errors=[InvalidStateTransition], who=MODERATE)
    block_participant = command(resolvers.block_participant, Conversation, who=AUTHENTICATED)
    unblock_participant = command(resolvers.unblock_participant, Conversation, who=AUTHENTICATED)
    set_typing = command(resolvers.set_typing, TypingSignal, errors=[domain.RateLimited], who=AUTHENTICATED)
    request_attachment_upload = command(
        resolvers.request_attachment_upload,
        AttachmentUpload,
        errors=[domain.TooManyUploads],
        who=AUTHENTICATED,
    )


@strawberry.type
class Subscription:
    message_received = feed(resolvers.message_received, MessageReceived, who=AUTHENTICATED)
    message_status_changed = feed(resolvers.message_status_changed, MessageStatusChanged, who=AUTHENTICATED)
    typing = feed(resolvers.typing, TypingSignal, who=AUTHENTICATED)
    presence = feed(resolvers.presence, UserPresence, who=AUTHENTICATED)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[Order])
