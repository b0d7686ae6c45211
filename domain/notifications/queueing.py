"""The one way in: a message to people, over the channels on which each of them is reached and wants to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from domain.kernel import InvalidInput, Work
from domain.notifications.channels import Channel, MessageCategory
from domain.notifications.kinds import KINDS, Kind
from domain.notifications.notification import Notification
from domain.notifications.ports import Notifications
from domain.notifications.preferences import Preferences, wanted_by_default

LONGEST_DATA = 8_192


@dataclass(frozen=True, kw_only=True)
class Addressee:
    """A person, or a guest's address: under what they are reached on each channel, and how they are spoken to."""

    user_id: UUID | None
    name: str
    locale: str
    timezone: str
    reachable: Mapping[Channel, str]


@dataclass(frozen=True, kw_only=True)
class SendNotification:
    """Send a message to a person, from a template of ours or of the tenant; `data` are its variables.

    A template of the tenant's own needs to know its `category` and `channels`; one of ours knows both.
    """

    user_id: UUID
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)
    category: MessageCategory | None = None
    channels: Sequence[Channel] = ()

    def kind(self) -> Kind:
        """Say what kind of message it is.

        Raises: InvalidInput.
        """
        if len(orjson.dumps(dict(self.data), default=str)) > LONGEST_DATA:
            raise InvalidInput(field="data", reason=f"it takes at most {LONGEST_DATA:,} bytes")
        ours = KINDS.get(self.template)
        category = self.category or (ours.category if ours else None)
        channels = self.channels or (ours.channels if ours else ())
        if category is None or not channels:
            raise InvalidInput(field="template", reason="a template of your own needs a category and channels")
        link = ours.link if ours else ""
        return Kind(
            code=self.template, category=category, channels=tuple(dict.fromkeys(channels)), link=link, example=self.data
        )


async def queue_messages(
    kind: Kind,
    occasion: str,
    people: Sequence[Addressee],
    data: Mapping[str, Any],
    work: Work,
    notifications: Notifications,
    preferences: Preferences,
) -> list[Notification]:
    """Queue a message on an occasion; whoever was told of it on a channel is not told again there."""
    wanted, users = [], [each.user_id for each in people if each.user_id]
    pushable = await notifications.pushable(users) if Channel.PUSH in kind.channels and users else set()
    for person in people:
        known = await preferences.find(person.user_id) if person.user_id else None
        wants = known.wants if known else wanted_by_default
        wanted += [
            message_to(person, channel, kind, f"{occasion}:{kind.code}", data, work)
            for channel in kind.channels
            if channel in person.reachable
            and wants(channel, kind.category)
            and (channel is not Channel.PUSH or person.user_id in pushable)
        ]
    await notifications.queue(wanted)
    return wanted


def message_to(
    person: Addressee, channel: Channel, kind: Kind, occasion: str, data: Mapping[str, Any], work: Work
) -> Notification:
    """Make one message; its key says that of one occasion there is one to a person on a channel."""
    address = person.reachable[channel]
    return Notification(
        tenant_id=work.tenant_id,
        key=f"{occasion}:{person.user_id or address}:{channel}",
        user_id=person.user_id,
        channel=channel,
        category=kind.category,
        template=kind.code,
        address=address,
        locale=person.locale,
        timezone=person.timezone,
        data={**data, "name": person.name},
        # A link that carries something sealed is made when the message is handed over.
        link=None if kind.sealed else link_of(kind, data),
        due_at=work.now,
        queued_at=work.now,
    )


def link_of(kind: Kind, data: Mapping[str, Any]) -> str | None:
    """Give where a message leads, where all that the address is made of is known."""
    try:
        return kind.link.format_map({name: data[name] for name in data if data[name]}) or None
    except KeyError:
        return None
