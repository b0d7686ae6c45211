"""Tables of rates in short: how one tax went from rate to rate."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from domain.tax.places import TaxPlace
from domain.tax.rates import TaxKind, TaxRate

ABOLISHED = "-"


def history(code: str, kind: TaxKind, steps: str, source: str, category: str | None = None) -> Iterator[TaxRate]:
    """Give the rates of a history such as `2008-01-01 5, 2013-07-01 8`: from each day on so many per cent, or `-` for none."""
    place = TaxPlace.named(code)
    dated = [step.split() for step in steps.split(",")]
    begins = [date.fromisoformat(day) for day, _ in dated]
    ends = [following - timedelta(days=1) for _, following in pairwise(begins)]
    for (_, percent), first, last in zip(dated, begins, [*ends, None], strict=True):
        if percent != ABOLISHED:
            yield TaxRate(
                country=place.country,
                province=place.province,
                kind=kind,
                category=category,
                rate=Decimal(percent) / 100,
                valid_from=first,
                valid_to=last,
                source=source,
            )
