"""A tenant's own tax rates and holidays, and the records of verified ages, in PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import date
from time import monotonic
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Reads
from data.direct import TENANT, selected
from data.kernel import Choice, implements, map_aggregate, refuses, tenant_table, timestamp
from data.paging import Listing, equals
from data.personal import Category, kept, neutral
from data.statements import Statement
from domain.kernel import AlreadyExists
from domain.paging import Page, PageRequest
from domain.tax import (
    AgeVerification,
    AgeVerificationFilter,
    AgeVerificationReads,
    AgeVerifications,
    BusinessCalendar,
    CalendarReads,
    Calendars,
    Holiday,
    Holidays,
    OwnTaxRate,
    OwnTaxRates,
    PublicHoliday,
    TaxKind,
    TaxPlace,
    TaxRate,
    TaxRates,
    TaxRatesOverlap,
    TaxReads,
    VerificationMethod,
    rates_in_force,
)

tax_rate = tenant_table(
    "tax",
    "tax_rate",
    Column("country", Text, nullable=False),
    Column("province", Text),
    Column("kind", Choice(TaxKind), nullable=False),
    Column("category", Text),
    Column("rate", Numeric, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    CheckConstraint("rate BETWEEN 0 AND 1 AND scale(rate) <= 6", name="rate_is_fraction"),
    CheckConstraint("valid_to >= valid_from", name="days_in_order"),
    Index("ix_tax_rate_country", "tenant_id", "country"),
)

holiday = tenant_table(
    "tax",
    "holiday",
    Column("country", Text, nullable=False),
    Column("province", Text),
    Column("day", Date, nullable=False),
    Column("name", Text, nullable=False),
    Column("affects_delivery", Boolean, nullable=False),
    Column("affects_payout", Boolean, nullable=False),
    UniqueConstraint("tenant_id", "day", "country", "province", postgresql_nulls_not_distinct=True),
)

age_verification = tenant_table(
    "tax",
    "age_verification",
    Column("user_id", Uuid, nullable=False),
    Column("order_id", Uuid),
    Column("minimum_age", Integer, nullable=False),
    Column("method", Choice(VerificationMethod), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("verified_by", Uuid),
    timestamp("verified_at"),
    Column("expires_on", Date),
    CheckConstraint("minimum_age BETWEEN 1 AND 99", name="minimum_age_in_years"),
    Index("ix_age_verification_user_id", "tenant_id", "user_id"),
    Index("ix_age_verification_order_id", "tenant_id", "order_id"),
)

kept(
    age_verification,
    "user_id = $1 OR verified_by = $1",
    reason="that ages were verified is evidence for the regulator",
    years=3,
    passed=Category.IDENTITY,
    minimum_age=Category.IDENTITY,
)
neutral(holiday, "name")

map_aggregate(OwnTaxRate, tax_rate)
map_aggregate(Holiday, holiday)
map_aggregate(AgeVerification, age_verification)

# Two who set a rate at once see nothing of each other; the database does.
refuses("ex_tax_rate_no_overlap", lambda _: TaxRatesOverlap(kind="this tax", place="this place"))
refuses("uq_holiday_tenant_id_day_country_province", lambda _: AlreadyExists(kind="Holiday", value="on this day"))

_ON = bindparam("on", type_=Date)
_rate = tax_rate.c
_APPLICABLE = Statement(
    select(tax_rate).where(
        _rate.country == bindparam("country", type_=Text),
        or_(_rate.province.is_(None), _rate.province == bindparam("province", type_=Text)),
        _rate.valid_from <= _ON,
        or_(_rate.valid_to.is_(None), _rate.valid_to >= _ON),
    )
)
_OWN = Listing(select(tax_rate, literal(None, Text).label("source")), [_rate.id.desc()], **equals(_rate.country))

_between = select(holiday).where(holiday.c.day.between(bindparam("first", type_=Date), bindparam("last", type_=Date)))
_BETWEEN = Statement(_between)

_seen, _denied = age_verification.c, age_verification.alias("denied").c
_AGE = bindparam("minimum_age", type_=Integer)
_verified = select(
    exists()
    .where(
        _seen.user_id == bindparam("user_id", type_=Uuid),
        _seen.passed,
        _seen.minimum_age >= _AGE,
        or_(_seen.expires_on.is_(None), _seen.expires_on >= _ON),
        ~exists().where(
            _denied.user_id == _seen.user_id,
            ~_denied.passed,
            _denied.minimum_age <= _AGE,
            _denied.verified_at >= _seen.verified_at,
        ),
    )
    .label("verified")
)
_VERIFIED = Statement(_verified)
_RECORDS = Listing(select(age_verification), [_seen.id.desc()], **equals(_seen.user_id, _seen.order_id, _seen.passed))


RATES_SECONDS = 2.0
"""For how long a process may tax by rates that another process has changed meanwhile.

