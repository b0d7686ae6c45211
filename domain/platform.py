"""The platform's own affairs: the audit trail, what could not be handled, and how the parts are doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import EVENTS, InvalidInput, NotFound, Work, unopened
from domain.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries of the audit trail are wanted; `until` is exclusive, `context` is the part before the dot of a name."""

    context: str | None = None
    name: str | None = None
    aggregate_id: UUID | None = None
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def audited(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what the audit trail shows of an event's data."""
    private = EVENTS[name].private if name in EVENTS else frozenset()
    return {key: value for key, value in unopened(data).items() if key not in private}


class PlatformReads(Protocol):
    """Reads of the log and of what failed, in the tenant of the operation."""

    async def audit_log(self, wanted: AuditFilter, page: PageRequest) -> Page[Any]: ...

    async def event_stream(self, aggregate_id: UUID, from_version: int, page: PageRequest) -> Page[Any]: ...

    async def dead_letters(self, handler: str | None, requeued: bool, page: PageRequest) -> Page[Any]: ...

    async def outbox_lag_seconds(self) -> float: ...

    async def dead_letter_count(self) -> int: ...

    async def live_cursor(self) -> int:
        """Give a place in the log such that everything up to it is part of the snapshot."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """An event that a handler did not get done in any of its attempts; `envelope` is the event as it was delivered."""

    id: UUID
    handler: str
    name: str
    event_id: UUID
    aggregate_id: UUID
    attempts: int
    error: str
    envelope: Mapping[str, Any]
    failed_at: datetime
    requeued_at: datetime | None


class DeadLetters(Protocol):
    """Dead letters, for change."""

    async def requeue(self, letter_id: UUID, now: datetime) -> DeadLetter | None: ...


class Projections(Protocol):
    """Handlers that may be given the past once more, because they are idempotent by nature."""

    def names(self) -> Sequence[str]: ...

    async def replay(self, projection: str, since: datetime | None, now: datetime) -> int: ...


@dataclass(frozen=True, kw_only=True)
class PartHealth:
    """How one part is; `figures` are its own measurements by name."""

    name: str
    status: str
    reason: str | None = None
    milliseconds: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConsumerBacklog:
    """What a consumer has still to do, by the stream that it comes from."""

    consumer: str
    stream: str
    undelivered: int
    unfinished: int


@dataclass(frozen=True, kw_only=True)
class SystemHealth:
    """The whole: ok, degraded or unavailable."""

    status: str
    parts: Sequence[PartHealth]
    consumers: Sequence[ConsumerBacklog]
    workers: Sequence[str]
    dead_letters: int


class HealthReads(Protocol):
    """Asks the running parts how they are."""

    async def report(self) -> SystemHealth: ...


@dataclass(frozen=True, kw_only=True)
class RequeueDeadLetter:
    """Give an event that was given up another full round of attempts."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class ReplayProjection:
    """Hand a projection the tenant's events of the past once more, from an instant or from the beginning."""

    projection: str
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A replay that has begun: so many events wait for the projection."""

    projection: str
    events: int


async def requeue_dead_letter(command: RequeueDeadLetter, work: Work, letters: DeadLetters) -> DeadLetter:
    letter = await letters.requeue(command.id, work.now)
    if letter is None:
        raise NotFound(kind="DeadLetter", id=str(command.id))
    return letter


async def replay_projection(command: ReplayProjection, work: Work, projections: Projections) -> Replay:
    if command.projection not in projections.names():
        known = ", ".join(projections.names()) or "none"
        raise InvalidInput(field="projection", reason=f"it must be one of: {known}")
    events = await projections.replay(command.projection, command.since, work.now)
    return Replay(projection=command.projection, events=events)
