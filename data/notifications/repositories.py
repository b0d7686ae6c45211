"""Preferences, browsers, texts, policies, audiences and broadcasts for change."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, Table, func, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from data.notifications.tables import (
    broadcast_message,
    communication_preference,
    message_template,
    policy,
    push_slot,
    push_subscription,
    recipient,
)
from domain.kernel import Aggregate
from domain.notifications import (
    Audience,
    Bounds,
    Broadcast,
    BroadcastAudit,
    Broadcasts,
    BroadcastText,
    Channel,
    CommunicationPreferences,
    MessageCategory,
    MessageTemplate,
    MessageTemplates,
    NotificationPolicies,
    NotificationPolicy,
    Preferences,
    PushSlots,
    PushSubscription,
    PushSubscriptions,
    Recipient,
    Recipients,
    Segment,
    Segments,
    SlotBook,
    Source,
    TemplateVersion,
    best_text,
)

A = TypeVar("A", bound=Aggregate)


async def _locked_or_made(session: AsyncSession, table: Table, blank: A, **key: Any) -> A:
    """Give the one row that a key has, locked; where there is none, the blank is it."""
    names = [column.name for column in table.c if column.name not in {"created_at", "updated_at"}]
    values = {name: getattr(blank, name) for name in names}
    await session.execute(upsert(table).values(values).on_conflict_do_nothing())
    return (await session.scalars(select(type(blank)).filter_by(**key).with_for_update())).one()


@implements(Preferences)
class SqlPreferences:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user_id: UUID) -> CommunicationPreferences | None:
        wanted = select(CommunicationPreferences).filter_by(user_id=user_id)
        return (await self._session.scalars(wanted)).one_or_none()

    async def lock_or_create(self, blank: CommunicationPreferences) -> CommunicationPreferences:
        return await _locked_or_made(self._session, communication_preference, blank, user_id=blank.user_id)


@implements(PushSubscriptions)
class SqlPushSubscriptions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, subscription: PushSubscription) -> None:
        self._session.add(subscription)

    async def find(self, endpoint: str) -> PushSubscription | None:
        wanted = select(PushSubscription).filter_by(endpoint=endpoint).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def get(self, subscription_id: UUID) -> PushSubscription | None:
        return await self._session.get(PushSubscription, subscription_id, with_for_update=True)

    async def of_user(self, user_id: UUID) -> Sequence[PushSubscription]:
        wanted = select(PushSubscription).filter_by(user_id=user_id).order_by(push_subscription.c.id)
        return (await self._session.scalars(wanted)).all()

    async def remove(self, subscription: PushSubscription) -> None:
        await self._session.delete(subscription)

    async def forget(self, endpoints: Collection[str]) -> None:
        gone = push_subscription.c.endpoint == func.any(list(endpoints))
        await self._session.execute(push_subscription.delete().where(gone))


@implements(SlotBook)
class SqlSlotBook:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, user_id: UUID) -> PushSlots:
        blank = {"tenant_id": func.platform.tenant_id(), "user_id": user_id, "sent_at": []}
        await self._session.execute(upsert(push_slot).values(blank).on_conflict_do_nothing())
        wanted = select(push_slot.c.sent_at).where(push_slot.c.user_id == user_id).with_for_update()
        taken = (await self._session.execute(wanted)).scalar_one()
        return PushSlots(user_id=user_id, sent_at=list(taken))

    async def keep(self, slots: PushSlots) -> None:
        own = push_slot.c.user_id == slots.user_id
        await self._session.execute(push_slot.update().where(own).values(sent_at=slots.sent_at))


@implements(NotificationPolicies)
class SqlNotificationPolicies:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def current(self, tenant_id: UUID) -> NotificationPolicy:
        found = (await self._session.scalars(select(NotificationPolicy))).one_or_none()
        return found or NotificationPolicy(tenant_id=tenant_id)

    async def lock_or_create(self, tenant_id: UUID) -> NotificationPolicy:
        return await _locked_or_made(self._session, policy, NotificationPolicy(tenant_id=tenant_id))


@implements(MessageTemplates)
class SqlMessageTemplates:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def candidates(self, code: str, channel: Channel, locales: Sequence[str]) -> Sequence[MessageTemplate]:
        wanted = (
            select(MessageTemplate)
            .filter_by(code=code, channel=channel)
            .where(message_template.c.locale == func.any(list(locales)))
        )
        return (await self._session.scalars(wanted)).all()

    async def lock_or_create(self, blank: MessageTemplate) -> MessageTemplate:
        key = {"code": blank.code, "channel": blank.channel, "locale": blank.locale}
        return await _locked_or_made(self._session, message_template, blank, **key)

    def keep(self, version: TemplateVersion) -> None:
        self._session.add(version)


@implements(Recipients)
class SqlRecipients:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_or_create(self, blank: Recipient) -> Recipient:
        return await _locked_or_made(self._session, recipient, blank, user_id=blank.user_id)


@implements(Audience)
class SqlAudience:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def portion(self, bounds: Bounds, channel: Channel, after: UUID | None, most: int) -> Sequence[UUID]:
        wanted = _audience(select(recipient.c.user_id), bounds, channel).order_by(recipient.c.user_id).limit(most)
        if after is not None:
            wanted = wanted.where(recipient.c.user_id > after)
        return (await self._session.scalars(wanted)).all()

    async def count(self, bounds: Bounds, channel: Channel) -> int:
        counted = _audience(select(func.count()).select_from(recipient), bounds, channel)
        return int((await self._session.execute(counted)).scalar_one())


def _audience(rows: Select[Any], bounds: Bounds, channel: Channel) -> Select[Any]:
    own, chosen = recipient.c, communication_preference.c
    place = array([f"{MessageCategory.PROMOTIONAL}.{channel}", "is_opted_in"])
    wants = chosen.choices.op("#>>")(place) == "true"
    rows = rows.where(own.is_active, own.user_id.in_(select(chosen.user_id).where(wants)))
    if bounds.locales:
        rows = rows.where((own.locale == func.any(list(bounds.locales))) | _language_is_any(bounds.locales))
    if bounds.roles:
        rows = rows.where(own.roles.overlap(list(bounds.roles)))
    if bounds.ordered_since is not None:
        rows = rows.where(own.last_order_at >= bounds.ordered_since)
    if bounds.idle_since is not None:
        rows = rows.where(own.last_order_at.is_(None) | (own.last_order_at < bounds.idle_since))
    return rows


def _language_is_any(locales: Sequence[str]) -> Any:
    """Let `fr` stand for `fr-CA` too."""
    return func.split_part(recipient.c.locale, "-", 1).in_(list(locales))


@implements(Segments)
class SqlSegments:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, segment: Segment) -> None:
        self._session.add(segment)

    async def get(self, segment_id: UUID) -> Segment | None:
        return await self._session.get(Segment, segment_id)


@implements(Broadcasts)
class SqlBroadcasts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, broadcast: Broadcast, texts: Sequence[BroadcastText]) -> None:
        self._session.add(broadcast)
        self._session.add_all(texts)

    async def lock(self, broadcast_id: UUID) -> Broadcast | None:
        return await self._session.get(Broadcast, broadcast_id, with_for_update=True)

    async def texts(self, broadcast_id: UUID) -> Sequence[BroadcastText]:
        wanted = select(BroadcastText).filter_by(broadcast_id=broadcast_id).order_by(broadcast_message.c.id)
        return (await self._session.scalars(wanted)).all()

    async def source(self, broadcast_id: UUID, locale: str) -> Source | None:
        return best_text(await self.texts(broadcast_id), locale)

    def note(self, entry: BroadcastAudit) -> None:
        self._session.add(entry)