Rates hold from a day on and are entered before it. Whoever changes one in force taxes the orders of the next two seconds as
if they had come two seconds earlier; a buyer who says which sum was seen is refused with PriceChanged rather than charged another.
"""
MOST_PLACES = 4_096


class KnownRates:
    """The rates that one database was asked for a moment ago, by tenant, place and day."""

    def __init__(self) -> None:
        self._found: dict[tuple[UUID | None, TaxPlace, date], tuple[float, Sequence[TaxRate]]] = {}

    def get(self, tenant_id: UUID | None, place: TaxPlace, on: date) -> Sequence[TaxRate] | None:
        """Give the rates, unless they are too old."""
        until, rates = self._found.get((tenant_id, place, on), (0.0, ()))
        return rates if monotonic() < until else None

    def keep(self, tenant_id: UUID | None, place: TaxPlace, on: date, rates: Sequence[TaxRate]) -> None:
        """Keep what was just read."""
        if len(self._found) >= MOST_PLACES:
            self._found.clear()
        self._found[tenant_id, place, on] = (monotonic() + RATES_SECONDS, rates)

    def forget(self, tenant_id: UUID | None) -> None:
        """Forget a tenant's rates, for they are about to change."""
        self._found = {key: kept for key, kept in self._found.items() if key[0] != tenant_id}


_KNOWN: WeakKeyDictionary[Any, KnownRates] = WeakKeyDictionary()


def _known(session: AsyncSession) -> KnownRates:
    return _KNOWN.setdefault(session.get_bind(), KnownRates())


def _values(rows: Iterable[Any]) -> list[TaxRate]:
    return [
        TaxRate(
            id=row.id,
            country=row.country,
            province=row.province,
            kind=TaxKind(row.kind),
            category=row.category,
            rate=row.rate,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
    ]


def _calendar(rows: Iterable[Any]) -> BusinessCalendar:
    return BusinessCalendar(
        PublicHoliday(
            id=row.id,
            country=row.country,
            province=row.province,
            day=row.day,
            name=row.name,
            affects_delivery=row.affects_delivery,
            affects_payout=row.affects_payout,
        )
        for row in rows
    )


def _at(place: TaxPlace, on: date) -> dict[str, Any]:
    return {"country": place.country, "province": place.province, "on": on}


@implements(TaxRates)
class SqlTaxRates:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def applicable(self, place: TaxPlace, on: date) -> Sequence[TaxRate]:
        tenant_id, known = self._session.info[TENANT], _known(self._session)
        rates = known.get(tenant_id, place, on)
        if rates is None:
            rates = rates_in_force(place, on, _values(await selected(self._session, _APPLICABLE, **_at(place, on))))
            known.keep(tenant_id, place, on, rates)
        return rates


@implements(OwnTaxRates)
class SqlOwnTaxRates:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        _known(session).forget(session.info[TENANT])

    async def lock(self, rate_id: UUID) -> OwnTaxRate | None:
        return await self._session.get(OwnTaxRate, rate_id, with_for_update=True)

    async def lock_from(self, alike: OwnTaxRate) -> Sequence[OwnTaxRate]:
        wanted = (
            select(OwnTaxRate)
            .where(
                _rate.country == alike.country,
                _rate.province.is_not_distinct_from(alike.province),
                _rate.kind == alike.kind,
                _rate.category.is_not_distinct_from(alike.category),
                func.daterange(_rate.valid_from, _rate.valid_to, "[]").bool_op("&&")(
                    func.daterange(alike.valid_from, alike.valid_to, "[]")
                ),
            )
            .order_by(_rate.valid_from)
            .with_for_update()
        )
        return (await self._session.scalars(wanted)).all()

    async def add(self, rate: OwnTaxRate) -> None:
        # The rates that gave way must have done so before the constraint sees the new one.
        await self._session.flush()
        self._session.add(rate)


@implements(TaxReads)
class SqlTaxReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def applicable(self, place: TaxPlace, on: date) -> Sequence[TaxRate]:
        return rates_in_force(place, on, _values(await self._reads.rows(_APPLICABLE, **_at(place, on))))

    async def own(self, country: str | None, page: PageRequest) -> Page[Any]:
        return await _OWN.page(self._reads, page, country=country)


@implements(Calendars)
class SqlCalendars:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def between(self, first: date, last: date) -> BusinessCalendar:
        return _calendar(await self._session.execute(_between, {"first": first, "last": last}))


@implements(CalendarReads)
class SqlCalendarReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def between(self, first: date, last: date) -> BusinessCalendar:
        return _calendar(await self._reads.rows(_BETWEEN, first=first, last=last))


@implements(Holidays)
class SqlHolidays:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, holiday_id: UUID) -> Holiday | None:
        return await self._session.get(Holiday, holiday_id, with_for_update=True)

    def add(self, added: Holiday) -> None:
        self._session.add(added)

    async def remove(self, removed: Holiday) -> None:
        await self._session.delete(removed)


@implements(AgeVerifications)
class SqlAgeVerifications:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def verified(self, user_id: UUID, minimum_age: int, on: date) -> bool:
        given = {"user_id": user_id, "minimum_age": minimum_age, "on": on}
        return bool((await self._session.execute(_verified, given)).scalar_one())

    def add(self, record: AgeVerification) -> None:
        self._session.add(record)


@implements(AgeVerificationReads)
class SqlAgeVerificationReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def verified(self, user_id: UUID, minimum_age: int, on: date) -> bool:
        row = await self._reads.row(_VERIFIED, user_id=user_id, minimum_age=minimum_age, on=on)
        return row is not None and bool(row.verified)

    async def records(self, wanted: AgeVerificationFilter, page: PageRequest) -> Page[Any]:
        return await _RECORDS.page(
            self._reads, page, user_id=wanted.user_id, order_id=wanted.order_id, passed=wanted.passed
        )
