"""Whom broadcasts can go to: what is known here of people, and segments of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, Work, event
from domain.notifications.channels import Channel

LONGEST_NAME = 100
MOST_VALUES = 50
MOST_DAYS = 3_650


@event("notifications.audience_segmented")
@dataclass(frozen=True, kw_only=True)
class AudienceSegmented(Event):
    segment_name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class SegmentCriteria:
    """Who belongs to a segment: everybody for whom all that is said holds."""

    locales: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    ordered_within_days: int | None = None
    no_order_for_days: int | None = None

    def __post_init__(self) -> None:
        if any(len(each) > MOST_VALUES for each in (self.locales, self.roles)):
            raise InvalidInput(field="criteria", reason=f"there are at most {MOST_VALUES} languages and roles")
        if any("\0" in each or len(each) > LONGEST_NAME for each in (*self.locales, *self.roles)):
            raise InvalidInput(field="criteria", reason="languages and roles have short names")
        for days in (self.ordered_within_days, self.no_order_for_days):
            if days is not None and not 0 < days <= MOST_DAYS:
                raise InvalidInput(field="criteria", reason=f"days lie between 1 and {MOST_DAYS:,}")

    def bounds(self, now: datetime) -> "Bounds":
        """Say since when somebody must have ordered, and since when not."""
        since = now - timedelta(days=self.ordered_within_days) if self.ordered_within_days else None
        idle = now - timedelta(days=self.no_order_for_days) if self.no_order_for_days else None
        return Bounds(locales=self.locales, roles=self.roles, ordered_since=since, idle_since=idle)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Criteria at an instant."""

    locales: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    ordered_since: datetime | None = None
    idle_since: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Recipient(Aggregate):
    """What is known here of a person, from what others have told."""

    user_id: UUID
    locale: str | None = None
    roles: list[str] = field(default_factory=list)
    last_order_at: datetime | None = None
    is_active: bool = True

    def hold(self, role: str) -> None:
        self.roles = sorted({*self.roles, role})

    def lose(self, role: str) -> None:
        self.roles = [each for each in self.roles if each != role]

    def order(self, at: datetime) -> None:
        self.last_order_at = max(at, self.last_order_at or at)


class Recipients(Protocol):
    """People, locked until the transaction ends."""

    async def lock_or_create(self, blank: Recipient) -> Recipient: ...


class Audience(Protocol):
    """People by criteria, who want to hear what is advertised on a channel, in the order of their ids."""

    async def portion(self, bounds: Bounds, channel: Channel, after: UUID | None, most: int) -> Sequence[UUID]: ...

    async def count(self, bounds: Bounds, channel: Channel) -> int: ...


@dataclass(eq=False, kw_only=True)
class Segment(Aggregate):
    """A named part of the audience; `last_count` is how many it had when somebody looked."""

    name: str
    criteria: SegmentCriteria
    channel: Channel = Channel.EMAIL
    last_count: int = 0
    refreshed_at: datetime | None = None

    def refresh(self, count: int, now: datetime) -> None:
        self.last_count, self.refreshed_at = count, now
        self.record(AudienceSegmented(segment_name=self.name, count=count))


class Segments(Protocol):
    """Segments for change."""

    def add(self, segment: Segment) -> None: ...

    async def get(self, segment_id: UUID) -> Segment | None: ...


@dataclass(frozen=True, kw_only=True)
class CreateSegment:
    """Name a part of the audience; it is counted for a channel, for who wants letters need not want pushes."""

    name: str
    criteria: SegmentCriteria
    channel: Channel = Channel.EMAIL


async def create_segment(command: CreateSegment, work: Work, segments: Segments, audience: Audience) -> Segment:
    """Name a segment and count it.

    Raises: InvalidInput, AlreadyExists.
    """
    segment = Segment(
        tenant_id=work.tenant_id,
        name=clean_name(command.name),
        criteria=command.criteria,
        channel=command.channel,
    )
    segments.add(segment)
    segment.refresh(await audience.count(command.criteria.bounds(work.now), command.channel), work.now)
    return segment


def clean_name(value: str) -> str:
    """Give a name, trimmed.

    Raises: InvalidInput.
    """
    name = value.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidInput(field="name", reason=f"it is one line of at most {LONGEST_NAME} characters")
    return name
