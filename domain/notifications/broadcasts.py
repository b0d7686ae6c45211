"""One message to many people: written, scheduled, sent in portions, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.jobs import JobQueue
from domain.kernel import Aggregate, Event, InvalidInput, NotFound, Transitions, Work, event, uuid7
from domain.notifications.audience import Segments, clean_name
from domain.notifications.channels import Channel
from domain.notifications.kinds import EVERYWHERE
from domain.notifications.templates import Source, TemplateEngine, UpsertTemplate, chain

SEND = "notifications.send_broadcast"
MOST_LANGUAGES = 20


class BroadcastState(StrEnum):
    """Where a broadcast is."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"


_B = BroadcastState
BROADCAST_STATES = Transitions(
    "Broadcast",
    _B.DRAFT,
    {
        _B.DRAFT: [_B.SCHEDULED, _B.SENDING, _B.CANCELLED],
        _B.SCHEDULED: [_B.SCHEDULED, _B.SENDING, _B.CANCELLED],
        _B.SENDING: [_B.SENT],
        _B.SENT: [],
        _B.CANCELLED: [],
    },
)


@dataclass(frozen=True, kw_only=True)
class BroadcastFact(Event):
    """What every event of a broadcast says."""

    state: BroadcastState


@event("broadcast.created")
@dataclass(frozen=True, kw_only=True)
class BroadcastCreated(BroadcastFact):
    channel: Channel


@event("broadcast.scheduled")
@dataclass(frozen=True, kw_only=True)
class BroadcastScheduled(BroadcastFact):
    at: datetime


@event("broadcast.started")
@dataclass(frozen=True, kw_only=True)
class BroadcastStarted(BroadcastFact):
    pass


@event("broadcast.sent")
@dataclass(frozen=True, kw_only=True)
class BroadcastSent(BroadcastFact):
    total: int
    succeeded: int
    failed: int


@event("broadcast.cancelled")
@dataclass(frozen=True, kw_only=True)
class BroadcastCancelled(BroadcastFact):
    pass


@dataclass(eq=False, kw_only=True)
class BroadcastText:
    """What a broadcast says in one language."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    broadcast_id: UUID
    locale: str
    subject: str
    text: str
    html: str | None = None


@dataclass(eq=False, kw_only=True)
class BroadcastAudit:
    """Who did what to a broadcast, and when."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    broadcast_id: UUID
    action: str
    actor_id: UUID | None
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Broadcast(Aggregate):
    """A message to a segment, or to all who want such messages; `reached` is up to whom it has been queued."""

    name: str
    channel: Channel
    segment_id: UUID | None = None
    state: BroadcastState = BroadcastState.DRAFT
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    sent_at: datetime | None = None
    reached: UUID | None = None
    is_queued: bool = False
    total_recipients: int = 0
    successful_sends: int = 0
    failed_sends: int = 0
    created_by: UUID | None = None

    def create(self) -> None:
        self.record(BroadcastCreated(state=self.state, channel=self.channel))

    def schedule(self, at: datetime, now: datetime) -> None:
        """Have it sent at an instant.

        Raises: InvalidInput, InvalidStateTransition.
        """
        if at <= now:
            raise InvalidInput(field="at", reason="it lies in the past")
        self.state = BROADCAST_STATES.check(self.state, _B.SCHEDULED)
        self.scheduled_at = at
        self.record(BroadcastScheduled(state=self.state, at=at))

    def start(self, now: datetime) -> None:
        """Begin to send.

        Raises: InvalidStateTransition.
        """
        self.state = BROADCAST_STATES.check(self.state, _B.SENDING)
        self.started_at = now
        self.record(BroadcastStarted(state=self.state))

    def cancel(self) -> None:
        """Call it off; what is being sent cannot be.

        Raises: InvalidStateTransition.
        """
        self.state = BROADCAST_STATES.check(self.state, _B.CANCELLED)
        self.record(BroadcastCancelled(state=self.state))

    def reach(self, portion: Sequence[UUID], queued: int, now: datetime, *, last: bool) -> None:
        """Note up to whom it has been queued."""
        self.reached = portion[-1] if portion else self.reached
        self.total_recipients += queued
        self.is_queued = last
        self._close(now)

    def count(self, now: datetime, *, succeeded: bool) -> None:
        """Count what became of one of its messages; a message that bounces later was sent all the same."""
        if succeeded:
            self.successful_sends += 1
        else:
            self.failed_sends += 1
        self._close(now)

    def _close(self, now: datetime) -> None:
        done = self.successful_sends + self.failed_sends
        if self.state is _B.SENDING and self.is_queued and done >= self.total_recipients:
            self.state = BROADCAST_STATES.check(self.state, _B.SENT)
            self.sent_at = now
            counts = {"succeeded": self.successful_sends, "failed": self.failed_sends}
            self.record(BroadcastSent(state=self.state, total=self.total_recipients, **counts))


