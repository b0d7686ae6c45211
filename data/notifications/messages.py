"""Messages, inboxes and counts for change, and the messages of all tenants that somebody has to look after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.kernel import implements
from data.notifications.tables import (
    communication_analytics,
    inbox,
    notification,
    push_subscription,
    unsubscribe_entry,
)
from data.statements import Statement
from domain.kernel import uuid7
from domain.notifications import (
    WAITING,
    Analytics,
    Channel,
    HoldReason,
    Inbox,
    Inboxes,
    MessageCategory,
    Notification,
    Notifications,
    NotificationState,
    Suppression,
    Suppressions,
    Tally,
)

_FIELDS = [column.name for column in notification.c if column.name not in {"created_at", "updated_at"}]
_INBOX = [column.name for column in inbox.c if column.name not in {"created_at", "updated_at"}]
_ENTRY = ("address", "channel", "category", "reason", "at")
MOST_AT_ONCE = 100
_DUE = Statement(
    select(notification.c.id, notification.c.tenant_id)
    .where(notification.c.due_at <= bindparam("now", type_=DateTime(timezone=True)))
    .order_by(notification.c.due_at, notification.c.id)
    .limit(bindparam("most", type_=Integer))
)


class DueNotifications:
    """Finds what is due, in all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime, most: int) -> list[tuple[UUID, UUID]]:
        """Give tenant and id of what is due, the longest waiting first."""
        reads = self._database.system_reads()
        try:
            return [(UUID(str(row.tenant_id)), UUID(str(row.id))) for row in await reads.rows(_DUE, now=now, most=most)]
        finally:
            await reads.end()


@implements(Notifications)
class SqlNotifications:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def queue(self, notifications: Sequence[Notification]) -> int:
        if not notifications:
            return 0
        rows = [{name: getattr(each, name) for name in _FIELDS} for each in notifications]
        statement = upsert(notification).values(rows).on_conflict_do_nothing(index_elements=["tenant_id", "key"])
        return len((await self._session.execute(statement.returning(notification.c.id))).all())

    async def pushable(self, user_ids: Sequence[UUID]) -> set[UUID]:
        own = push_subscription.c.user_id
        return set(await self._session.scalars(select(own).where(own == func.any(list(user_ids))).distinct()))

    async def lock_due(self, notification_id: UUID, now: datetime) -> Notification | None:
        wanted = select(Notification).where(
            notification.c.id == notification_id,
            notification.c.state.in_(WAITING),
            notification.c.due_at <= now,
        )
        return (await self._session.scalars(wanted.with_for_update(skip_locked=True))).one_or_none()

    async def lock(self, notification_id: UUID) -> Notification | None:
        return await self._session.get(Notification, notification_id, with_for_update=True)

    async def batched(self, leader: Notification) -> Sequence[Notification]:
        own = notification.c
        held = (own.state == NotificationState.HELD) & (own.hold_reason == HoldReason.BATCHING)
        led = (own.state == NotificationState.SENDING) & (own.digest_id == leader.id)
        wanted = (
            select(Notification)
            .where(own.user_id == leader.user_id, own.channel == Channel.PUSH, own.category == leader.category)
            .where(own.id != leader.id, held | led)
            .order_by(own.id)
            .limit(MOST_AT_ONCE)
        )
        return (await self._session.scalars(wanted.with_for_update(skip_locked=True))).all()

    async def led_by(self, leader: UUID) -> Sequence[Notification]:
        led = (notification.c.digest_id == leader, notification.c.state == NotificationState.SENDING)
        wanted = select(Notification).where(*led).order_by(notification.c.id).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def read(self, user_id: UUID, notification_id: UUID | None, now: datetime) -> int:
        own = notification.c
        unread = [
            own.user_id == user_id,
            own.channel == Channel.IN_APP,
            own.state == NotificationState.DELIVERED,
            own.read_at.is_(None),
        ]
        if notification_id is not None:
            unread.append(own.id == notification_id)
        marked = update(notification).where(*unread).values(read_at=now, version=own.version + 1)
        return len((await self._session.execute(marked.returning(own.id))).all())


@implements(Inboxes)
class SqlInboxes:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_or_create(self, blank: Inbox) -> Inbox:
        values = {name: getattr(blank, name) for name in _INBOX}
        await self._session.execute(upsert(inbox).values(values).on_conflict_do_nothing())
        wanted = select(Inbox).filter_by(user_id=blank.user_id).with_for_update()
        return (await self._session.scalars(wanted)).one()


@implements(Suppressions)
class SqlSuppressions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, entry: Suppression) -> bool:
        values: dict[str, Any] = {name: getattr(entry, name) for name in _ENTRY}
        statement = upsert(unsubscribe_entry).values(id=uuid7(), tenant_id=func.platform.tenant_id(), **values)
        added = statement.on_conflict_do_nothing().returning(unsubscribe_entry.c.id)
        return (await self._session.execute(added)).first() is not None

    async def covers(self, address: str, channel: Channel, category: MessageCategory) -> bool:
        own = unsubscribe_entry.c
        named = own.category.is_(None) | (own.category == category)
        found = select(own.id).where(own.address == address, own.channel == channel, named).limit(1)
        return (await self._session.execute(found)).first() is not None

    async def lift(self, address: str, channel: Channel) -> Suppression | None:
        own = unsubscribe_entry.c
        gone = delete(unsubscribe_entry).where(own.address == address, own.channel == channel)
        row = (await self._session.execute(gone.returning(*(own[name] for name in _ENTRY)))).mappings().first()
        return None if row is None else Suppression(**row)


@implements(Analytics)
class SqlAnalytics:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, tally: Tally, **counts: int) -> None:
        table = communication_analytics
        values = {"day": tally.day, "channel": tally.channel, "template": tally.template, **counts}
        statement = upsert(table).values(tenant_id=func.platform.tenant_id(), **values)
        added = {name: table.c[name] + count for name, count in counts.items()}
        key = ["tenant_id", "day", "channel", "template"]
        await self._session.execute(statement.on_conflict_do_update(index_elements=key, set_=added))
