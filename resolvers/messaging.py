"""Verbs of messaging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import messaging
from domain.codec import from_json
from domain.kernel import NotFound
from domain.messaging import (
    MODERATE,
    ONLINE,
    UNSEEN,
    ConversationFilter,
    InspectConversations,
    Message,
    MessageState,
    MessagingReads,
    RateLimited,
    TypingPace,
    conversation_topic,
    inbox_topic,
    missing,
    status_topic,
)
from domain.paging import Page, PageRequest
from domain.processes import chatting
from domain.topics import Presence, Signals, TopicEvent, presence_topic
from resolvers.kernel import Context, Feed, transacts

TYPING_LASTS = timedelta(seconds=6)
TYPING_PAUSE_SECONDS = 5

start_conversation = transacts(chatting.start_conversation)
send_message = transacts(messaging.send_message)
mark_messages_delivered = transacts(messaging.mark_messages_delivered)
mark_messages_read = transacts(messaging.mark_messages_read)
archive_conversation = transacts(messaging.archive_conversation)
close_conversation = transacts(messaging.close_conversation)
report_message = transacts(messaging.report_message)
moderate_message = transacts(messaging.moderate_message)
block_participant = transacts(messaging.block_participant)
unblock_participant = transacts(messaging.unblock_participant)
request_attachment_upload = transacts(messaging.request_attachment_upload)


@dataclass(frozen=True, kw_only=True)
class SetTyping:
    """Say that one is typing, or has stopped; who types on says so again before it expires."""

    conversation_id: UUID
    is_typing: bool = True


@dataclass(frozen=True, kw_only=True)
class Typing:
    """Who types in a conversation at the moment, and until when that is to be believed."""

    conversation_id: UUID
    user_id: UUID
    is_typing: bool
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message, and where to follow on from."""

    cursor: str
    message: Message


@dataclass(frozen=True, kw_only=True)
class StatusChange:
    """How far somebody has come in a conversation, or what was decided about a message."""

    cursor: str
    conversation_id: UUID
    message_id: UUID
    position: int
    state: MessageState
    user_id: UUID | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Being:
    """Whether somebody is online."""

    user_id: UUID
    is_online: bool


async def conversations_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the conversations that the caller takes part in; moderators get the others too, and that is noted."""
    found = await context.read(MessagingReads).conversations(ids)
    others = [row.id for row in found if row is not None and not _takes_part(context, row)]
    if others and not await _inspect(context, others):
        return [row if row is not None and row.id not in others else None for row in found]
    return found


async def messages_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the messages that the caller can see."""
    found = [row for row in await context.read(MessagingReads).messages(ids) if row is not None]
    conversation_ids = sorted({row.conversation_id for row in found})
    rooms = await conversations_by_id(context, conversation_ids) if found else ()
    seen = {row.id for row in rooms if row is not None}
    shown = {row.id: row for row in found if row.conversation_id in seen and _is_shown(context, row)}
    return [shown.get(each) for each in ids]


async def last_messages(context: Context, ids: Sequence[UUID | None]) -> Sequence[Any]:
    """Give messages of conversations that the caller sees already."""
    wanted = [each for each in ids if each is not None]
    found = await context.read(MessagingReads).messages(wanted) if wanted else ()
    shown = {row.id: row for row in found if row is not None and _is_shown(context, row)}
    return [shown.get(each) if each else None for each in ids]


async def unread_of_conversations(context: Context, ids: Sequence[UUID]) -> Sequence[int]:
    entries = await context.read(MessagingReads).entries(context.principal.require_user(), ids)
    return [entry.unread_count if entry else 0 for entry in entries]


async def conversations_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    """Give, per order, the conversation in which the caller was spoken to last."""
    if context.principal.user_id is None:
        return [None] * len(order_ids)
    return await context.read(MessagingReads).of_orders(context.principal.user_id, order_ids)


