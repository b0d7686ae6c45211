"""Leaving: by a link that every letter has, by what providers report, or by a person in charge."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.kernel import Event, InvalidInput, NotFound, Work, also_when_suspended, event
from domain.notifications.channels import Channel, MessageCategory
from domain.notifications.notification import Notification, NotificationState
from domain.notifications.ports import Analytics, Notifications, Suppression, Suppressions, Tally
from domain.notifications.preferences import Preferences, own_preferences

LONGEST_REASON = 500


@event("notifications.unsubscribed")
@dataclass(frozen=True, kw_only=True)
class Unsubscribed(Event):
    user_id: UUID | None
    channel: Channel
    category: MessageCategory


class UnsubscribeTokens(Protocol):
    """Signs what the links of letters say, so that nobody unsubscribes somebody else."""

    def issue(self, tenant_id: UUID, notification_id: UUID) -> str: ...

    def read(self, token: str) -> tuple[UUID, UUID] | None:
        """Give tenant and notification of a token, or None for one that is not ours."""
        ...


@dataclass(frozen=True, kw_only=True)
class Unsubscription:
    """That somebody left: what they get no more."""

    id: UUID
    channel: Channel
    category: MessageCategory


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """Get no more of what came with the letter that the token was in."""

    token: str


@also_when_suspended
async def unsubscribe(
    command: Unsubscribe,
    work: Work,
    tokens: UnsubscribeTokens,
    notifications: Notifications,
    preferences: Preferences,
    suppressions: Suppressions,
    analytics: Analytics,
) -> Unsubscription:
    """Leave, without logging in; whoever follows the link again is told the same.

    Raises: InvalidInput.
    """
    named = tokens.read(command.token)
    letter = await notifications.lock(named[1]) if named and named[0] == work.tenant_id else None
    if letter is None:
        raise InvalidInput(field="token", reason="it is not from one of our letters")
    if letter.category is MessageCategory.TRANSACTIONAL:
        # Letters about somebody's own orders have no such link.
        raise InvalidInput(field="token", reason="what concerns your own orders always comes by e-mail")
    if await _leave(letter, work, preferences, suppressions):
        await analytics.add(tally_of(letter, work), unsubscribed=1)
    return Unsubscription(id=letter.id, channel=letter.channel, category=letter.category)


async def _leave(letter: Notification, work: Work, preferences: Preferences, suppressions: Suppressions) -> bool:
    """Let a person choose not to get it any more, and strike out an address that belongs to nobody known."""
    if letter.user_id is None:
        gone = Suppression(
            address=letter.address, channel=letter.channel, category=letter.category, reason="unsubscribed", at=work.now
        )
        return await suppressions.add(gone)
    own = await own_preferences(letter.user_id, work.tenant_id, preferences)
    if not own.wants(letter.channel, letter.category):
        return False
    own.choose(letter.channel, letter.category, work.now, wanted=False)
    own.record(Unsubscribed(user_id=letter.user_id, channel=letter.channel, category=letter.category))
    return True


def tally_of(notification: Notification, work: Work) -> Tally:
    """Say under what a message is counted."""
    kind = notification.template or "broadcast"
    return Tally(day=work.now.date(), channel=notification.channel, template=kind)


@dataclass(frozen=True, kw_only=True)
class RecordBounce:
    """Note that a message came back; after a permanent bounce or a complaint, nothing more goes to the address."""

    id: UUID
    permanent: bool = True
    reason: str = "bounced"


@also_when_suspended
async def record_bounce(
    command: RecordBounce,
    work: Work,
    notifications: Notifications,
    suppressions: Suppressions,
    analytics: Analytics,
) -> Notification:
    """Note a bounce; the second report of the same changes nothing.

    Raises: NotFound, InvalidInput, InvalidStateTransition.
    """
    if len(command.reason) > LONGEST_REASON or "\0" in command.reason:
        raise InvalidInput(field="reason", reason=f"it has at most {LONGEST_REASON} characters")
    notification = await notifications.lock(command.id)
    if notification is None:
        raise NotFound(kind="Notification", id=str(command.id))
    if notification.state is NotificationState.BOUNCED:
        return notification
    notification.bounce(command.reason, work.now, permanent=command.permanent)
    await analytics.add(tally_of(notification, work), bounced=1)
    if command.permanent:
        await suppress(notification, command.reason, work, suppressions)
    return notification


async def suppress(notification: Notification, reason: str, work: Work, suppressions: Suppressions) -> None:
    """Send nothing more to the address of a message."""
    entry = Suppression(
        address=notification.address,
        channel=notification.channel,
        category=None,
        reason=reason[:LONGEST_REASON],
        at=work.now,
    )
    await suppressions.add(entry)


@dataclass(frozen=True, kw_only=True)
class LiftSuppression:
    """Write to an address again that had bounced, or that somebody had unsubscribed and asks for."""

    address: str
    channel: Channel


async def lift_suppression(command: LiftSuppression, suppressions: Suppressions) -> Suppression:
    """Strike an address out of the list, and give what stood there.

    Raises: NotFound.
    """
    lifted = await suppressions.lift(command.address, command.channel)
    if lifted is None:
        raise NotFound(kind="Suppression", id=command.address)
    return lifted
