"""Batch reads of messages, preferences, texts and broadcasts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.kernel import implements
from data.notifications.tables import (
    broadcast,
    broadcast_audit,
    broadcast_message,
    broadcast_segment,
    communication_analytics,
    communication_preference,
    inbox,
    message_template,
    notification,
    policy,
    push_subscription,
    template_version,
    unsubscribe_entry,
)
from data.paging import Listing, equals
from data.statements import Statement
from domain.notifications import (
    Channel,
    DateRange,
    NotificationFilter,
    NotificationPolicy,
    NotificationReads,
    NotificationState,
)
from domain.paging import Page, PageRequest

_KEYS = bindparam("keys", type_=ARRAY(Uuid))
_USER = bindparam("user_id", type_=Uuid)
_BY_ID = Statement(select(notification).where(notification.c.id == func.any(_KEYS)))
_UNREAD = Statement(select(inbox.c.user_id, inbox.c.unread).where(inbox.c.user_id == func.any(_KEYS)))
_own = notification.c
_INBOX = Listing(
    select(notification).where(
        _own.user_id == _USER, _own.channel == Channel.IN_APP, _own.state == NotificationState.DELIVERED
    ),
    [_own.id.desc()],
    unread_only=_own.read_at.is_(None),
)
_LOG = Listing(
    select(notification),
    [_own.id.desc()],
    **equals(_own.user_id, _own.channel, _own.state, _own.template, _own.broadcast_id),
)
_PREFERENCES = Statement(select(communication_preference).where(communication_preference.c.user_id == func.any(_KEYS)))
_BROWSERS = Statement(
    select(push_subscription).where(push_subscription.c.user_id == _USER).order_by(push_subscription.c.id)
)
_TEMPLATES = Listing(select(message_template), [message_template.c.id.desc()], **equals(message_template.c.code))
_VERSIONS = Statement(
    select(template_version)
    .where(template_version.c.template_id == func.any(_KEYS))
    .order_by(template_version.c.number.desc())
)
_POLICY = Statement(select(policy))
_BROADCASTS = Listing(select(broadcast), [broadcast.c.id.desc()])
_BROADCASTS_BY_ID = Statement(select(broadcast).where(broadcast.c.id == func.any(_KEYS)))
_TEXTS = Statement(
    select(broadcast_message)
    .where(broadcast_message.c.broadcast_id == func.any(_KEYS))
    .order_by(broadcast_message.c.id)
)
_AUDIT = Statement(
    select(broadcast_audit).where(broadcast_audit.c.broadcast_id == func.any(_KEYS)).order_by(broadcast_audit.c.id)
)
_SEGMENTS = Listing(select(broadcast_segment), [broadcast_segment.c.id.desc()])
_SEGMENTS_BY_ID = Statement(select(broadcast_segment).where(broadcast_segment.c.id == func.any(_KEYS)))
_SUPPRESSED = Listing(select(unsubscribe_entry), [unsubscribe_entry.c.id.desc()])
_table = communication_analytics.c
_ANALYTICS = Statement(
    select(communication_analytics)
    .where(_table.day.between(bindparam("begin", type_=Date), bindparam("end", type_=Date)))
    .order_by(_table.day.desc(), _table.channel, _table.template)
)


@implements(NotificationReads)
class SqlNotificationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def inbox(self, user_id: UUID, page: PageRequest, *, unread_only: bool) -> Page[Any]:
        return await _INBOX.page(self._reads, page, user_id=user_id, unread_only=unread_only or None)

    async def unread(self, user_ids: Sequence[UUID]) -> list[int]:
        rows = await self._reads.by_key(_UNREAD, user_ids, "user_id")
        return [0 if row is None else row.unread for row in rows]

    async def log(self, wanted: NotificationFilter, page: PageRequest) -> Page[Any]:
        return await _LOG.page(self._reads, page, **vars(wanted))

    async def analytics(self, days: DateRange) -> list[Any]:
        return await self._reads.rows(_ANALYTICS, begin=days.begin, end=days.end)

    async def preferences(self, user_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_PREFERENCES, user_ids, "user_id")

    async def push_subscriptions(self, user_id: UUID) -> list[Any]:
        return await self._reads.rows(_BROWSERS, user_id=user_id)

    async def templates(self, code: str | None, page: PageRequest) -> Page[Any]:
        return await _TEMPLATES.page(self._reads, page, code=code)

    async def template_versions(self, template_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_VERSIONS, template_ids, "template_id")

    async def policy(self, tenant_id: UUID) -> Any:
        return await self._reads.row(_POLICY) or NotificationPolicy(tenant_id=tenant_id)

    async def broadcasts(self, page: PageRequest) -> Page[Any]:
        return await _BROADCASTS.page(self._reads, page)

    async def broadcasts_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BROADCASTS_BY_ID, ids)

    async def broadcast_texts(self, broadcast_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_TEXTS, broadcast_ids, "broadcast_id")

    async def broadcast_audit(self, broadcast_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_AUDIT, broadcast_ids, "broadcast_id")

    async def segments(self, page: PageRequest) -> Page[Any]:
        return await _SEGMENTS.page(self._reads, page)

    async def segments_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_SEGMENTS_BY_ID, ids)

    async def suppressed(self, page: PageRequest) -> Page[Any]:
        return await _SUPPRESSED.page(self._reads, page)
