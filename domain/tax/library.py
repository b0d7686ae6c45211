"""Rates that are known without anybody entering them: Canada's sales taxes and the value added tax of the Union."""

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache

from domain.tax.canada import CANADA
from domain.tax.europe import EUROPE
from domain.tax.places import TaxPlace
from domain.tax.rates import TaxRate, effective

BUILT_IN: dict[str, tuple[TaxRate, ...]] = {
    country: tuple(rate for rate in (*CANADA, *EUROPE) if rate.country == country)
    for country in {rate.country for rate in (*CANADA, *EUROPE)}
}


@lru_cache(maxsize=4096)
def built_in(place: TaxPlace, on: date) -> tuple[TaxRate, ...]:
    """Give the built-in rates in force at a place; none where the place is not known, as for Canada without a province."""
    return tuple(_at(BUILT_IN.get(place.country, ()), place, on))


def rates_in_force(place: TaxPlace, on: date, own: Iterable[TaxRate] = ()) -> tuple[TaxRate, ...]:
    """Give the rates that apply at a place on a day: a tenant's own before built-in ones, a province's before its country's."""
    return effective((*built_in(place, on), *_at(own, place, on)))


def _at(rates: Iterable[TaxRate], place: TaxPlace, on: date) -> Iterator[TaxRate]:
    current = [rate for rate in rates if rate.country == place.country and rate.in_force(on)]
    yield from (rate for rate in current if rate.province is None)
    yield from (rate for rate in current if rate.province is not None and rate.province == place.province)