async def conversation(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(conversations_by_id, id)


async def conversations(
    context: Context,
    page: PageRequest,
    filter: ConversationFilter | None = None,  # noqa: A002 — GraphQL's conventional name.
) -> Page[Any]:
    user_id = context.principal.require_user()
    return await context.read(MessagingReads).inbox(user_id, filter or ConversationFilter(), page)


async def messages(
    context: Context, conversation_id: UUID, first: int | None = None, before: str | None = None
) -> Page[Any]:
    """List what was said, newest first; `before` is the cursor of the oldest message that is known."""
    found = await _visible(context, conversation_id)
    viewer_id = context.principal.user_id if _takes_part(context, found) else None
    page = PageRequest(first=first, after=before)
    return await context.read(MessagingReads).history(conversation_id, viewer_id, page)


async def unread_count(context: Context) -> int:
    return await context.read(MessagingReads).unread(context.principal.require_user())


async def messages_for_review(context: Context, page: PageRequest) -> Page[Any]:
    """List what is held or was reported, oldest first."""
    return await context.read(MessagingReads).for_review(page)


async def set_typing(context: Context, command: SetTyping, idempotency_key: str | None = None) -> Typing:  # noqa: ARG001 — the signature of commands.
    """Tell the others of a conversation; kept nowhere.

    Raises: NotFound, RateLimited.
    """
    user_id, tenant_id = context.principal.require_user(), context.require_tenant()
    await _own(context, command.conversation_id)
    if not await context.service(TypingPace).admit(tenant_id, user_id):
        raise RateLimited(retry_after_seconds=TYPING_PAUSE_SECONDS)
    typing = Typing(
        conversation_id=command.conversation_id,
        user_id=user_id,
        is_typing=command.is_typing,
        expires_at=context.now() + TYPING_LASTS,
    )
    told = {"user_id": user_id, "is_typing": typing.is_typing, "expires_at": typing.expires_at.isoformat()}
    await context.service(Signals).send(tenant_id, _typing_topic(command.conversation_id), told)
    return typing


async def message_received(context: Context, conversation_id: UUID | None = None, after: str | None = None) -> Feed:
    """Follow one conversation, or all of one's own; whoever follows is online."""
    user_id = context.principal.require_user()
    topic = inbox_topic(user_id)
    if conversation_id is not None:
        await _own(context, conversation_id)
        topic = conversation_topic(conversation_id)

    def still_takes_part(event: TopicEvent) -> None:
        if str(user_id) not in (event.data["sender_id"], *event.data["recipients"]):
            raise NotFound(kind="Conversation", id=event.data["conversation_id"])

    return Feed(
        topics=[topic],
        values=_received,
        after=after,
        allows=still_takes_part,
        while_open=[(ONLINE, str(user_id))],
    )


async def message_status_changed(context: Context, conversation_id: UUID, after: str | None = None) -> Feed:
    await _own(context, conversation_id)
    return Feed(topics=[status_topic(conversation_id)], values=_status_changes, after=after)


async def typing(context: Context, conversation_id: UUID) -> Feed:
    """Follow who types, oneself left out."""
    await _own(context, conversation_id)

    async def values(context: Context, events: Sequence[TopicEvent]) -> list[Typing | None]:
        told = [_typing(conversation_id, event.data) for event in events]
        return [each if each.user_id != context.principal.user_id else None for each in told]

    return Feed(signals=[_typing_topic(conversation_id)], values=values)


async def presence(context: Context, user_id: UUID) -> Feed:
    """Follow whether somebody is online with whom one shares a conversation."""
    caller = context.principal.require_user()
    if not await context.read(MessagingReads).share_a_conversation(caller, user_id):
        raise NotFound(kind="User", id=str(user_id))

    async def now(context: Context) -> list[Being]:
        (online,) = await context.service(Presence).present(context.require_tenant(), ONLINE, [str(user_id)])
        return [Being(user_id=user_id, is_online=online)]

    async def values(context: Context, events: Sequence[TopicEvent]) -> list[Being | None]:
        return [*([None] * (len(events) - 1)), *await now(context)]

    return Feed(signals=[presence_topic(ONLINE, str(user_id))], values=values, opening=now)


async def _received(_context: Context, events: Sequence[TopicEvent]) -> list[Received]:
    """Make the messages of what the events say: nothing is read for them."""
    return [Received(cursor=event.cursor, message=_message(event)) for event in events]


def _message(event: TopicEvent) -> Message:
    said = dict(event.data)
    said.pop("recipients")
    return from_json({**said, "id": said.pop("message_id"), "tenant_id": event.tenant_id}, Message)


_STATES = {
    "message.delivered": MessageState.DELIVERED,
    "message.read": MessageState.READ,
    "messaging.message_approved": MessageState.SENT,
    "messaging.message_blocked": MessageState.BLOCKED,
}


async def _status_changes(_context: Context, events: Sequence[TopicEvent]) -> list[StatusChange]:
    return [
        StatusChange(
            cursor=event.cursor,
            conversation_id=UUID(event.data["conversation_id"]),
            message_id=UUID(event.data["message_id"]),
            position=event.data["position"],
            state=_STATES[event.name],
            user_id=UUID(event.data["user_id"]) if "user_id" in event.data else None,
            at=datetime.fromisoformat(event.data["at"]),
        )
        for event in events
    ]


def _typing_topic(conversation_id: UUID) -> str:
    return f"typing:{conversation_id}"


def _typing(conversation_id: UUID, told: Mapping[str, Any]) -> Typing:
    return Typing(
        conversation_id=conversation_id,
        user_id=UUID(told["user_id"]),
        is_typing=told["is_typing"],
        expires_at=datetime.fromisoformat(told["expires_at"]),
    )


def _takes_part(context: Context, row: Any) -> bool:
    user_id = context.principal.user_id
    return user_id is not None and (user_id == row.buyer_id or user_id in row.staff_ids)


def _is_shown(context: Context, row: Any) -> bool:
    caller = context.principal
    return row.moderation not in UNSEEN or row.sender_id == caller.user_id or caller.may(MODERATE)


async def _own(context: Context, conversation_id: UUID) -> Any:
    """Give a conversation that the caller takes part in.

    Raises: NotFound.
    """
    (found,) = await context.read(MessagingReads).conversations([conversation_id])
    if found is None or not _takes_part(context, found):
        raise missing(conversation_id)
    return found


async def _visible(context: Context, conversation_id: UUID) -> Any:
    found = await context.load(conversations_by_id, conversation_id)
    if found is None:
        raise missing(conversation_id)
    return found


async def _inspect(context: Context, ids: Sequence[UUID]) -> bool:
    """Note that a moderator reads what others say; says whether the caller is one."""
    if not context.principal.may(MODERATE):
        return False
    # The snapshot goes on: this changes nothing that the operation shows.
    await context.transactions.run(messaging.inspect_conversations, InspectConversations(ids=ids), context.work())
    return True