class Broadcasts(Protocol):
    """Broadcasts for change, locked until the transaction ends."""

    def add(self, broadcast: Broadcast, texts: Sequence[BroadcastText]) -> None: ...

    async def lock(self, broadcast_id: UUID) -> Broadcast | None: ...

    async def texts(self, broadcast_id: UUID) -> Sequence[BroadcastText]: ...

    async def source(self, broadcast_id: UUID, locale: str) -> Source | None: ...

    def note(self, entry: BroadcastAudit) -> None: ...


def best_text(texts: Sequence[BroadcastText], locale: str) -> Source | None:
    """Give the text in the reader's language, or the first that was written."""
    by_locale = {each.locale: each for each in texts}
    chosen = next((by_locale[each] for each in chain(locale) if each in by_locale), next(iter(texts), None))
    if chosen is None:
        return None
    return Source(subject=chosen.subject, text=chosen.text, html=chosen.html, variables=tuple(sorted(EVERYWHERE)))


@dataclass(frozen=True, kw_only=True)
class BroadcastTextInput:
    """What a broadcast says in one language; it may speak of `name` and `shop`."""

    locale: str
    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateBroadcast:
    """Write a broadcast; without a segment it goes to everybody who wants what is advertised on the channel."""

    name: str
    channel: Channel
    texts: Sequence[BroadcastTextInput]
    segment_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleBroadcast:
    """Have a broadcast sent at an instant."""

    id: UUID
    at: datetime
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SendBroadcast:
    """Send a broadcast now."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class CancelBroadcast:
    """Call a broadcast off that is not being sent yet."""

    id: UUID
    expected_version: int | None = None


async def create_broadcast(
    command: CreateBroadcast, work: Work, broadcasts: Broadcasts, segments: Segments, engine: TemplateEngine
) -> Broadcast:
    """Write a broadcast.

    Raises: InvalidInput, InvalidTemplate, NotFound.
    """
    locales = [each.locale for each in command.texts]
    if not 0 < len(locales) <= MOST_LANGUAGES or len(set(locales)) < len(locales):
        raise InvalidInput(field="texts", reason=f"there is one for each of 1 to {MOST_LANGUAGES} languages")
    for each in command.texts:
        written = UpsertTemplate(
            code="broadcast", channel=command.channel, locale=each.locale,
            subject=each.subject, text=each.text, html=each.html,
        )  # fmt: skip
        engine.check(written.source())
    if command.segment_id is not None and await segments.get(command.segment_id) is None:
        raise NotFound(kind="Segment", id=str(command.segment_id))
    made = Broadcast(
        tenant_id=work.tenant_id,
        name=clean_name(command.name),
        channel=command.channel,
        segment_id=command.segment_id,
        created_by=work.actor.user_id,
    )
    made.create()
    broadcasts.add(
        made, [BroadcastText(tenant_id=work.tenant_id, broadcast_id=made.id, **vars(each)) for each in command.texts]
    )
    _note(made, "created", work, broadcasts)
    return made


async def schedule_broadcast(
    command: ScheduleBroadcast, work: Work, broadcasts: Broadcasts, queue: JobQueue
) -> Broadcast:
    broadcast = await _found(command.id, command.expected_version, broadcasts)
    broadcast.schedule(command.at, work.now)
    await queue.defer(SEND, {"id": str(broadcast.id)}, at=command.at, key=str(broadcast.id))
    _note(broadcast, "scheduled", work, broadcasts, at=command.at.isoformat())
    return broadcast


async def send_broadcast(command: SendBroadcast, work: Work, broadcasts: Broadcasts, queue: JobQueue) -> Broadcast:
    broadcast = await _found(command.id, command.expected_version, broadcasts)
    broadcast.start(work.now)
    await queue.defer(SEND, {"id": str(broadcast.id)}, at=work.now, key=str(broadcast.id))
    _note(broadcast, "started", work, broadcasts)
    return broadcast


async def cancel_broadcast(command: CancelBroadcast, work: Work, broadcasts: Broadcasts, queue: JobQueue) -> Broadcast:
    broadcast = await _found(command.id, command.expected_version, broadcasts)
    broadcast.cancel()
    await queue.cancel(SEND, str(broadcast.id))
    _note(broadcast, "cancelled", work, broadcasts)
    return broadcast


def _note(broadcast: Broadcast, action: str, work: Work, broadcasts: Broadcasts, **data: Any) -> None:
    entry = BroadcastAudit(
        tenant_id=broadcast.tenant_id,
        broadcast_id=broadcast.id,
        action=action,
        actor_id=work.actor.user_id,
        at=work.now,
        data=data,
    )
    broadcasts.note(entry)


async def _found(broadcast_id: UUID, expected_version: int | None, broadcasts: Broadcasts) -> Broadcast:
    broadcast = await broadcasts.lock(broadcast_id)
    if broadcast is None:
        raise NotFound(kind="Broadcast", id=str(broadcast_id))
    broadcast.expect_version(expected_version)
    return broadcast
