"""Conversations, blocks, reports and attachments for change."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.kernel import implements
from data.messaging.tables import attachment, block, conversation, correspondent, inbox_entry, message, report
from domain.kernel import ConcurrentModification
from domain.messaging import (
    Attachment,
    Attachments,
    Block,
    Blocks,
    Conversation,
    Conversations,
    ConversationState,
    ConversationType,
    Message,
    Reports,
)

_OWN = [column.name for column in conversation.c if column.name not in {"created_at", "updated_at"}]
_SUBJECT = ("type", "buyer_id", "seller_id", "store_id", "order_id", "product_id")
_ENROL = """
WITH known AS (
  INSERT INTO messaging.correspondent (tenant_id, user_id) SELECT $1, unnest($3::uuid[]) ON CONFLICT DO NOTHING
)
INSERT INTO messaging.inbox_entry (tenant_id, conversation_id, user_id, last_message_at)
SELECT $1, $2, person, $4 FROM unnest($3::uuid[]) AS person
"""
# Who comes later has nothing to catch up with: what was said before counts as read.
_KEEP_STAFF = """
WITH changed AS (
  UPDATE messaging.conversation c SET staff_ids = ARRAY(
    SELECT DISTINCT person FROM unnest(array_append($3::uuid[], c.seller_id)) AS person
    WHERE person IS NOT NULL AND person <> c.buyer_id ORDER BY person)
  WHERE c.tenant_id = :tenant AND c.type = $1 AND c.store_id IS NOT DISTINCT FROM $2 AND c.state <> 'closed'
  RETURNING c.id, c.tenant_id, c.buyer_id, c.staff_ids, c.last_position, c.last_message_at
), gone AS (
  DELETE FROM messaging.inbox_entry e USING changed c
  WHERE e.tenant_id = c.tenant_id AND e.conversation_id = c.id AND e.user_id <> c.buyer_id AND e.user_id <> ALL (c.staff_ids)
), known AS (
  INSERT INTO messaging.correspondent (tenant_id, user_id)
  SELECT DISTINCT c.tenant_id, person FROM changed c, unnest(c.staff_ids) AS person ON CONFLICT DO NOTHING
)
INSERT INTO messaging.inbox_entry
  (tenant_id, conversation_id, user_id, delivered_position, read_position, last_message_at)
SELECT c.tenant_id, c.id, person, c.last_position, c.last_position, c.last_message_at
FROM changed c, unnest(c.staff_ids) AS person
ON CONFLICT DO NOTHING
"""


@implements(Conversations)
class SqlConversations:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_or_create(self, blank: Conversation) -> Conversation:
        values = {name: getattr(blank, name) for name in _OWN}
        await self._session.execute(upsert(conversation).values(values).on_conflict_do_nothing())
        subject = [conversation.c[name].is_not_distinct_from(getattr(blank, name)) for name in _SUBJECT]
        still_on = conversation.c.state != ConversationState.CLOSED
        wanted = select(Conversation).where(still_on, *subject).with_for_update()
        found = (await self._session.scalars(wanted)).one_or_none()
        if found is None:
            # Somebody closed it between the two statements.
            raise ConcurrentModification(kind="Conversation", id="about that")
        return found

    async def enrol(self, enrolled: Conversation) -> None:
        people, latest = enrolled.participants, enrolled.last_message_at
        await direct(self._session, _ENROL, enrolled.tenant_id, enrolled.id, people, latest)

    async def keep_staff(self, type_: ConversationType, store_id: UUID | None, staff_ids: Collection[UUID]) -> None:
        await direct(self._session, _KEEP_STAFF, type_, store_id, list(staff_ids))

    async def lock(self, conversation_id: UUID) -> Conversation | None:
        return await self._session.get(Conversation, conversation_id, with_for_update=True)

    async def lock_message(self, message_id: UUID) -> tuple[Conversation, Message] | None:
        of = select(message.c.conversation_id).where(message.c.id == message_id)
        conversation_id = (await self._session.execute(of)).scalar_one_or_none()
        locked = None if conversation_id is None else await self.lock(conversation_id)
        found = None if locked is None else await self._session.get(Message, message_id, with_for_update=True)
        return None if locked is None or found is None else (locked, found)

    async def announce(self, announced: Conversation, sent: Message) -> None:
        entry = inbox_entry.c
        more = func.coalesce((entry.user_id != sent.sender_id).cast(entry.unread_count.type), 0)
        await self._session.execute(
            update(inbox_entry)
            .where(entry.conversation_id == announced.id)
            .values(unread_count=entry.unread_count + more, last_message_at=announced.last_message_at)
        )

    async def retract(self, taken: Message) -> None:
        entry = inbox_entry.c
        await self._session.execute(
            update(inbox_entry)
            .where(
                entry.conversation_id == taken.conversation_id,
                entry.user_id != taken.sender_id,
                entry.read_position < taken.position,
            )
            .values(unread_count=entry.unread_count - 1)
        )


@implements(Blocks)
class SqlBlocks:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, blocker_id: UUID, blocked_id: UUID) -> Block | None:
        # Whoever writes holds his own row of these while he does.
        own = select(correspondent.c.user_id).where(correspondent.c.user_id == blocked_id).with_for_update()
        await self._session.execute(own)
        wanted = select(Block).where(block.c.blocker_id == blocker_id, block.c.blocked_id == blocked_id)
        return (await self._session.scalars(wanted)).one_or_none()

    def add(self, added: Block) -> None:
        self._session.add(added)

    async def remove(self, removed: Block) -> None:
        await self._session.delete(removed)


@implements(Reports)
class SqlReports:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, reported: Message, reporter_id: UUID, reason: str) -> bool:
        values: dict[str, Any] = {
            "tenant_id": reported.tenant_id,
            "message_id": reported.id,
            "reporter_id": reporter_id,
            "reason": reason,
        }
        added = upsert(report).values(values).on_conflict_do_nothing().returning(report.c.message_id)
        return (await self._session.execute(added)).first() is not None


@implements(Attachments)
class SqlAttachments:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, added: Attachment) -> None:
        self._session.add(added)

    async def lock(self, ids: Sequence[UUID]) -> Sequence[Attachment]:
        wanted = select(Attachment).where(attachment.c.id.in_(ids)).order_by(attachment.c.id).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def unused(self, uploader_id: UUID) -> int:
        own = (attachment.c.uploader_id == uploader_id, attachment.c.message_id.is_(None))
        return (await self._session.execute(select(func.count()).where(*own))).scalar_one()

    async def remove(self, removed: Attachment) -> None:
        await self._session.delete(removed)
