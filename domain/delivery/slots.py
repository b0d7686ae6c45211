"""Slots: spells of a day in which a store delivers, each to so many addresses at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.delivery.routing import TimeWindow
from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event

MAX_CAPACITY = 10_000
MAX_SPELL = timedelta(hours=24)
MAX_DAYS = 62


@dataclass(eq=False)
class SlotFull(DomainError):
    """As many deliveries as the slot takes are booked."""

    slot_id: str
    template = "The delivery slot {slot_id} is full."


@dataclass(eq=False)
class SlotClosed(DomainError):
    """The slot has begun, or is no longer offered."""

    slot_id: str
    template = "The delivery slot {slot_id} can no longer be booked."


@event("delivery.slot_opened")
@dataclass(frozen=True, kw_only=True)
class SlotOpened(Event):
    store_id: UUID
    starts_at: datetime
    ends_at: datetime
    capacity: int


@event("delivery.slot_changed")
@dataclass(frozen=True, kw_only=True)
class SlotChanged(Event):
    capacity: int


@dataclass(eq=False, kw_only=True)
class DeliverySlot(Aggregate):
    """A spell on a day of the store's own calendar, and how many deliveries it takes."""

    store_id: UUID
    day: date
    starts_at: datetime
    ends_at: datetime
    capacity: int
    booked: int = 0

    @property
    def available(self) -> int:
        return max(0, self.capacity - self.booked)

    @property
    def window(self) -> TimeWindow:
        return TimeWindow(self.starts_at, self.ends_at)

    def book(self, now: datetime) -> None:
        """Take a place. Raises: SlotClosed, SlotFull."""
        if self.starts_at <= now:
            raise SlotClosed(slot_id=str(self.id))
        if self.booked >= self.capacity:
            raise SlotFull(slot_id=str(self.id))
        # Nobody listens to bookings one by one, and the row is locked: the version alone needs no event.
        self.booked += 1
        self.version += 1

    def free(self) -> None:
        """Give a place back."""
        self.booked -= 1
        self.version += 1

    def resize(self, capacity: int) -> None:
        """Take more or fewer deliveries, but never fewer than are booked. Raises: InvalidInput."""
        if not self.booked <= capacity <= MAX_CAPACITY:
            raise InvalidInput(field="capacity", reason=f"it lies between what is booked and {MAX_CAPACITY:,}")
        self.capacity = capacity
        self.record(SlotChanged(capacity=capacity))


class DeliverySlots(Protocol):
    """Slots for change."""

    def add(self, slot: DeliverySlot) -> None: ...

    async def lock(self, slot_id: UUID) -> DeliverySlot | None: ...


@dataclass(frozen=True, kw_only=True)
class SlotSpell:
    """From a time of day to another, written HH:MM; one that ends at or before its begin ends on the next day."""

    starts: str
    ends: str
    capacity: int


@dataclass(frozen=True, kw_only=True)
class OpenDeliverySlots:
    """Offer the same spells on every day from one to another, in the store's own time."""

    store_id: UUID
    first_day: date
    last_day: date
    spells: tuple[SlotSpell, ...]


@dataclass(frozen=True, kw_only=True)
class ResizeDeliverySlot:
    """Let a slot take more or fewer deliveries; 0 closes it where nothing is booked."""

    id: UUID
    capacity: int
    expected_version: int | None = None


def slots_of(command: OpenDeliverySlots, timezone: str, work: Work) -> Sequence[DeliverySlot]:
    """Make the slots. Raises: InvalidInput."""
    days = (command.last_day - command.first_day).days + 1
    if not 1 <= days <= MAX_DAYS or not 1 <= len(command.spells) <= 24:
        raise InvalidInput(field="lastDay", reason=f"at most {MAX_DAYS} days of 1 to 24 spells are opened at once")
    return [
        _slot(command.store_id, command.first_day + timedelta(days=number), spell, ZoneInfo(timezone), work)
        for number in range(days)
        for spell in command.spells
    ]


def _slot(store_id: UUID, day: date, spell: SlotSpell, zone: ZoneInfo, work: Work) -> DeliverySlot:
    starts, ends = _time("starts", spell.starts), _time("ends", spell.ends)
    if not 1 <= spell.capacity <= MAX_CAPACITY:
        raise InvalidInput(field="capacity", reason=f"it must lie between 1 and {MAX_CAPACITY:,}")
    starts_at = datetime.combine(day, starts, zone)
    ends_at = datetime.combine(day if ends > starts else day + timedelta(days=1), ends, zone)
    slot = DeliverySlot(
        tenant_id=work.tenant_id,
        store_id=store_id,
        day=day,
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=spell.capacity,
    )
    slot.record(SlotOpened(store_id=store_id, starts_at=starts_at, ends_at=ends_at, capacity=spell.capacity))
    return slot


def _time(name: str, text: str) -> time:
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 — a time of day has no zone.
    except ValueError as error:
        raise InvalidInput(field=name, reason=f"{text!r} is no time of day such as 09:30") from error


async def resize_delivery_slot(command: ResizeDeliverySlot, work: Work, slots: DeliverySlots) -> DeliverySlot:
    slot = await slots.lock(command.id)
    if slot is None or not work.actor.works_at(slot.store_id):
        raise NotFound(kind="DeliverySlot", id=str(command.id))
    slot.expect_version(command.expected_version)
    slot.resize(command.capacity)
    return slot
