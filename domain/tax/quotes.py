"""What tax a list of amounts bears: a pure calculation, line by line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor

from domain.kernel import InvalidInput
from domain.money import Money
from domain.tax.rates import KIND_ORDER, TaxKind, TaxRate

_HALF = Fraction(1, 2)


@dataclass(frozen=True, kw_only=True)
class TaxLine:
    """An amount to be taxed, after discounts; `key` names it in the answer, `minimum_age` in years is for regulated goods."""

    key: str
    amount: Money
    category: str | None = None
    minimum_age: int | None = None


@dataclass(frozen=True, kw_only=True)
class TaxComponent:
    """What one tax takes at one rate: `taxable` is the amount before any tax."""

    kind: TaxKind
    rate: Decimal
    taxable: Money
    tax: Money

    @property
    def label(self) -> str:
        """Give the tax as an invoice names it, such as `QST 9.975 %`."""
        name = "Tax" if self.kind is TaxKind.SALES else self.kind.upper()
        return f"{name} {(self.rate * 100).normalize():f} %"


@dataclass(frozen=True, kw_only=True)
class TaxedLine:
    """A line with its taxes; `net` and `tax` add up to `gross` to the cent."""

    key: str
    net: Money
    tax: Money
    gross: Money
    components: tuple[TaxComponent, ...]


@dataclass(frozen=True, kw_only=True)
class TaxQuote:
    """All lines with their taxes; `total` is the tax on all of them, `components` sums it up by tax and rate."""

    lines: tuple[TaxedLine, ...]
    net: Money
    total: Money
    gross: Money
    components: tuple[TaxComponent, ...]
    inclusive: bool


Levy = tuple[TaxKind, Decimal]


def tax_quote(
    lines: Sequence[TaxLine], rates: Iterable[TaxRate], *, inclusive: bool, fallback: Decimal | None = None
) -> TaxQuote:
    """Work out the taxes on amounts that contain them (`inclusive`) or do not.

    Every tax of every line is rounded by itself, half away from zero, and sums are sums of rounded amounts. Of an amount
    that contains its taxes, each tax is `amount x rate / (1 + all rates)`. A line for which no rate is known bears
    `fallback`, a fraction of one.

    Raises: InvalidInput without lines, CurrencyMismatch.
    """
    if not lines:
        raise InvalidInput(field="lines", reason="there is nothing to tax")
    known = tuple(rates)
    levies = {category: _levies(known, category, fallback) for category in {line.category for line in lines}}
    taxed = tuple(_taxed(line, levies[line.category], inclusive) for line in lines)
    nothing = Money(0, lines[0].amount.currency)
    net, total = sum((line.net for line in taxed), nothing), sum((line.tax for line in taxed), nothing)
    return TaxQuote(
        lines=taxed, net=net, total=total, gross=net + total, components=_summed(taxed), inclusive=inclusive
    )


def _levies(rates: Sequence[TaxRate], category: str | None, fallback: Decimal | None) -> list[Levy]:
    """Give each tax with its rate for a category: the category's own rate, or else the one for goods of any kind."""
    standard = {rate.kind: rate.rate for rate in rates if rate.category is None}
    special = {rate.kind: rate.rate for rate in rates if rate.category == category}
    chosen = standard | special
    if not chosen and fallback is not None:
        return [(TaxKind.SALES, fallback)]
    return sorted(chosen.items(), key=lambda levy: KIND_ORDER[levy[0]])


def _taxed(line: TaxLine, levies: Sequence[Levy], inclusive: bool) -> TaxedLine:
    amount = line.amount
    whole = 1 + sum((rate for _, rate in levies), Decimal(0)) if inclusive else Decimal(1)
    taxes = [(kind, rate, Money(_portion(amount.amount_minor, rate, whole), amount.currency)) for kind, rate in levies]
    tax = sum((each for _, _, each in taxes), Money(0, amount.currency))
    net = amount - tax if inclusive else amount
    components = tuple(TaxComponent(kind=kind, rate=rate, taxable=net, tax=each) for kind, rate, each in taxes)
    return TaxedLine(key=line.key, net=net, tax=tax, gross=net + tax, components=components)


def _portion(amount_minor: int, rate: Decimal, whole: Decimal) -> int:
    """Round `amount x rate / whole` half away from zero; fractions, for a tie must not get lost in a quotient's digits."""
    exact = Fraction(amount_minor) * Fraction(rate) / Fraction(whole)
    rounded = floor(abs(exact) + _HALF)
    return rounded if exact >= 0 else -rounded


def _summed(lines: Iterable[TaxedLine]) -> tuple[TaxComponent, ...]:
    sums: dict[Levy, TaxComponent] = {}
    for part in (part for line in lines for part in line.components):
        levy = (part.kind, part.rate)
        before = sums.get(levy)
        sums[levy] = part if before is None else _joined(before, part)
    return tuple(sorted(sums.values(), key=lambda part: (KIND_ORDER[part.kind], -part.rate)))


def _joined(one: TaxComponent, other: TaxComponent) -> TaxComponent:
    return TaxComponent(kind=one.kind, rate=one.rate, taxable=one.taxable + other.taxable, tax=one.tax + other.tax)
