"""What happens in conversations, and who can follow it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from domain.kernel import Event, event
from domain.messaging.states import ConversationType, Decision, Moderation, Side
from domain.topics import followed


@event("messaging.conversation_started")
@dataclass(frozen=True, kw_only=True)
class ConversationStarted(Event):
    type: ConversationType
    buyer_id: UUID
    staff_ids: Sequence[UUID]
    store_id: UUID | None
    order_id: UUID | None
    product_id: UUID | None


@event("messaging.conversation_archived")
@dataclass(frozen=True, kw_only=True)
class ConversationArchived(Event):
    archived_by: UUID


@event("messaging.conversation_closed")
@dataclass(frozen=True, kw_only=True)
class ConversationEnded(Event):
    closed_by: UUID


@event("messaging.conversation_inspected")
@dataclass(frozen=True, kw_only=True)
class ConversationInspected(Event):
    """A moderator, who takes no part in it, has read a conversation."""

    moderator_id: UUID


@event("message.sent")
@dataclass(frozen=True, kw_only=True)
class MessageSent(Event):
    """Whole, so that those who tell of it need not read anything."""

    private: ClassVar[frozenset[str]] = frozenset({"body", "attachments"})
    person: ClassVar[str] = "sender_id"
    personal: ClassVar[frozenset[str]] = frozenset({"body", "attachments"})

    message_id: UUID
    conversation_id: UUID
    sender_id: UUID
    recipients: Sequence[UUID]
    side: Side
    client_id: str
    body: str
    attachments: Sequence[Mapping[str, Any]]
    position: int
    moderation: Moderation
    sent_at: datetime


@dataclass(frozen=True, kw_only=True)
class MessageProgress(Event):
    """Somebody got, or read, what the others wrote up to a message."""

    conversation_id: UUID
    message_id: UUID
    position: int
    user_id: UUID
    side: Side
    at: datetime


@event("message.delivered")
@dataclass(frozen=True, kw_only=True)
class MessageDelivered(MessageProgress):
    pass


@event("message.read")
@dataclass(frozen=True, kw_only=True)
class MessageRead(MessageProgress):
    pass


@event("messaging.message_held")
@dataclass(frozen=True, kw_only=True)
class MessageHeld(Event):
    message_id: UUID
    sender_id: UUID
    reason: str


@event("messaging.message_reported")
@dataclass(frozen=True, kw_only=True)
class MessageReported(Event):
    person: ClassVar[str] = "reporter_id"
    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    message_id: UUID
    sender_id: UUID
    reporter_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class MessageJudged(Event):
    conversation_id: UUID
    message_id: UUID
    position: int
    sender_id: UUID
    decision: Decision
    reason: str | None
    at: datetime


@event("messaging.message_approved")
@dataclass(frozen=True, kw_only=True)
class MessageApproved(MessageJudged):
    pass


@event("messaging.message_blocked")
@dataclass(frozen=True, kw_only=True)
class MessageBlocked(MessageJudged):
    pass


@event("messaging.participant_blocked")
@dataclass(frozen=True, kw_only=True)
class BlockedByParticipant(Event):
    blocker_id: UUID
    blocked_id: UUID


@event("messaging.participant_unblocked")
@dataclass(frozen=True, kw_only=True)
class UnblockedByParticipant(Event):
    blocker_id: UUID
    blocked_id: UUID


@event("messaging.attachment_requested")
@dataclass(frozen=True, kw_only=True)
class AttachmentRequested(Event):
    conversation_id: UUID
    uploader_id: UUID


@event("messaging.attachment_uploaded")
@dataclass(frozen=True, kw_only=True)
class AttachmentUploaded(Event):
    conversation_id: UUID
    content_type: str
    size_bytes: int


@event("messaging.attachment_expired")
@dataclass(frozen=True, kw_only=True)
class AttachmentExpired(Event):
    conversation_id: UUID


def conversation_topic(conversation_id: Any) -> str:
    """Name what is said in one conversation."""
    return f"conversation:{conversation_id}"


def inbox_topic(user_id: Any) -> str:
    """Name what is said in all conversations of a person."""
    return f"inbox:{user_id}"


def status_topic(conversation_id: Any) -> str:
    """Name what becomes of the messages of one conversation."""
    return f"conversation-status:{conversation_id}"


@followed("message.sent")
def _said(conversation_id: UUID, data: Mapping[str, Any]) -> list[str]:
    people = [data["sender_id"], *data["recipients"]]
    return [conversation_topic(conversation_id), *(inbox_topic(each) for each in people)]


@followed("message.delivered", "message.read", "messaging.message_approved", "messaging.message_blocked")
def _progressed(conversation_id: UUID, _data: Mapping[str, Any]) -> list[str]:
    return [status_topic(conversation_id)]
