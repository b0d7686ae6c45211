"""Sending: who is asked before a message goes out, and what is noted when it has, or has not, gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.kernel import Work, also_when_suspended
from domain.notifications.broadcasts import Broadcasts
from domain.notifications.channels import Channel, Device, MessageCategory, Receipt
from domain.notifications.inbox import Inboxes, own_inbox
from domain.notifications.notification import HoldReason, Notification, NotificationState
from domain.notifications.policy import NotificationPolicies, NotificationPolicy
from domain.notifications.ports import Analytics, Notifications, Suppressions
from domain.notifications.preferences import Preferences, wanted_by_default
from domain.notifications.push import PushSubscriptions, SlotBook
from domain.notifications.templates import Content, MessageTemplates, Source, source_of
from domain.notifications.unsubscribing import suppress, tally_of


@dataclass(frozen=True, kw_only=True)
class BeginSending:
    """Take up a message that is due."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message that is to be rendered and carried, with all that is needed for it."""

    notification: Notification
    attempt: int
    source: Source | None
    values: Mapping[str, Any]
    parts: tuple[tuple[Source, Mapping[str, Any]], ...]
    sender_name: str | None
    reply_to: str | None
    devices: tuple[Device, ...] = ()


@also_when_suspended
async def begin_sending(
    command: BeginSending,
    work: Work,
    notifications: Notifications,
    preferences: Preferences,
    suppressions: Suppressions,
    policies: NotificationPolicies,
    slots: SlotBook,
    subscriptions: PushSubscriptions,
    templates: MessageTemplates,
    broadcasts: Broadcasts,
    analytics: Analytics,
) -> Outgoing | None:
    """Give a message that is to go out now; it is held, or given up, where it is not wanted, or not at this hour."""
    due = await notifications.lock_due(command.id, work.now)
    if due is None:
        return None
    policy = await policies.current(work.tenant_id)
    gate = _Gate(due, work, preferences, suppressions)
    if (refusal := await gate.refusal()) is not None:
        await _end(due, refusal, work, notifications, broadcasts, analytics)
        return None
    if await gate.is_quiet():
        return None
    parts: Sequence[Notification] = ()
    if due.channel is Channel.PUSH and due.user_id is not None:
        if await _is_over_limit(due, due.user_id, policy, work, slots):
            return None
        parts = await notifications.batched(due)
    devices = await subscriptions.of_user(due.user_id) if due.channel is Channel.PUSH and due.user_id else ()
    if due.channel is Channel.PUSH and not devices:
        await _end(due, "no browser takes pushes any more", work, notifications, broadcasts, analytics)
        return None
    due.begin(work.now)
    for part in parts:
        part.follow(due)
    sources = [await _source(each, templates, broadcasts) for each in (due, *parts)]
    source = await source_of("digest", due.channel, [due.locale], templates) if parts else sources[0]
    return Outgoing(
        notification=due,
        attempt=due.attempts,
        source=source,
        values=dict(due.data) | ({"count": len(sources)} if parts else {}),
        parts=tuple((each, part.data) for each, part in zip(sources, (due, *parts), strict=True) if each and parts),
        sender_name=policy.sender_name,
        reply_to=policy.reply_to,
        devices=tuple(each.device for each in devices),
    )


@dataclass
class _Gate:
    """Whether a message is wanted, and at this hour."""

    due: Notification
    work: Work
    preferences: Preferences
    suppressions: Suppressions

    async def refusal(self) -> str | None:
        due = self.due
        if due.is_spent:
            return due.error or "whoever was to send it died each time"
        if await self.suppressions.covers(due.address, due.channel, due.category):
            return "the address is not to be written to"
        known = await self.preferences.find(due.user_id) if due.user_id else None
        wanted = known.wants if known else wanted_by_default
        return None if wanted(due.channel, due.category) else "the recipient does not want it"

    async def is_quiet(self) -> bool:
        """Hold the message where its recipient wants to be left alone; what concerns one's own orders comes at any hour."""
        due = self.due
        if due.user_id is None or due.category is MessageCategory.TRANSACTIONAL or due.channel is Channel.IN_APP:
            return False
        known = await self.preferences.find(due.user_id)
        hours = known.quiet_hours(due.timezone) if known else None
        until = hours.until(self.work.now) if hours else None
        if until is not None:
            due.hold(until, HoldReason.QUIET_HOURS)
        return until is not None


