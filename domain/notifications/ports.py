"""What notifications are kept in, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.notifications.channels import Channel, MessageCategory
from domain.notifications.notification import Notification, NotificationState
from domain.paging import Page, PageRequest


class Notifications(Protocol):
    """Messages for change."""

    async def queue(self, notifications: Sequence[Notification]) -> int:
        """Keep new messages, but those whose key there is already; gives how many are new."""
        ...

    async def pushable(self, user_ids: Sequence[UUID]) -> set[UUID]:
        """Say who of them has a browser that takes pushes."""
        ...

    async def lock_due(self, notification_id: UUID, now: datetime) -> Notification | None:
        """Give a message that somebody has to look after, unless somebody else is doing so."""
        ...

    async def lock(self, notification_id: UUID) -> Notification | None: ...

    async def batched(self, leader: Notification) -> Sequence[Notification]:
        """Give what waits to be put together with a push, and what was put under it before: of the same person and category.

        What holds for one of a category holds for all: whether it is wanted, and at this hour.
        """
        ...

    async def led_by(self, leader: UUID) -> Sequence[Notification]:
        """Give what is going out as a part of a message; locked."""
        ...

    async def read(self, user_id: UUID, notification_id: UUID | None, now: datetime) -> int:
        """Mark one of a person's messages as read, or all; gives how many were unread."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What is counted: on which day, for which channel and kind of message."""

    day: date
    channel: Channel
    template: str


class Analytics(Protocol):
    """Counts of what was sent and what became of it, kept by addition."""

    async def add(self, tally: Tally, **counts: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class NotificationFilter:
    """Which messages are wanted."""

    user_id: UUID | None = None
    channel: Channel | None = None
    state: NotificationState | None = None
    template: str | None = None
    broadcast_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class DateRange:
    """Days, both included."""

    begin: date
    end: date


class NotificationReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def inbox(self, user_id: UUID, page: PageRequest, *, unread_only: bool) -> Page[Any]: ...

    async def unread(self, user_ids: Sequence[UUID]) -> list[int]: ...

    async def log(self, wanted: NotificationFilter, page: PageRequest) -> Page[Any]: ...

    async def analytics(self, days: DateRange) -> list[Any]: ...

    async def preferences(self, user_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def push_subscriptions(self, user_id: UUID) -> list[Any]: ...

    async def templates(self, code: str | None, page: PageRequest) -> Page[Any]: ...

    async def template_versions(self, template_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def policy(self, tenant_id: UUID) -> Any: ...

    async def broadcasts(self, page: PageRequest) -> Page[Any]: ...

    async def broadcasts_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def broadcast_texts(self, broadcast_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def broadcast_audit(self, broadcast_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def segments(self, page: PageRequest) -> Page[Any]: ...

    async def segments_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def suppressed(self, page: PageRequest) -> Page[Any]: ...


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """That an address gets nothing more on a channel: nothing of a category, or nothing at all."""

    address: str
    channel: Channel
    category: MessageCategory | None
    reason: str
    at: datetime


class Suppressions(Protocol):
    """Addresses that are not to be written to."""

    async def add(self, entry: Suppression) -> bool:
        """Note an address; says whether that is new."""
        ...

    async def covers(self, address: str, channel: Channel, category: MessageCategory) -> bool: ...

    async def lift(self, address: str, channel: Channel) -> Suppression | None: ...
