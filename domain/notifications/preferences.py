"""What somebody wants to hear, on which channel, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, InvalidInput, Work, event
from domain.notifications.channels import Channel, MessageCategory
from domain.notifications.quiet import QuietHours, parse_clock, parse_zone

MOST_CHOICES = len(Channel) * len(MessageCategory)


@event("notifications.preferences_updated")
@dataclass(frozen=True, kw_only=True)
class CommunicationPreferencesUpdated(Event):
    user_id: UUID
    changed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whether somebody wants one category of messages on one channel, and since when."""

    channel: Channel
    category: MessageCategory
    is_opted_in: bool
    opted_in_at: datetime | None = None
    opted_out_at: datetime | None = None


def wanted_by_default(channel: Channel, category: MessageCategory) -> bool:
    """Say what somebody gets who never chose: nothing that sells, and nothing but one's own affairs by SMS.

    Source: CASL and the GDPR ask for consent before anything is advertised.
    """
    return category is MessageCategory.TRANSACTIONAL or (
        category is MessageCategory.ALERTS and channel is not Channel.SMS
    )


def place_of(channel: Channel, category: MessageCategory) -> str:
    """Give the name under which a choice is kept."""
    return f"{category}.{channel}"


def all_choices(kept: Mapping[str, Any]) -> list[Choice]:
    """Give what somebody wants of everything there is; where nothing was chosen, the default."""
    return [_choice(kept, channel, category) for category in MessageCategory for channel in Channel]


def _choice(kept: Mapping[str, Any], channel: Channel, category: MessageCategory) -> Choice:
    made = kept.get(place_of(channel, category), {})
    moments = {name: datetime.fromisoformat(made[name]) for name in ("opted_in_at", "opted_out_at") if made.get(name)}
    wanted = made.get("is_opted_in", wanted_by_default(channel, category))
    return Choice(channel=channel, category=category, is_opted_in=wanted, **moments)


@dataclass(eq=False, kw_only=True)
class CommunicationPreferences(Aggregate):
    """One person's choices and quiet hours; `quiet` has `begin`, `end` and, where it differs from the tenant's, `timezone`."""

    user_id: UUID
    choices: dict[str, Any] = field(default_factory=dict)
    quiet: dict[str, Any] = field(default_factory=dict)

    def wants(self, channel: Channel, category: MessageCategory) -> bool:
        return _choice(self.choices, channel, category).is_opted_in

    def choose(self, channel: Channel, category: MessageCategory, now: datetime, *, wanted: bool) -> None:
        """Choose for one category on one channel; what was chosen before is remembered with its date.

        Raises: InvalidInput.
        """
        if not wanted and (channel, category) == (Channel.EMAIL, MessageCategory.TRANSACTIONAL):
            raise InvalidInput(field="choices", reason="what concerns your own orders always comes by e-mail")
        place = place_of(channel, category)
        moment = {"opted_in_at" if wanted else "opted_out_at": now.isoformat()}
        self.choices = {**self.choices, place: {**self.choices.get(place, {}), "is_opted_in": wanted, **moment}}
        self._tell(place)

    def set_quiet(self, command: "SetDoNotDisturb") -> None:
        """Set or clear the hours without disturbance.

        Raises: InvalidInput.
        """
        if (command.begin is None) != (command.end is None) or (command.begin and command.begin == command.end):
            raise InvalidInput(field="end", reason="quiet hours have a beginning and another end")
        for name, clock in (("begin", command.begin), ("end", command.end)):
            if clock is not None:
                parse_clock(name, clock)
        if command.timezone is not None:
            parse_zone(command.timezone)
        chosen = {"begin": command.begin, "end": command.end, "timezone": command.timezone}
        self.quiet = {name: value for name, value in chosen.items() if value is not None}
        self._tell("quiet")

    def quiet_hours(self, default_zone: str) -> QuietHours | None:
        return QuietHours.of(self.quiet, self.quiet.get("timezone") or default_zone)

    def _tell(self, place: str) -> None:
        self.record(CommunicationPreferencesUpdated(user_id=self.user_id, changed=(place,)))


class Preferences(Protocol):
    """People's preferences for change."""

    async def find(self, user_id: UUID) -> CommunicationPreferences | None: ...

    async def lock_or_create(self, blank: CommunicationPreferences) -> CommunicationPreferences: ...


@dataclass(frozen=True, kw_only=True)
class ChooseChannel:
    """Say whether one category is wanted on one channel."""

    channel: Channel
    category: MessageCategory
    is_opted_in: bool


@dataclass(frozen=True, kw_only=True)
class UpdateCommunicationPreferences:
    """Choose what one wants to hear, and where; what is not mentioned stays."""

    choices: Sequence[ChooseChannel]


@dataclass(frozen=True, kw_only=True)
class SetDoNotDisturb:
    """Set the hours of the day, such as 22:00 to 07:00, in which nothing but one's own affairs comes; without them, clear them."""

    begin: str | None = None
    end: str | None = None
    timezone: str | None = None


async def own_preferences(user_id: UUID, tenant_id: UUID, preferences: Preferences) -> CommunicationPreferences:
    """Give somebody's preferences, locked."""
    return await preferences.lock_or_create(CommunicationPreferences(tenant_id=tenant_id, user_id=user_id))


async def update_communication_preferences(
    command: UpdateCommunicationPreferences, work: Work, preferences: Preferences
) -> CommunicationPreferences:
    if not 0 < len(command.choices) <= MOST_CHOICES:
        raise InvalidInput(field="choices", reason=f"there are 1 to {MOST_CHOICES}")
    own = await own_preferences(work.actor.require_user(), work.tenant_id, preferences)
    for each in command.choices:
        own.choose(each.channel, each.category, work.now, wanted=each.is_opted_in)
    return own


async def set_do_not_disturb(
    command: SetDoNotDisturb, work: Work, preferences: Preferences
) -> CommunicationPreferences:
    own = await own_preferences(work.actor.require_user(), work.tenant_id, preferences)
    own.set_quiet(command)
    return own
