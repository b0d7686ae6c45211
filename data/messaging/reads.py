"""Conversations and messages to look at."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from data.database import Reads
from data.kernel import implements
from data.messaging.tables import FOR_REVIEW, SHOWN, attachment, conversation, inbox_entry, message
from data.paging import Listing, equals
from data.statements import Statement
from domain.messaging import ConversationFilter, MessagingReads
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(PG_UUID))
_USER = bindparam("user_id", type_=PG_UUID)
_VIEWER = bindparam("viewer_id", type_=PG_UUID)

_CONVERSATIONS = Statement(select(conversation).where(conversation.c.id == func.any(_IDS)))
_INBOX = Listing(
    select(
        *(column for column in conversation.c if column.name != "last_message_at"),
        inbox_entry.c.conversation_id,
        inbox_entry.c.last_message_at,
    )
    .join_from(inbox_entry, conversation, conversation.c.id == inbox_entry.c.conversation_id)
    .where(inbox_entry.c.user_id == _USER),
    [inbox_entry.c.last_message_at.desc(), inbox_entry.c.conversation_id.desc()],
    **equals(conversation.c.state, conversation.c.type),
    unread=inbox_entry.c.unread_count > 0,
)
_ENTRIES = Statement(
    select(inbox_entry).where(inbox_entry.c.user_id == _USER, inbox_entry.c.conversation_id == func.any(_IDS))
)
_UNREAD = Statement(
    select(func.coalesce(func.sum(inbox_entry.c.unread_count), 0).label("total")).where(
        inbox_entry.c.user_id == _USER, inbox_entry.c.unread_count > 0
    )
)
_MESSAGES = Statement(select(message).where(message.c.id == func.any(_IDS)))
_HISTORY = Listing(
    select(message).where(message.c.conversation_id == bindparam("conversation_id", type_=PG_UUID)),
    [message.c.position.desc()],
    viewer_id=or_(SHOWN, message.c.sender_id == _VIEWER),
)
_REVIEW = Listing(select(message).where(FOR_REVIEW), [message.c.id])
_OF_ORDERS = Statement(
    select(conversation)
    .ext(distinct_on(conversation.c.order_id))
    .join(inbox_entry, inbox_entry.c.conversation_id == conversation.c.id)
    .where(conversation.c.order_id == func.any(_IDS), inbox_entry.c.user_id == _USER)
    .order_by(conversation.c.order_id, inbox_entry.c.last_message_at.desc())
)
_other = inbox_entry.alias("other")
_SHARED = Statement(
    select(inbox_entry.c.conversation_id)
    .join(_other, _other.c.conversation_id == inbox_entry.c.conversation_id)
    .where(inbox_entry.c.user_id == _USER, _other.c.user_id == bindparam("other_id", type_=PG_UUID))
    .limit(1)
)
_ATTACHMENT = Statement(
    select(attachment, message.c.moderation)
    .outerjoin(message, message.c.id == attachment.c.message_id)
    .where(attachment.c.id == bindparam("id", type_=PG_UUID))
)


@implements(MessagingReads)
class SqlMessagingReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def conversations(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_CONVERSATIONS, ids)

    async def inbox(self, user_id: UUID, wanted: ConversationFilter, page: PageRequest) -> Page[Any]:
        unread = True if wanted.unread else None
        return await _INBOX.page(
            self._reads, page, user_id=user_id, state=wanted.state, type=wanted.type, unread=unread
        )

    async def entries(self, user_id: UUID, conversation_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_ENTRIES, conversation_ids, "conversation_id", user_id=user_id)

    async def unread(self, user_id: UUID) -> int:
        row = await self._reads.row(_UNREAD, user_id=user_id)
        return int(row.total) if row else 0

    async def messages(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_MESSAGES, ids)

    async def history(self, conversation_id: UUID, viewer_id: UUID | None, page: PageRequest) -> Page[Any]:
        return await _HISTORY.page(self._reads, page, conversation_id=conversation_id, viewer_id=viewer_id)

    async def for_review(self, page: PageRequest) -> Page[Any]:
        return await _REVIEW.page(self._reads, page)

    async def of_orders(self, user_id: UUID, order_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_OF_ORDERS, order_ids, "order_id", user_id=user_id)

    async def share_a_conversation(self, one: UUID, other: UUID) -> bool:
        return await self._reads.row(_SHARED, user_id=one, other_id=other) is not None

    async def attachment(self, attachment_id: UUID) -> Any | None:
        return await self._reads.row(_ATTACHMENT, id=attachment_id)
