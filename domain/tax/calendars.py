"""Calendars: the days on which no goods are delivered and no money is paid out."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, Self
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event
from domain.tax.places import TaxPlace

FIRST_YEAR, LAST_YEAR = 1990, 2100
MAX_NAME = 255
# Public holidays and weekends do not fill this many days anywhere; a tenant's own entries could.
SEARCHED_DAYS = 366
_SATURDAY_AND_SUNDAY = frozenset({5, 6})


class Business(StrEnum):
    """What rests on a holiday."""

    DELIVERY = "delivery"
    PAYOUT = "payout"


@dataclass(eq=False)
class NoBusinessDay(DomainError):
    """Every day of a year is a holiday."""

    province: str
    day: date
    template = "There is no business day in {province} within a year of {day}."


@event("tax.holiday_added")
@dataclass(frozen=True, kw_only=True)
class HolidayAdded(Event):
    country: str
    province: str | None
    day: date
    affects_delivery: bool
    affects_payout: bool


@event("tax.holiday_removed")
@dataclass(frozen=True, kw_only=True)
class HolidayRemoved(Event):
    country: str
    province: str | None
    day: date


@dataclass(frozen=True, kw_only=True)
class PublicHoliday:
    """A day that is in a place's calendar; `id` is set where the tenant itself has put it there."""

    country: str
    province: str | None
    day: date
    name: str
    affects_delivery: bool = True
    affects_payout: bool = True
    id: UUID | None = None

    def affects(self, business: Business) -> bool:
        return self.affects_delivery if business is Business.DELIVERY else self.affects_payout


@dataclass(eq=False, kw_only=True)
class Holiday(Aggregate):
    """A tenant's own word on one day; one that affects nothing makes a public holiday a day like any other."""

    country: str
    province: str | None
    day: date
    name: str
    affects_delivery: bool
    affects_payout: bool

    @classmethod
    def add(cls, command: "AddHoliday", work: Work) -> Self:
        """Make a holiday.

        Raises: InvalidInput.
        """
        place = TaxPlace(command.country, command.province)
        name = command.name.strip()
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidInput(field="name", reason=f"it has between 1 and {MAX_NAME} characters")
        check_year("day", command.day.year)
        holiday = cls(
            tenant_id=work.tenant_id,
            country=place.country,
            province=place.province,
            day=command.day,
            name=name,
            affects_delivery=command.affects_delivery,
            affects_payout=command.affects_payout,
        )
        holiday.record(
            HolidayAdded(
                country=holiday.country,
                province=holiday.province,
                day=holiday.day,
                affects_delivery=holiday.affects_delivery,
                affects_payout=holiday.affects_payout,
            )
        )
        return holiday


