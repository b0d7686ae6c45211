"""How conversations are kept and read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import NotFound
from domain.messaging.conversation import Conversation
from domain.messaging.correspondent import Correspondent
from domain.messaging.message import Message
from domain.messaging.states import ConversationState, ConversationType, MessageState
from domain.paging import Page, PageRequest

MODERATE = "messaging.moderate"
ONLINE = "online"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known before something is said: whether it was said already, and whether somebody refuses to hear it."""

    message: Message | None
    is_blocked: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """A message in a conversation, and how far somebody had come there, by position."""

    conversation: Conversation
    message: Message | None
    delivered: int
    read: int

    def reached(self, state: MessageState) -> int:
        return self.read if state is MessageState.READ else self.delivered


class Exchange(Protocol):
    """What every message runs, in as few statements as can be; the conversation is locked until the transaction ends."""

    async def open(self, conversation_id: UUID, sender_id: UUID) -> tuple[Conversation, Correspondent] | None: ...

    async def known(self, sender_id: UUID, client_id: str, participants: Sequence[UUID]) -> Known: ...

    async def say(self, conversation: Conversation, message: Message, sender: Correspondent) -> None: ...

    async def open_at(self, conversation_id: UUID, message_id: UUID, user_id: UUID) -> Place | None: ...

    async def mark(self, place: Place, message: Message, state: MessageState, user_id: UUID, now: datetime) -> None: ...


class Conversations(Protocol):
    """Conversations for the rarer changes, locked until the transaction ends."""

    async def lock_or_create(self, blank: Conversation) -> Conversation:
        """Give the one conversation about its subject that is not over."""
        ...

    async def enrol(self, conversation: Conversation) -> None:
        """Open the inboxes of those who take part."""
        ...

    async def keep_staff(self, type_: ConversationType, store_id: UUID | None, staff_ids: Collection[UUID]) -> None:
        """Have exactly these people, and each conversation's own seller, speak for a store or for the support."""
        ...

    async def lock(self, conversation_id: UUID) -> Conversation | None: ...

    async def lock_message(self, message_id: UUID) -> tuple[Conversation, Message] | None: ...

    async def announce(self, conversation: Conversation, message: Message) -> None:
        """Count a message that was held as unread, now that it goes out."""
        ...

    async def retract(self, message: Message) -> None:
        """Count a message that is taken away as unread no longer."""
        ...


@dataclass(frozen=True, kw_only=True)
class ConversationFilter:
    """Which conversations are wanted."""

    state: ConversationState | None = None
    type: ConversationType | None = None
    unread: bool | None = None


class MessagingReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def conversations(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def inbox(self, user_id: UUID, wanted: ConversationFilter, page: PageRequest) -> Page[Any]: ...

    async def entries(self, user_id: UUID, conversation_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def unread(self, user_id: UUID) -> int: ...

    async def messages(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def history(self, conversation_id: UUID, viewer_id: UUID | None, page: PageRequest) -> Page[Any]:
        """Give the messages that a viewer sees, newest first; without a viewer all of them."""
        ...

    async def for_review(self, page: PageRequest) -> Page[Any]: ...

    async def of_orders(self, user_id: UUID, order_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def share_a_conversation(self, one: UUID, other: UUID) -> bool: ...

    async def attachment(self, attachment_id: UUID) -> Any | None: ...


class TypingPace(Protocol):
    """Says whether somebody may tell once more that he types, over all processes."""

    async def admit(self, tenant_id: UUID, user_id: UUID) -> bool: ...


def missing(conversation_id: UUID) -> NotFound:
    """Answer as if the conversation had never been."""
    return NotFound(kind="Conversation", id=str(conversation_id))


async def existing(conversation_id: UUID, conversations: Conversations) -> Conversation:
    """Lock a conversation.

    Raises: NotFound.
    """
    conversation = await conversations.lock(conversation_id)
    if conversation is None:
        raise missing(conversation_id)
    return conversation
