"""Amounts of money and of goods."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Self

from babel.numbers import get_currency_precision, list_currencies

from domain.kernel import DomainError, InvalidInput


@dataclass(eq=False)
class CurrencyMismatch(DomainError):
    """Two amounts of different currencies met in one calculation."""

    expected: str
    actual: str
    template = "Amounts in {expected} and {actual} cannot be combined."


@lru_cache(maxsize=512)
def minor_digits(currency: str) -> int:
    """Give the number of decimal places of a currency.

    Raises: InvalidInput for a code that ISO 4217 does not know.
    Source: ISO 4217 as published by the Unicode CLDR.
    """
    if currency not in list_currencies():
        raise InvalidInput(field="currency", reason=f"{currency!r} is not an ISO 4217 currency code")
    return int(get_currency_precision(currency))


def decimal_text(amount_minor: int, currency: str) -> str:
    """Write an amount as an exact decimal, such as `-0.05`, without the detour of a `Decimal`."""
    digits = minor_digits(currency)
    if not digits:
        return str(amount_minor)
    text = f"{abs(amount_minor):0{digits + 1}d}"
    return f"{'-' if amount_minor < 0 else ''}{text[:-digits]}.{text[-digits:]}"


@dataclass(frozen=True, order=False, slots=True)
class Money:
    """An exact amount, in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        minor_digits(self.currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read a decimal number such as `12.50`; more decimals than the currency has are refused.

        Raises: InvalidInput.
        """
        try:
            minor = Decimal(text.strip()).scaleb(minor_digits(currency))
        except ArithmeticError as error:
            raise InvalidInput(field="amount", reason=f"{text!r} is not a decimal number") from error
        if not minor.is_finite() or minor != minor.to_integral_value():
            raise InvalidInput(field="amount", reason=f"{text!r} has more decimals than {currency} has")
        return cls(int(minor), currency)

    @property
    def decimal(self) -> Decimal:
        return Decimal(self.amount_minor).scaleb(-minor_digits(self.currency))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.amount_minor - self._same(other), self.currency)

    def __mul__(self, factor: int | Decimal) -> Self:
        exact = self.amount_minor * Decimal(factor)
        return type(self)(int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)), self.currency)

    def __neg__(self) -> Self:
        return type(self)(-self.amount_minor, self.currency)

    def __lt__(self, other: Self) -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.amount_minor <= self._same(other)

    def __gt__(self, other: Self) -> bool:
        return self.amount_minor > self._same(other)

    def __ge__(self, other: Self) -> bool:
        return self.amount_minor >= self._same(other)

    def allocate(self, weights: Sequence[int]) -> list[Self]:
        """Split into parts proportional to the weights; the parts sum to the whole.

        Source: largest-remainder method, ties to the earlier part.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise InvalidInput(field="weights", reason="at least one weight must be positive and none negative")
        shares = [divmod(self.amount_minor * weight, total) for weight in weights]
        missing = self.amount_minor - sum(whole for whole, _ in shares)
        by_remainder = sorted(range(len(weights)), key=lambda index: -shares[index][1])
        extra = set(by_remainder[:missing])
        return [type(self)(whole + (index in extra), self.currency) for index, (whole, _remainder) in enumerate(shares)]

    def _same(self, other: Self) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(expected=self.currency, actual=other.currency)
        return other.amount_minor


@dataclass(frozen=True, order=True, slots=True)
class Quantity:
    """A count of units that never falls below zero."""

    units: int

    def __post_init__(self) -> None:
        if self.units < 0:
            raise InvalidInput(field="quantity", reason="a quantity cannot be negative")

    def __add__(self, other: Self) -> Self:
        return type(self)(self.units + other.units)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.units - other.units)
