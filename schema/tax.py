"""The tax subgraph: rates, quotes, holidays, tax numbers and verified ages."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from domain import money
from domain import tax as domain
from domain.kernel import AlreadyExists
from resolvers import tax as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    command,
    computed,
    connection,
    make_subgraph,
    money_of,
    permission,
    query,
)

MANAGE = permission("tax.manage")
VERIFY = permission("tax.verify")

for _choices in (domain.TaxKind, domain.Business, domain.VerificationMethod):
    enum_of(_choices)


def _amounts(_context: Context, amounts: Sequence[money.Money]) -> list[Money]:
    return [money_of(each) for each in amounts]


def _amount(name: str, **options: Any) -> Any:
    return computed(_amounts, Money, key=name, **options)


@strawberry.type(description="What one tax takes from its first day to its last.")
class TaxRate:
    __reads__ = (domain.TaxRate, domain.OwnTaxRate)

    id: UUID | None = strawberry.field(description="Set for the tenant's own rates, empty for built-in ones.")
    country: str = strawberry.field(description="ISO 3166-1, two letters.")
    province: str | None = strawberry.field(
        description="ISO 3166-2, such as CA-ON; empty where the whole country is meant."
    )
    kind: domain.TaxKind
    category: str | None = strawberry.field(description="The goods that it is for; empty for goods of any kind.")
    rate: Decimal = strawberry.field(description="A fraction of one.")
    valid_from: date
    valid_to: date | None = strawberry.field(description="The last day.")
    source: str | None = strawberry.field(description="Where a built-in rate is published.")


@strawberry.type(description="What one tax takes at one rate.")
class TaxComponent:
    kind: domain.TaxKind
    label: str = strawberry.field(description="As an invoice names it, such as QST 9.975 %.")
    rate: Decimal = strawberry.field(description="A fraction of one.")
    taxable = _amount("taxable")
    tax = _amount("tax")


@strawberry.type(description="A line with its taxes; net and tax add up to gross.")
class TaxedLine:
    key: str
    net = _amount("net")
    tax = _amount("tax")
    gross = _amount("gross")
    components: list[TaxComponent]


@strawberry.type(description="Lines with their taxes, and the sums of these.")
class TaxQuote:
    inclusive: bool = strawberry.field(description="Whether the amounts asked about contain their taxes.")
    net = _amount("net")
    total = _amount("total", description="The tax on all lines.")
    gross = _amount("gross")
    lines: list[TaxedLine]
    components: list[TaxComponent]


@strawberry.type(description="Whether a number can be a tax number, by its form and check digits.")
class TaxNumberCheck:
    is_valid: bool
    number: str | None = strawberry.field(description="As registers write it.")
    reason: str | None = strawberry.field(description="What is wrong with it.")


@strawberry.type(description="A day on which no goods are delivered or no money is paid out.")
class Holiday:
    __reads__ = (domain.Holiday, domain.PublicHoliday)

    id: UUID | None = strawberry.field(description="Set for the tenant's own days, empty for public holidays.")
    day: date
    name: str
    country: str
    province: str | None
    affects_delivery: bool
    affects_payout: bool


@strawberry.type(description="That somebody's age was looked at.")
class AgeVerification:
    __reads__ = (domain.AgeVerification,)

    id: UUID
    user_id: UUID
    order_id: UUID | None
    minimum_age: int = strawberry.field(description="In years.")
    method: domain.VerificationMethod
    passed: bool
    verified_by: UUID | None
    verified_at: datetime
    expires_on: date | None


@strawberry.type
class Query:
    tax_rates = query(
        resolvers.tax_rates, list[TaxRate], who=PUBLIC, description="What applies at a place, today or on a day."
    )
    own_tax_rates = query(resolvers.own_tax_rates, connection(TaxRate), who=MANAGE)
    calculate_tax = query(resolvers.calculate_tax, TaxQuote, who=PUBLIC, weight=5)
    tax_number = query(resolvers.tax_number, TaxNumberCheck, who=PUBLIC)
    holidays = query(resolvers.holidays, list[Holiday], who=PUBLIC, stale_ok=True)
    next_business_day = query(
        resolvers.next_business_day,
        date,
        who=PUBLIC,
        description="The day itself, or the first business day after it.",
    )
    age_verifications = query(resolvers.age_verifications, connection(AgeVerification), who=VERIFY)
    my_age_is_verified = query(resolvers.my_age_is_verified, bool, who=AUTHENTICATED)


@strawberry.type
class Mutation:
    set_tax_rate = command(resolvers.set_tax_rate, TaxRate, errors=[domain.TaxRatesOverlap], who=MANAGE)
    end_tax_rate = command(resolvers.end_tax_rate, TaxRate, errors=[domain.TaxRatesOverlap], who=MANAGE)
    add_holiday = command(resolvers.add_holiday, Holiday, errors=[AlreadyExists], who=MANAGE)
    remove_holiday = command(resolvers.remove_holiday, Holiday, who=MANAGE)
    record_age_verification = command(
        resolvers.record_age_verification, AgeVerification, errors=[domain.OwnAgeNotVerifiable], who=VERIFY
    )


subgraph = make_subgraph(query=Query, mutation=Mutation)