def check_year(name: str, year: int) -> None:
    """Refuse years whose holidays nobody has worked out.

    Raises: InvalidInput.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidInput(field=name, reason=f"calendars reach from {FIRST_YEAR} to {LAST_YEAR}")


@lru_cache(maxsize=1024)
def public_holidays(place: TaxPlace, year: int) -> tuple[PublicHoliday, ...]:
    """Give the public holidays of a year, in order; none for a country without a known calendar.

    Source: the `holidays` library, after each country's law.
    """
    library = _library(place, year)
    return tuple(
        PublicHoliday(country=place.country, province=place.province, day=day, name=name)
        for day, name in sorted(library.items() if library is not None else ())
    )


@lru_cache(maxsize=256)
def _weekend(country: str) -> Collection[int]:
    library = _library(TaxPlace(country), FIRST_YEAR)
    return _SATURDAY_AND_SUNDAY if library is None else frozenset(library.weekend)


def _library(place: TaxPlace, year: int) -> Any | None:
    subdivision = place.province.partition("-")[2] if place.province else None
    # It weighs 9 MB, which a server that nobody asks for holidays has better uses for.
    from holidays import country_holidays  # noqa: PLC0415

    for part in dict.fromkeys((subdivision, None)):
        try:
            return country_holidays(place.country, subdiv=part, years=year, language="en_US")
        except NotImplementedError:
            # The library knows not every country, nor every subdivision of those it knows.
            continue
    return None


class BusinessCalendar:
    """The calendar of every place, with a tenant's own entries over it."""

    def __init__(self, own: Iterable[PublicHoliday] = ()) -> None:
        # A province's entry comes after its country's, and therefore wins.
        ordered = sorted(own, key=lambda each: each.province is not None)
        self._own = {(each.province or each.country, each.day): each for each in ordered}

    def holiday(self, province: str, day: date) -> PublicHoliday | None:
        """Give what the calendar of a province (CA-ON) or country (DE) says of a day.

        Raises: InvalidInput.
        """
        place = TaxPlace.named(province)
        check_year("day", day.year)
        own = self._own.get((province, day)) or self._own.get((place.country, day))
        return own or next((each for each in public_holidays(place, day.year) if each.day == day), None)

    def is_business_day(self, province: str, day: date, business: Business = Business.PAYOUT) -> bool:
        """Say whether business is done on a day: at weekends there are deliveries, but no payouts.

        Raises: InvalidInput.
        """
        rests = business is Business.PAYOUT and day.weekday() in _weekend(TaxPlace.named(province).country)
        found = self.holiday(province, day)
        return not rests and (found is None or not found.affects(business))

    def next_business_day(self, province: str, day: date, business: Business = Business.PAYOUT) -> date:
        """Give the day itself where it is a business day, or else the first one after it.

        Raises: InvalidInput, NoBusinessDay.
        """
        days = (day + timedelta(days=distance) for distance in range(SEARCHED_DAYS))
        found = next((each for each in days if self.is_business_day(province, each, business)), None)
        if found is None:
            raise NoBusinessDay(province=province, day=day)
        return found

    def business_days_after(self, province: str, day: date, count: int) -> date:
        """Give the business day that comes `count` business days after a day.

        Raises: InvalidInput, NoBusinessDay.
        """
        reached = day
        for _ in range(count):
            reached = self.next_business_day(province, reached + timedelta(days=1))
        return reached

    def year(self, place: TaxPlace, year: int) -> list[PublicHoliday]:
        """Give the holidays of a year in order, with the tenant's own and without those that it has struck out.

        Raises: InvalidInput.
        """
        check_year("year", year)
        days = {each.day: each for each in public_holidays(place, year)}
        for name in dict.fromkeys((place.country, place.province)):
            days |= {each.day: each for (own, day), each in self._own.items() if own == name and day.year == year}
        return [days[day] for day in sorted(days) if days[day].affects_delivery or days[day].affects_payout]


class Calendars(Protocol):
    """Calendars for changes and for reads, in one statement."""

    async def between(self, first: date, last: date) -> BusinessCalendar:
        """Give a calendar that holds the tenant's own entries between two days."""
        ...


class CalendarReads(Calendars, Protocol):
    """Calendars within an operation's reads."""


class Holidays(Protocol):
    """A tenant's own entries, for change."""

    async def lock(self, holiday_id: UUID) -> Holiday | None: ...

    def add(self, holiday: Holiday) -> None: ...

    async def remove(self, holiday: Holiday) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AddHoliday:
    """Put a day of the tenant's own into a calendar; one that affects nothing takes a public holiday away."""

    country: str
    day: date
    name: str
    province: str | None = None
    affects_delivery: bool = True
    affects_payout: bool = True


@dataclass(frozen=True, kw_only=True)
class RemoveHoliday:
    """Take one of the tenant's own days out of the calendar."""

    id: UUID


async def add_holiday(command: AddHoliday, work: Work, holidays: Holidays) -> Holiday:
    holiday = Holiday.add(command, work)
    holidays.add(holiday)
    return holiday


async def remove_holiday(command: RemoveHoliday, holidays: Holidays) -> Holiday:
    found = await holidays.lock(command.id)
    if found is None:
        raise NotFound(kind="Holiday", id=str(command.id))
    found.record(HolidayRemoved(country=found.country, province=found.province, day=found.day))
    await holidays.remove(found)
    return found
