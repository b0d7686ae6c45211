"""Browsers that take push messages, and how many of them one person gets in a minute."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event
from domain.notifications.channels import Device

MOST_SUBSCRIPTIONS = 20
LONGEST_ENDPOINT = 2_048
MINUTE = timedelta(minutes=1)
_LENGTHS = {"p256dh": range(80, 100), "auth": range(16, 33)}


@event("notifications.subscribed")
@dataclass(frozen=True, kw_only=True)
class PushSubscribed(Event):
    user_id: UUID


@event("notifications.push_ended")
@dataclass(frozen=True, kw_only=True)
class PushEnded(Event):
    user_id: UUID


@dataclass(eq=False)
class PushSubscriptionLimitReached(DomainError):
    """Nobody has that many browsers."""

    limit: int
    template = "At most {limit} browsers can be registered; remove one first."


@dataclass(frozen=True, kw_only=True)
class PushServices:
    """The push services that browsers may name: the server posts to what a user says, so it must not be just anything."""

    hosts: tuple[str, ...] = (
        "fcm.googleapis.com",
        "updates.push.services.mozilla.com",
        "web.push.apple.com",
        "*.notify.windows.com",
    )
    schemes: tuple[str, ...] = ("https",)

    def accept(self, endpoint: str) -> str:
        """Give the endpoint back when it is one of a known service.

        Raises: InvalidInput.
        """
        try:
            parts = urlsplit(endpoint)
            host, plain = (
                parts.hostname or "",
                parts.username is None and (parts.port is None or "http" in self.schemes),
            )
        except ValueError:
            host, plain = "", False
        known = any(host == each or (each[:2] == "*." and host.endswith(each[1:])) for each in self.hosts)
        if not (plain and known and parts.scheme in self.schemes and len(endpoint) <= LONGEST_ENDPOINT):
            raise InvalidInput(field="endpoint", reason="it is not that of a push service that browsers use")
        return endpoint


@dataclass(frozen=True)
class PushKey:
    """What browsers subscribe with: the public key of whoever sends, in base64url.

    Source: RFC 8292.
    """

    public: str


@dataclass(frozen=True, kw_only=True)
class RegisterPushSubscription:
    """Register a browser as its Push API describes it: `endpoint`, and the keys `p256dh` and `auth` in base64url."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, kw_only=True)
class RemovePushSubscription:
    """Let a browser of one's own get no more pushes."""

    id: UUID


@dataclass(eq=False, kw_only=True)
class PushSubscription(Aggregate):
    """A browser in which somebody is logged in."""

    user_id: UUID
    endpoint: str
    p256dh: str
    auth: str
    last_seen_at: datetime

    @property
    def device(self) -> Device:
        return Device(endpoint=self.endpoint, p256dh=self.p256dh, auth=self.auth)


class PushSubscriptions(Protocol):
    """Browsers for change."""

    def add(self, subscription: PushSubscription) -> None: ...

    async def find(self, endpoint: str) -> PushSubscription | None: ...

    async def get(self, subscription_id: UUID) -> PushSubscription | None: ...

    async def of_user(self, user_id: UUID) -> Sequence[PushSubscription]: ...

    async def remove(self, subscription: PushSubscription) -> None: ...

    async def forget(self, endpoints: Collection[str]) -> None: ...


async def register_push_subscription(
    command: RegisterPushSubscription, work: Work, subscriptions: PushSubscriptions, services: PushServices
) -> PushSubscription:
    """Register a browser; one that somebody else used before is the caller's from now on.

    Raises: InvalidInput, PushSubscriptionLimitReached.
    """
    user_id = work.actor.require_user()
    keys = {name: _key(name, getattr(command, name)) for name in _LENGTHS}
    endpoint = services.accept(command.endpoint)
    known = await subscriptions.find(endpoint)
    if (known is None or known.user_id != user_id) and len(await subscriptions.of_user(user_id)) >= MOST_SUBSCRIPTIONS:
        raise PushSubscriptionLimitReached(limit=MOST_SUBSCRIPTIONS)
    if known is None:
        known = PushSubscription(
            tenant_id=work.tenant_id, user_id=user_id, endpoint=endpoint, p256dh="", auth="", last_seen_at=work.now
        )
        subscriptions.add(known)
    known.user_id, known.last_seen_at = user_id, work.now
    known.p256dh, known.auth = keys["p256dh"], keys["auth"]
    known.record(PushSubscribed(user_id=user_id))
    return known


async def remove_push_subscription(
    command: RemovePushSubscription, work: Work, subscriptions: PushSubscriptions
) -> PushSubscription:
    known = await subscriptions.get(command.id)
    if known is None or known.user_id != work.actor.require_user():
        raise NotFound(kind="PushSubscription", id=str(command.id))
    known.record(PushEnded(user_id=known.user_id))
    await subscriptions.remove(known)
    return known


def _key(name: str, value: str) -> str:
    text = value.rstrip("=")
    if len(text) not in _LENGTHS[name] or not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(field=name, reason="it is not the key of a push subscription in base64url")
    return text


@dataclass(eq=False, kw_only=True)
class PushSlots:
    """When somebody got their latest pushes."""

    user_id: UUID
    sent_at: list[datetime] = field(default_factory=list)

    def take(self, now: datetime, limit: int) -> datetime | None:
        """Take a slot where fewer than `limit` were taken within the last minute; else say when one is free."""
        recent = sorted(each for each in self.sent_at if now - each < MINUTE)
        if len(recent) >= limit:
            return recent[-limit] + MINUTE
        self.sent_at = [*recent, now]
        return None


class SlotBook(Protocol):
    """Slots for pushes, locked until the transaction ends."""

    async def lock(self, user_id: UUID) -> PushSlots: ...

    async def keep(self, slots: PushSlots) -> None: ...
