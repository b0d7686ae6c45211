"""One message to one person over one channel, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.kernel import Aggregate, Event, Transitions, event
from domain.notifications.channels import Channel, MessageCategory, Receipt

LEASE = timedelta(minutes=2)
"""For how long whoever sends a message may be silent before somebody else sends it again."""

MOST_ATTEMPTS = 6
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
LONGEST_ERROR = 500


class NotificationState(StrEnum):
    """Where a message is on its way."""

    QUEUED = "queued"
    HELD = "held"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    RETRYING = "retrying"
    FAILED = "failed"


_S = NotificationState
NOTIFICATION_STATES = Transitions(
    "Notification",
    _S.QUEUED,
    {
        _S.QUEUED: [_S.HELD, _S.SENDING, _S.FAILED],
        _S.HELD: [_S.HELD, _S.SENDING, _S.FAILED],
        _S.SENDING: [_S.SENT, _S.BOUNCED, _S.RETRYING, _S.FAILED],
        _S.SENT: [_S.DELIVERED, _S.BOUNCED],
        _S.DELIVERED: [],
        _S.BOUNCED: [_S.RETRYING],
        _S.RETRYING: [_S.HELD, _S.SENDING, _S.FAILED],
        _S.FAILED: [],
    },
)
WAITING = frozenset({_S.QUEUED, _S.HELD, _S.SENDING, _S.RETRYING})


class HoldReason(StrEnum):
    """Why a message waits."""

    QUIET_HOURS = "quiet_hours"
    BATCHING = "batching"


@dataclass(frozen=True, kw_only=True)
class NotificationFact(Event):
    """What every event of a notification says; addresses and texts never enter the log."""

    user_id: UUID | None
    channel: Channel
    template: str | None
    broadcast_id: UUID | None = None


@event("notification.sent")
@dataclass(frozen=True, kw_only=True)
class NotificationSent(NotificationFact):
    """A provider has taken it; whether it arrives is not known yet."""


@event("notification.delivered")
@dataclass(frozen=True, kw_only=True)
class NotificationDelivered(NotificationFact):
    """It is known to have arrived."""


@event("notification.bounced")
@dataclass(frozen=True, kw_only=True)
class NotificationBounced(NotificationFact):
    permanent: bool


@event("notification.failed")
@dataclass(frozen=True, kw_only=True)
class NotificationFailed(NotificationFact):
    """It was given up."""

    reason: str


@dataclass(eq=False, kw_only=True)
class Notification(Aggregate):
    """One message; of one `key` there is only one, and `due_at` is when somebody has to look after it next."""

    key: str
    user_id: UUID | None
    channel: Channel
    category: MessageCategory
    template: str | None = None
    broadcast_id: UUID | None = None
    address: str
    locale: str
    timezone: str
    data: Mapping[str, Any] = field(default_factory=dict)
    link: str | None = None
    state: NotificationState = NotificationState.QUEUED
    hold_reason: HoldReason | None = None
    attempts: int = 0
    due_at: datetime | None
    digest_id: UUID | None = None
    subject: str | None = None
    text: str | None = None
    provider_message_id: str | None = None
    error: str | None = None
    queued_at: datetime
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None

    def hold(self, until: datetime, reason: HoldReason) -> None:
        """Let the message wait."""
        self._recover()
        self._move(_S.HELD)
        self.hold_reason, self.due_at = reason, until

    @property
    def is_spent(self) -> bool:
        """Whether it was tried as often as it may be."""
        return self.attempts >= MOST_ATTEMPTS

    def begin(self, now: datetime) -> None:
        """Take the message up for sending."""
        self._recover()
        self._move(_S.SENDING)
        self.hold_reason = None
        self.attempts += 1
        self.due_at = now + LEASE

    def follow(self, leader: "Notification") -> None:
        """Go out as a part of another message, and share what becomes of it."""
        if self.digest_id != leader.id:
            self._move(_S.SENDING)
        self.hold_reason, self.digest_id, self.due_at = None, leader.id, None
        self.attempts = leader.attempts

    def be_sent(self, receipt: Receipt, now: datetime) -> None:
        """Note that a provider took it."""
        self._move(_S.SENT)
        self.provider_message_id, self.error, self.due_at, self.sent_at = receipt.provider_message_id, None, None, now
        self.record(NotificationSent(**self._facts()))
        if receipt.delivered:
            self.arrive(now)

    def arrive(self, now: datetime) -> None:
        """Note that it arrived."""
        self._move(_S.DELIVERED)
        self.delivered_at = now
        self.record(NotificationDelivered(**self._facts()))

    def miss(self, error: str, now: datetime) -> None:
        """Note that it could not be sent for the moment: it is tried again after a pause that grows, or given up."""
        if self.is_spent:
            self.give_up(error)
            return
        self._move(_S.RETRYING)
        self.error, self.digest_id = error[:LONGEST_ERROR], None
        self.due_at = now + pause_after(self.attempts)

    def bounce(self, reason: str, now: datetime, *, permanent: bool) -> None:
        """Note that the address did not take it; what came back for the moment is tried again.

        Raises: InvalidStateTransition.
        """
        self._move(_S.BOUNCED)
        self.error, self.due_at = reason[:LONGEST_ERROR], None
        self.record(NotificationBounced(**self._facts(), permanent=permanent))
        if not permanent:
            self._move(_S.RETRYING)
            if self.is_spent:
                self.give_up(reason)
            else:
                self.due_at = now + pause_after(self.attempts)

    def give_up(self, reason: str) -> None:
        """Note that nobody tries any more."""
        self._recover()
        self._move(_S.FAILED)
        self.error, self.due_at, self.hold_reason = reason[:LONGEST_ERROR], None, None
        self.record(NotificationFailed(**self._facts(), reason=self.error))

    def _recover(self) -> None:
        # Whoever was sending it is gone: nobody knows whether it went out, so it goes again, under the same id.
        if self.state is _S.SENDING:
            self._move(_S.RETRYING)

    def _move(self, state: NotificationState) -> None:
        self.state = NOTIFICATION_STATES.check(self.state, state)

    def _facts(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "channel": self.channel,
            "template": self.template,
            "broadcast_id": self.broadcast_id,
        }


def pause_after(attempts: int) -> timedelta:
    """Give how long to wait after so many attempts: a minute, four, sixteen, and six hours at most."""
    growth: int = 4 ** (attempts - 1)
    return min(FIRST_PAUSE * growth, LONGEST_PAUSE)
