"""What is done in conversations, and by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.kernel import Forbidden, InvalidInput, NotFound, Work
from domain.messaging.attachments import Attachments, files_of
from domain.messaging.conversation import MAX_ATTACHMENTS, Conversation, ParticipantBlocked
from domain.messaging.message import Message, SendMessage
from domain.messaging.ports import MODERATE, Conversations, Exchange, existing, missing
from domain.messaging.states import MessageState


@dataclass(frozen=True, kw_only=True)
class StartConversation:
    """Talk about an order or a product, or with the support; of an order of several stores, `store_id` says with which."""

    order_id: UUID | None = None
    product_id: UUID | None = None
    store_id: UUID | None = None
    support: bool = False


@dataclass(frozen=True, kw_only=True)
class MarkMessagesDelivered:
    """Say that everything up to a message has arrived."""

    conversation_id: UUID
    up_to: UUID


@dataclass(frozen=True, kw_only=True)
class MarkMessagesRead:
    """Say that everything up to a message has been read."""

    conversation_id: UUID
    up_to: UUID


@dataclass(frozen=True, kw_only=True)
class ArchiveConversation:
    """Put a conversation away until somebody writes again."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class CloseConversation:
    """End a conversation for good."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class InspectConversations:
    """Note that a moderator reads conversations."""

    ids: Sequence[UUID]


async def send_message(command: SendMessage, work: Work, exchange: Exchange, attachments: Attachments) -> Message:
    """Say something once; saying it again gives what was said.

    Raises: NotFound, IdempotencyKeyReused, ParticipantBlocked, ConversationClosed, RateLimited, InvalidInput.
    """
    sender_id = work.actor.require_user()
    opened = await exchange.open(command.conversation_id, sender_id)
    if opened is None:
        raise missing(command.conversation_id)
    conversation, sender = opened
    conversation.side_of(sender_id)
    known = await exchange.known(sender_id, command.client_id, conversation.participants)
    if known.message is not None:
        return known.message.repeated(command)
    if known.is_blocked:
        raise ParticipantBlocked(conversation_id=str(conversation.id))
    if len(command.attachment_ids) > MAX_ATTACHMENTS:
        raise InvalidInput(field="attachmentIds", reason=f"a message has at most {MAX_ATTACHMENTS}")
    files = await attachments.lock(command.attachment_ids) if command.attachment_ids else ()
    message = conversation.send(command, sender, files_of(command, sender_id, files), work.now)
    for file in files:
        file.message_id = message.id
    await exchange.say(conversation, message, sender)
    return message


async def mark_messages_delivered(command: MarkMessagesDelivered, work: Work, exchange: Exchange) -> Conversation:
    return await _mark(command.conversation_id, command.up_to, MessageState.DELIVERED, work, exchange)


async def mark_messages_read(command: MarkMessagesRead, work: Work, exchange: Exchange) -> Conversation:
    return await _mark(command.conversation_id, command.up_to, MessageState.READ, work, exchange)


async def archive_conversation(command: ArchiveConversation, work: Work, conversations: Conversations) -> Conversation:
    conversation = await existing(command.id, conversations)
    conversation.archive(work.actor.require_user())
    return conversation


async def close_conversation(command: CloseConversation, work: Work, conversations: Conversations) -> Conversation:
    conversation = await existing(command.id, conversations)
    conversation.close(work.actor.require_user(), as_moderator=work.actor.may(MODERATE))
    return conversation


async def inspect_conversations(command: InspectConversations, work: Work, conversations: Conversations) -> None:
    if not work.actor.may(MODERATE):
        raise Forbidden(permission=MODERATE)
    for conversation_id in sorted(command.ids):
        (await existing(conversation_id, conversations)).inspect(work.actor.require_user())


async def _mark(
    conversation_id: UUID, up_to: UUID, state: MessageState, work: Work, exchange: Exchange
) -> Conversation:
    user_id = work.actor.require_user()
    place = await exchange.open_at(conversation_id, up_to, user_id)
    if place is None:
        raise missing(conversation_id)
    conversation, message = place.conversation, place.message
    conversation.side_of(user_id)
    if message is None or not (message.is_seen or message.sender_id == user_id):
        raise NotFound(kind="Message", id=str(up_to))
    if message.position > place.reached(state):
        conversation.mark(message, state, user_id, work.now)
        await exchange.mark(place, message, state, user_id, work.now)
    return conversation
