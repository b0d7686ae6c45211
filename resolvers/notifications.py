"""Verbs of notifications, preferences, templates and broadcasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from domain import notifications
from domain.kernel import InvalidInput
from domain.notifications import (
    Channel,
    Choice,
    Content,
    DateRange,
    Frame,
    MarkAllRead,
    NotificationFilter,
    NotificationReads,
    PushKey,
    SenderIdentity,
    Source,
    TemplateEngine,
    Unsubscribe,
    Unsubscription,
    UpsertTemplate,
    all_choices,
    chain,
    example_of,
    inbox_topic,
    own_source,
)
from domain.paging import Page, PageRequest
from domain.processes import notifying
from domain.topics import TopicEvent
from resolvers.kernel import Context, Feed, transacts

LONGEST_RANGE_DAYS = 366

send_notification = transacts(notifying.send_notification)
mark_notification_read = transacts(notifications.mark_notification_read)
update_communication_preferences = transacts(notifications.update_communication_preferences)
set_do_not_disturb = transacts(notifications.set_do_not_disturb)
register_push_subscription = transacts(notifications.register_push_subscription)
remove_push_subscription = transacts(notifications.remove_push_subscription)
upsert_template = transacts(notifications.upsert_template)
update_notification_policy = transacts(notifications.update_notification_policy)
record_bounce = transacts(notifications.record_bounce)
lift_suppression = transacts(notifications.lift_suppression)
create_segment = transacts(notifications.create_segment)
create_broadcast = transacts(notifications.create_broadcast)
schedule_broadcast = transacts(notifications.schedule_broadcast)
send_broadcast = transacts(notifications.send_broadcast)
cancel_broadcast = transacts(notifications.cancel_broadcast)


@dataclass(frozen=True)
class PreferencesView:
    """What somebody wants to hear: what they chose, and the default where they did not."""

    user_id: UUID
    choices: Sequence[Choice]
    quiet: Mapping[str, Any]


@dataclass(frozen=True)
class Received:
    """A message that has just come, with the cursor that resumes after it."""

    cursor: str
    notification: Any


async def notifications_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give messages to those whom they are for, and to those who look after them."""
    found = await context.read(NotificationReads).by_id(ids)
    caller = context.principal
    sees_all = caller.may("notifications.read")
    return [row if row is not None and (sees_all or row.user_id == caller.user_id) else None for row in found]


async def my_notifications(context: Context, page: PageRequest, unread_only: bool = False) -> Page[Any]:
    user_id = context.principal.require_user()
    return await context.read(NotificationReads).inbox(user_id, page, unread_only=unread_only)


async def unread_notifications(context: Context) -> int:
    return (await context.read(NotificationReads).unread([context.principal.require_user()]))[0]


async def mark_all_read(context: Context) -> Any:
    return await context.transact(notifications.mark_all_read, MarkAllRead())


async def notification_received(context: Context, after: str | None = None) -> Feed:
    """Follow what comes for oneself."""
    topic = inbox_topic(context.principal.require_user())
    return Feed(topics=[topic], values=_received, after=after)


async def _received(context: Context, events: Sequence[TopicEvent]) -> list[Received | None]:
    ids = [event.aggregate_id for event in events if event.aggregate_id is not None]
    found = await notifications_by_id(context, ids)
    pairs = zip(events, found, strict=True)
    return [None if row is None else Received(event.cursor, row) for event, row in pairs]


async def preferences_of_users(context: Context, user_ids: Sequence[UUID]) -> Sequence[PreferencesView]:
    rows = await context.read(NotificationReads).preferences(user_ids)
    return [
        PreferencesView(each, all_choices(row.choices if row else {}), row.quiet if row else {})
        for each, row in zip(user_ids, rows, strict=True)
    ]


async def my_preferences(context: Context) -> Any:
    return await context.load(preferences_of_users, context.principal.require_user())


async def my_push_subscriptions(context: Context) -> Sequence[Any]:
    return await context.read(NotificationReads).push_subscriptions(context.principal.require_user())


async def push_public_key(context: Context) -> str:
    return context.service(PushKey).public


async def unsubscribe(context: Context, token: str) -> Unsubscription:
    return await context.transact(notifications.unsubscribe, Unsubscribe(token=token))


async def templates(context: Context, page: PageRequest, code: str | None = None) -> Page[Any]:
    return await context.read(NotificationReads).templates(code, page)


async def versions_of_templates(context: Context, template_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(NotificationReads).template_versions(template_ids)


async def message_kinds(context: Context) -> Sequence[notifications.Kind]:  # noqa: ARG001 — a resolver's calling convention.
    return list(notifications.KINDS.values())


async def preview_template(
    context: Context,
    code: str,
    channel: Channel,
    locale: str,
    subject: str | None = None,
    text: str | None = None,
    html: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> Content:
    """Fill in a text that is being written, or our own where none is given; nothing is kept or sent."""
    values, engine = {**example_of(code), **(data or {})}, context.service(TemplateEngine)
    if subject is None and text is None:
        source = next(filter(None, (own_source(code, channel, each) for each in chain(locale))), None)
        if source is None:
            raise InvalidInput(field="code", reason="there is no text of ours by that code: say subject and text")
    else:
        written = UpsertTemplate(
            code=code,
            channel=channel,
            locale=locale,
            subject=subject or "",
            text=text or "",
            html=html,
            variables=() if code in notifications.KINDS else tuple(data or {}),
        )
        source = written.source()
        engine.check(source)
    identity = context.service(SenderIdentity)
    frame = Frame(shop=identity.name, link=identity.url) if channel is Channel.EMAIL else None
    return engine.render(Source(**vars(source)), values, locale, frame)


async def notification_policy(context: Context) -> Any:
    return await context.read(NotificationReads).policy(context.require_tenant())


async def communication_log(
    context: Context,
    page: PageRequest,
    filter: NotificationFilter | None = None,  # noqa: A002 — the GraphQL argument's name.
) -> Page[Any]:
    return await context.read(NotificationReads).log(filter or NotificationFilter(), page)


async def communication_analytics(context: Context, begin: date, end: date) -> Sequence[Any]:
    if not 0 <= (end - begin).days < LONGEST_RANGE_DAYS:
        raise InvalidInput(field="end", reason=f"at most {LONGEST_RANGE_DAYS} days, the last not before the first")
    return await context.read(NotificationReads).analytics(DateRange(begin=begin, end=end))


async def unsubscribe_list(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(NotificationReads).suppressed(page)


async def broadcasts(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(NotificationReads).broadcasts(page)


async def broadcasts_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(NotificationReads).broadcasts_by_id(ids)


async def broadcast(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(broadcasts_by_id, id)


async def texts_of_broadcasts(context: Context, broadcast_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(NotificationReads).broadcast_texts(broadcast_ids)


async def audit_of_broadcasts(context: Context, broadcast_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(NotificationReads).broadcast_audit(broadcast_ids)


async def segments(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(NotificationReads).segments(page)


async def segments_by_id(context: Context, ids: Sequence[UUID | None]) -> Sequence[Any]:
    found = await context.read(NotificationReads).segments_by_id([each for each in ids if each])
    by_id = {row.id: row for row in found if row is not None}
    return [by_id.get(each) for each in ids]