async def _is_over_limit(
    due: Notification, user_id: UUID, policy: NotificationPolicy, work: Work, slots: SlotBook
) -> bool:
    """Hold a push whose recipient has had enough of them within the last minute; what waits then goes out as one."""
    book = await slots.lock(user_id)
    free_at = book.take(work.now, policy.push_per_minute_limit)
    if free_at is None:
        await slots.keep(book)
        return False
    due.hold(free_at, HoldReason.BATCHING)
    return True


async def _source(due: Notification, templates: MessageTemplates, broadcasts: Broadcasts) -> Source | None:
    if due.broadcast_id is not None:
        return await broadcasts.source(due.broadcast_id, due.locale)
    return await source_of(due.template or "", due.channel, [due.locale], templates)


@dataclass(frozen=True, kw_only=True)
class FinishSending:
    """What became of an attempt: a receipt with what was said, or an error."""

    id: UUID
    attempt: int
    receipt: Receipt | None = None
    content: Content | None = None
    error: str = ""
    bounced: bool = False
    hopeless: bool = False
    gone: tuple[str, ...] = field(default=())


@also_when_suspended
async def finish_sending(
    command: FinishSending,
    work: Work,
    notifications: Notifications,
    inboxes: Inboxes,
    suppressions: Suppressions,
    subscriptions: PushSubscriptions,
    broadcasts: Broadcasts,
    analytics: Analytics,
) -> Notification | None:
    """Note what became of an attempt, unless somebody else has taken the message up meanwhile."""
    if command.gone:
        await subscriptions.forget(command.gone)
    known = await notifications.lock(command.id)
    if known is None or known.state is not NotificationState.SENDING or known.attempts != command.attempt:
        return None
    for each in (known, *await notifications.led_by(known.id)):
        await _settle(each, command, work, inboxes, broadcasts, analytics)
    if command.bounced:
        await suppress(known, command.error, work, suppressions)
    return known


async def _settle(
    each: Notification,
    command: FinishSending,
    work: Work,
    inboxes: Inboxes,
    broadcasts: Broadcasts,
    analytics: Analytics,
) -> None:
    again = each.sent_at is not None
    if command.receipt is not None:
        if command.content is not None and each.digest_id is None:
            each.subject = command.content.subject
            each.text = command.content.text if each.channel is Channel.IN_APP else None
        each.be_sent(command.receipt, work.now)
        if each.channel is Channel.IN_APP and each.user_id is not None:
            (await own_inbox(each.user_id, work, inboxes)).receive()
        counts = {"sent": 1, "delivered": int(command.receipt.delivered)}
    elif command.bounced:
        each.bounce(command.error, work.now, permanent=True)
        counts = {"bounced": 1}
    elif command.hopeless:
        each.give_up(command.error)
        counts = {"failed": 1}
    else:
        each.miss(command.error, work.now)
        counts = {"failed": 1} if each.state is NotificationState.FAILED else {}
    if counts:
        await _count(each, work, broadcasts, analytics, counts, again=again)


async def _end(
    due: Notification,
    reason: str,
    work: Work,
    notifications: Notifications,
    broadcasts: Broadcasts,
    analytics: Analytics,
) -> None:
    """Give a message up, with those that were put under it."""
    for each in (due, *await notifications.led_by(due.id)):
        again = each.sent_at is not None
        each.give_up(reason)
        await _count(each, work, broadcasts, analytics, {"failed": 1}, again=again)


async def _count(
    each: Notification,
    work: Work,
    broadcasts: Broadcasts,
    analytics: Analytics,
    counts: Mapping[str, int],
    *,
    again: bool,
) -> None:
    """Count what became of a message; a broadcast counts each of its messages once, also one that came back and went again."""
    await analytics.add(tally_of(each, work), **counts)
    if each.broadcast_id is not None and not again:
        broadcast = await broadcasts.lock(each.broadcast_id)
        if broadcast is not None:
            broadcast.count(work.now, succeeded="sent" in counts)
