"""What people find in the application itself, with a count of what they have not read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, NotFound, Work, event
from domain.notifications.channels import Channel
from domain.notifications.ports import Notifications
from domain.topics import followed


@event("notifications.inbox_read")
@dataclass(frozen=True, kw_only=True)
class InboxRead(Event):
    user_id: UUID
    count: int


@followed("notification.delivered")
def inbox_topics(_aggregate_id: UUID, data: Mapping[str, Any]) -> list[str]:
    """Give the topic of whoever finds the message in the application."""
    return [inbox_topic(data["user_id"])] if data["channel"] == Channel.IN_APP and data["user_id"] else []


def inbox_topic(user_id: UUID | str) -> str:
    return f"notifications:{user_id}"


@dataclass(eq=False, kw_only=True)
class Inbox(Aggregate):
    """How much one person has not read; whoever changes it holds it, so that nothing has to be counted."""

    user_id: UUID
    unread: int = 0

    def receive(self) -> None:
        self.unread += 1

    def read(self, count: int) -> None:
        """Note that so many were read."""
        if count:
            self.unread -= count
            self.record(InboxRead(user_id=self.user_id, count=count))


class Inboxes(Protocol):
    """Inboxes for change, locked until the transaction ends."""

    async def lock_or_create(self, blank: Inbox) -> Inbox: ...


@dataclass(frozen=True, kw_only=True)
class MarkNotificationRead:
    """Note that one has read a message."""

    id: UUID


@dataclass(frozen=True, kw_only=True)
class MarkAllRead:
    """Note that one has read everything."""


async def mark_notification_read(
    command: MarkNotificationRead, work: Work, inboxes: Inboxes, notifications: Notifications
) -> Inbox:
    """Mark a message as read; a second time changes nothing.

    Raises: NotFound.
    """
    inbox = await own_inbox(work.actor.require_user(), work, inboxes)
    known = await notifications.lock(command.id)
    if known is None or known.user_id != inbox.user_id or known.channel is not Channel.IN_APP:
        raise NotFound(kind="Notification", id=str(command.id))
    inbox.read(await notifications.read(inbox.user_id, command.id, work.now))
    return inbox


async def mark_all_read(command: MarkAllRead, work: Work, inboxes: Inboxes, notifications: Notifications) -> Inbox:  # noqa: ARG001 — a command without fields.
    inbox = await own_inbox(work.actor.require_user(), work, inboxes)
    inbox.read(await notifications.read(inbox.user_id, None, work.now))
    return inbox


async def own_inbox(user_id: UUID, work: Work, inboxes: Inboxes) -> Inbox:
    return await inboxes.lock_or_create(Inbox(tenant_id=work.tenant_id, user_id=user_id))
