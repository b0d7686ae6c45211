"""Studios, and the hours for which sessions have them to themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event, uuid7
from domain.live.texts import clean_line

# Source: the policy table, live_studio_slot.
STUDIO_SLOT = timedelta(hours=2)
LONGEST_LOOK = timedelta(days=31)
MAX_NAME = 120
MAX_EQUIPMENT = 50


@dataclass(eq=False)
class StudioTaken(DomainError):
    """Somebody else has the studio for a part of that time."""

    studio_id: UUID
    starts_at: datetime
    ends_at: datetime
    template = "Studio {studio_id} is taken for a part of the time from {starts_at} to {ends_at}."


@event("live.studio_created")
@dataclass(frozen=True, kw_only=True)
class StudioCreated(Event):
    studio_id: UUID
    title: str


@dataclass(eq=False, kw_only=True)
class Studio(Aggregate):
    """A room with cameras and lights."""

    name: str
    location: str | None = None
    equipment: Sequence[str] = ()

    def open(self) -> None:
        """Let it be booked from now on.

        Raises: InvalidInput.
        """
        self.name = clean_line("name", self.name, MAX_NAME)
        self.location = clean_line("location", self.location, MAX_NAME) if self.location else None
        if len(self.equipment) > MAX_EQUIPMENT:
            raise InvalidInput(field="equipment", reason=f"at most {MAX_EQUIPMENT} pieces are listed")
        self.equipment = [clean_line("equipment", each, MAX_NAME) for each in self.equipment]
        self.record(StudioCreated(studio_id=self.id, title=self.name))


@dataclass(frozen=True, kw_only=True)
class StudioBooking:
    """A studio for one preparation of a session, from `starts_at` up to and without `ends_at`."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    studio_id: UUID
    session_id: UUID
    starts_at: datetime
    ends_at: datetime


class Studios(Protocol):
    """Studios for change, and their bookings."""

    def add(self, studio: Studio) -> None: ...

    async def exists(self, studio_id: UUID) -> bool: ...

    async def book(self, booking: StudioBooking) -> bool:
        """Note a booking; where the studio is taken for a part of its time, note nothing and say no."""
        ...

    async def free(self, booking_id: UUID, now: datetime) -> None:
        """Let a booking end now; one that has ended stays as it is."""
        ...


@dataclass(frozen=True, kw_only=True)
class CreateStudio:
    """Make a studio that sessions can be shown from."""

    name: str
    location: str | None = None
    equipment: Sequence[str] = ()


async def create_studio(command: CreateStudio, work: Work, studios: Studios) -> Studio:
    studio = Studio(
        tenant_id=work.tenant_id, name=command.name, location=command.location, equipment=list(command.equipment)
    )
    studio.open()
    studios.add(studio)
    return studio


async def book_studio(booking: StudioBooking, studios: Studios) -> StudioBooking:
    """Take a studio for a while.

    Raises: NotFound, StudioTaken.
    """
    if not await studios.exists(booking.studio_id):
        raise NotFound(kind="Studio", id=str(booking.studio_id))
    if not await studios.book(booking):
        raise StudioTaken(studio_id=booking.studio_id, starts_at=booking.starts_at, ends_at=booking.ends_at)
    return booking


def check_span(since: datetime, until: datetime) -> None:
    """Refuse a span that nobody can be shown the bookings of.

    Raises: InvalidInput.
    """
    if not since < until <= since + LONGEST_LOOK:
        raise InvalidInput(field="until", reason=f"it lies after `since`, by {LONGEST_LOOK.days} days at most")
