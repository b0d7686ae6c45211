"""Tax rates: which tax a place levies from when until when, and a tenant's own word on it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, Self
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event
from domain.paging import Page, PageRequest
from domain.tax.places import TaxPlace

RATE_DECIMALS = 6
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,39}")


class TaxKind(StrEnum):
    """A tax on sales, in the order in which invoices name them."""

    GST = "gst"
    HST = "hst"
    PST = "pst"
    QST = "qst"
    VAT = "vat"
    SALES = "sales"


KIND_ORDER = {kind: position for position, kind in enumerate(TaxKind)}
# A harmonised tax stands in the place of the federal and the provincial one.
_WITHIN_HST = frozenset({TaxKind.GST, TaxKind.PST, TaxKind.QST})


@dataclass(eq=False)
class TaxRatesOverlap(DomainError):
    """Two rates of the same tax would be in force on one day."""

    kind: str
    place: str
    template = "Another rate of {kind} is in force in {place} on some of these days."


@event("tax.rate_changed")
@dataclass(frozen=True, kw_only=True)
class TaxRateChanged(Event):
    country: str
    province: str | None
    kind: str
    category: str | None
    rate: Decimal
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, kw_only=True)
class TaxRate:
    """What one tax takes, as a fraction of one; both days are the first and the last on which it is in force.

    A rate of a category is for goods of that category, instead of the one without; `source` says where it is published.
    """

    country: str
    kind: TaxKind
    rate: Decimal
    valid_from: date
    province: str | None = None
    category: str | None = None
    valid_to: date | None = None
    id: UUID | None = None
    source: str | None = None

    def in_force(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


def effective(candidates: Iterable[TaxRate]) -> tuple[TaxRate, ...]:
    """Give the rates that apply among those in force at one place: of one tax and category, the last candidate wins."""
    chosen = {(rate.kind, rate.category): rate for rate in candidates}
    if any(kind is TaxKind.HST for kind, _ in chosen):
        chosen = {key: rate for key, rate in chosen.items() if key[0] not in _WITHIN_HST}
    return tuple(sorted(chosen.values(), key=lambda rate: (KIND_ORDER[rate.kind], rate.category or "")))


@dataclass(eq=False, kw_only=True)
class OwnTaxRate(Aggregate):
    """A rate that a tenant sets itself; for its days it stands in the place of the built-in one."""

    country: str
    province: str | None
    kind: TaxKind
    category: str | None
    rate: Decimal
    valid_from: date
    valid_to: date | None = None

    source = None

    @classmethod
    def set(cls, command: "SetTaxRate", work: Work) -> Self:
        """Make a rate.

        Raises: InvalidInput.
        """
        _check_days(command.valid_from, command.valid_to)
        place = TaxPlace(command.country, command.province)
        own = cls(
            tenant_id=work.tenant_id,
            country=place.country,
            province=place.province,
            kind=command.kind,
            category=_checked_category(command.category),
            rate=checked_rate(command.rate),
            valid_from=command.valid_from,
            valid_to=command.valid_to,
        )
        own._changed()
        return own

    def change(self, rate: Decimal, valid_to: date | None) -> None:
        """Say another rate from the same first day on.

        Raises: InvalidInput.
        """
        _check_days(self.valid_from, valid_to)
        self.rate, self.valid_to = checked_rate(rate), valid_to
        self._changed()

    def end(self, last_day: date) -> None:
        """Let it be in force no longer than that day.

        Raises: InvalidInput.
        """
        _check_days(self.valid_from, last_day)
        self.valid_to = last_day
        self._changed()

    def make_way(self, first_day: date) -> None:
        """End the day before another rate begins; a rate that has an end of its own does not give way.

        Raises: TaxRatesOverlap.
        """
        if self.valid_to is not None or self.valid_from >= first_day:
            raise self.overlap()
        self.end(first_day - timedelta(days=1))

    def overlap(self) -> TaxRatesOverlap:
        return TaxRatesOverlap(kind=self.kind.upper(), place=self.province or self.country)

    def _changed(self) -> None:
        self.record(
            TaxRateChanged(
                country=self.country,
                province=self.province,
                kind=self.kind,
                category=self.category,
                rate=self.rate,
                valid_from=self.valid_from,
                valid_to=self.valid_to,
            )
        )


def checked_rate(rate: Decimal, field: str = "rate") -> Decimal:
    """Give a rate that is a fraction of one with at most 6 decimals.

    Raises: InvalidInput.
    """
    if not rate.is_finite() or not 0 <= rate <= 1 or rate != round(rate, RATE_DECIMALS):
        raise InvalidInput(
            field=field, reason=f"it is a fraction of one with at most {RATE_DECIMALS} decimals, such as 0.13 for 13 %"
        )
    return rate.normalize()


def _checked_category(category: str | None) -> str | None:
    if category is not None and not _CATEGORY.fullmatch(category):
        raise InvalidInput(field="category", reason="it is made of up to 40 lower-case letters, digits and underscores")
    return category


def _check_days(first: date, last: date | None) -> None:
    if last is not None and last < first:
        raise InvalidInput(field="validTo", reason="a rate cannot end before it begins")


class TaxRates(Protocol):
    """Rates for whoever works out a tax within a change."""

    async def applicable(self, place: TaxPlace, on: date) -> Sequence[TaxRate]:
        """Give what is in force, in one statement: the tenant's own rates, and the built-in ones that they leave."""
        ...


class OwnTaxRates(Protocol):
    """A tenant's own rates, for change."""

    async def lock(self, rate_id: UUID) -> OwnTaxRate | None: ...

    async def lock_from(self, alike: OwnTaxRate) -> Sequence[OwnTaxRate]:
        """Lock those of the same tax, place and category that are in force on any of its days, by first day."""
        ...

    async def add(self, rate: OwnTaxRate) -> None:
        """Add it after everything that was changed to make room for it."""
        ...


class TaxReads(Protocol):
    """Rates as reads."""

    async def applicable(self, place: TaxPlace, on: date) -> Sequence[TaxRate]: ...

    async def own(self, country: str | None, page: PageRequest) -> Page[Any]: ...


@dataclass(frozen=True, kw_only=True)
class SetTaxRate:
    """Set a rate of the tenant's own from a day on; one without an end that is in force then ends the day before."""

    country: str
    kind: TaxKind
    rate: Decimal
    valid_from: date
    province: str | None = None
    category: str | None = None
    valid_to: date | None = None


@dataclass(frozen=True, kw_only=True)
class EndTaxRate:
    """Let one of the tenant's own rates end; the built-in one, if there is one, is in force from the day after."""

    id: UUID
    last_day: date
    expected_version: int | None = None


async def set_tax_rate(command: SetTaxRate, work: Work, rates: OwnTaxRates) -> OwnTaxRate:
    """Give the rate that is now in force.

    Raises: InvalidInput, TaxRatesOverlap.
    """
    own = OwnTaxRate.set(command, work)
    earlier = await rates.lock_from(own)
    if len(earlier) == 1 and earlier[0].valid_from == own.valid_from:
        earlier[0].change(command.rate, command.valid_to)
        return earlier[0]
    for each in earlier:
        each.make_way(own.valid_from)
    await rates.add(own)
    return own


async def end_tax_rate(command: EndTaxRate, rates: OwnTaxRates) -> OwnTaxRate:
    found = await rates.lock(command.id)
    if found is None:
        raise NotFound(kind="TaxRate", id=str(command.id))
    found.expect_version(command.expected_version)
    found.end(command.last_day)
    return found
