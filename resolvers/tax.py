"""Verbs of tax."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain import tax
from domain.kernel import InvalidInput
from domain.paging import Page, PageRequest
from domain.tax import (
    AgeVerificationFilter,
    AgeVerificationReads,
    Business,
    CalendarReads,
    PublicHoliday,
    TaxLine,
    TaxNumberCheck,
    TaxPlace,
    TaxQuote,
    TaxRate,
    TaxReads,
)
from domain.tax.calendars import SEARCHED_DAYS, check_year
from resolvers.kernel import Context, transacts

MAX_LINES = 500

set_tax_rate = transacts(tax.set_tax_rate)
end_tax_rate = transacts(tax.end_tax_rate)
add_holiday = transacts(tax.add_holiday)
remove_holiday = transacts(tax.remove_holiday)
record_age_verification = transacts(tax.record_age_verification)


async def tax_rates(
    context: Context, country: str, province: str | None = None, day: date | None = None
) -> Sequence[TaxRate]:
    place = TaxPlace.of(country, province)
    return await context.read(TaxReads).applicable(place, day or context.now().date())


async def own_tax_rates(context: Context, page: PageRequest, country: str | None = None) -> Page[Any]:
    return await context.read(TaxReads).own(country, page)


async def calculate_tax(
    context: Context,
    lines: tuple[TaxLine, ...],
    country: str,
    province: str | None = None,
    day: date | None = None,
    inclusive: bool = False,
    fallback: Decimal | None = None,
) -> TaxQuote:
    if len(lines) > MAX_LINES:
        raise InvalidInput(field="lines", reason=f"at most {MAX_LINES} are taxed at once")
    otherwise = None if fallback is None else tax.checked_rate(fallback, "fallback")
    rates = await tax_rates(context, country, province, day)
    return tax.tax_quote(lines, rates, inclusive=inclusive, fallback=otherwise)


async def tax_number(context: Context, country: str, number: str) -> TaxNumberCheck:  # noqa: ARG001 — a resolver's signature.
    return tax.tax_number_check(country, number)


async def holidays(context: Context, province: str, year: int) -> Sequence[PublicHoliday]:
    place = TaxPlace.named(province)
    check_year("year", year)
    calendar = await context.read(CalendarReads).between(date(year, 1, 1), date(year, 12, 31))
    return calendar.year(place, year)


async def next_business_day(context: Context, province: str, day: date, business: Business = Business.PAYOUT) -> date:
    check_year("day", day.year)
    last = date.fromordinal(day.toordinal() + SEARCHED_DAYS)
    calendar = await context.read(CalendarReads).between(day, last)
    return calendar.next_business_day(province, day, business)


async def age_verifications(
    context: Context,
    page: PageRequest,
    user_id: UUID | None = None,
    order_id: UUID | None = None,
    passed: bool | None = None,
) -> Page[Any]:
    wanted = AgeVerificationFilter(user_id=user_id, order_id=order_id, passed=passed)
    return await context.read(AgeVerificationReads).records(wanted, page)


async def my_age_is_verified(context: Context, minimum_age: int) -> bool:
    user_id = context.principal.require_user()
    return await context.read(AgeVerificationReads).verified(user_id, minimum_age, context.now().date())
