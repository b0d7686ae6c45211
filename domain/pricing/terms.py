"""Terms of prices and discounts, as sellers state them: for which lines, for whom, and how much."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.kernel import InvalidInput

HUNDRED = Decimal(100)
MAX_MARKUP_PERCENT = Decimal(1_000)
MAX_AMOUNT_MINOR = 10**15
LONGEST_LIST = 500


class RuleKind(StrEnum):
    """How a rule changes a price: `tiered` looks at the units of one line, `volume` at those of all lines it is for."""

    MARKUP = "markup"
    DISCOUNT = "discount"
    TIERED = "tiered"
    VOLUME = "volume"


class PromotionKind(StrEnum):
    """What a promotion gives."""

    PERCENTAGE = "percentage"
    FIXED = "fixed"
    BOGO = "bogo"
    BUNDLE = "bundle"


class DiscountKind(StrEnum):
    """What a code takes off: a part, or an amount."""

    PERCENTAGE = "percentage"
    FIXED = "fixed"


class PriceListKind(StrEnum):
    """Whom the prices of a list are for; the order is that of precedence, flash sales following upon overrides."""

    OVERRIDE = "override"
    CUSTOMER = "customer"
    TIER = "tier"
    VOLUME = "volume"
    REGIONAL = "regional"


@dataclass(frozen=True, kw_only=True)
class PriceConditions:
    """Which lines are meant, and for whom; what is left out does not matter. Hours are those of UTC, weekdays 1 to 7."""

    skus: tuple[str, ...] = ()
    product_ids: tuple[UUID, ...] = ()
    category_ids: tuple[UUID, ...] = ()
    brands: tuple[str, ...] = ()
    store_ids: tuple[UUID, ...] = ()
    regions: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    customer_ids: tuple[UUID, ...] = ()
    min_quantity: int = 1
    weekdays: tuple[int, ...] = ()
    from_hour: int = 0
    until_hour: int = 24

    def check(self) -> None:
        """Refuse what can never hold.

        Raises: InvalidInput.
        """
        for name, value in vars(self).items():
            if isinstance(value, tuple) and len(value) > LONGEST_LIST:
                raise InvalidInput(field=name, reason=f"it has at most {LONGEST_LIST} entries")
        if self.min_quantity < 1:
            raise InvalidInput(field="minQuantity", reason="it is at least 1")
        if not 0 <= self.from_hour < self.until_hour <= 24:
            raise InvalidInput(field="fromHour", reason="hours run from 0 to 24, and the first is before the last")
        if not set(self.weekdays) <= set(range(1, 8)):
            raise InvalidInput(field="weekdays", reason="they are 1 for Monday to 7 for Sunday")


EVERYTHING = PriceConditions()


@dataclass(frozen=True, kw_only=True)
class QuantityStep:
    """From so many units on, so many percent less."""

    min_quantity: int
    percent: Decimal


@dataclass(frozen=True, kw_only=True)
class RuleTerms:
    """What a rule does to a price: percent or an amount each unit; the result stays between floor and ceiling."""

    conditions: PriceConditions = EVERYTHING
    percent: Decimal | None = None
    amount_minor: int | None = None
    currency: str | None = None
    steps: tuple[QuantityStep, ...] = ()
    floor_minor: int | None = None
    ceiling_minor: int | None = None


@dataclass(frozen=True, kw_only=True)
class BundleItem:
    """So many units of a SKU in a bundle."""

    sku: str
    quantity: int = 1


@dataclass(frozen=True, kw_only=True)
class PromotionTerms:
    """What a promotion gives: percent off, an amount off, `get` units at `percent` off for `buy` bought, or a bundle price.

    Amounts are in minor units of `currency`; a promotion with a currency is for quotes in that currency only.
    """

    conditions: PriceConditions = EVERYTHING
    percent: Decimal | None = None
    amount_minor: int | None = None
    currency: str | None = None
    minimum_purchase_minor: int = 0
    buy: int = 1
    get: int = 1
    items: tuple[BundleItem, ...] = ()
    stackable: bool = False


@dataclass(frozen=True, kw_only=True)
class CodeTerms:
    """What a code gives: percent off (at most `maximum_minor`), or an amount off; amounts in minor units of `currency`."""

    conditions: PriceConditions = EVERYTHING
    percent: Decimal | None = None
    amount_minor: int | None = None
    currency: str | None = None
    minimum_purchase_minor: int = 0
    maximum_minor: int | None = None
    combinable: bool = False
    members_only: bool = False


def check_rule(kind: RuleKind, terms: RuleTerms) -> None:
    """Refuse terms that are not a rule of that kind.

    Raises: InvalidInput.
    """
    terms.conditions.check()
    if kind in {RuleKind.TIERED, RuleKind.VOLUME}:
        _check_steps(terms.steps)
    elif (terms.percent is None) == (terms.amount_minor is None):
        raise InvalidInput(field="terms", reason="a markup or discount is either a percentage or an amount")
    if terms.percent is not None:
        check_percent(terms.percent, MAX_MARKUP_PERCENT if kind is RuleKind.MARKUP else HUNDRED)
    check_amounts(terms.currency, terms.amount_minor, terms.floor_minor, terms.ceiling_minor)
    if terms.floor_minor is not None and terms.ceiling_minor is not None and terms.floor_minor > terms.ceiling_minor:
        raise InvalidInput(field="floorMinor", reason="the floor is not above the ceiling")


def check_promotion(kind: PromotionKind, terms: PromotionTerms) -> None:
    """Refuse terms that are not a promotion of that kind.

    Raises: InvalidInput.
    """
    terms.conditions.check()
    if kind is PromotionKind.PERCENTAGE and terms.percent is None:
        raise InvalidInput(field="percent", reason="a percentage promotion needs one")
    if kind in {PromotionKind.FIXED, PromotionKind.BUNDLE} and terms.amount_minor is None:
        raise InvalidInput(field="amountMinor", reason=f"a {kind} promotion needs one")
    if kind is PromotionKind.BUNDLE:
        _check_bundle(terms.items)
    if kind is PromotionKind.BOGO and not (1 <= terms.buy <= 1_000 and 1 <= terms.get <= 1_000):
        raise InvalidInput(field="buy", reason="buy and get lie between 1 and 1,000")
    if terms.percent is not None:
        check_percent(terms.percent, HUNDRED)
    check_amounts(terms.currency, terms.amount_minor, terms.minimum_purchase_minor or None)


def check_code(kind: DiscountKind, terms: CodeTerms) -> None:
    """Refuse terms that are not a code of that kind.

    Raises: InvalidInput.
    """
    terms.conditions.check()
    if kind is DiscountKind.PERCENTAGE:
        if terms.percent is None or terms.amount_minor is not None:
            raise InvalidInput(field="percent", reason="a percentage code has one, and no amount")
        check_percent(terms.percent, HUNDRED)
    elif not terms.amount_minor or terms.percent is not None:
        raise InvalidInput(field="amountMinor", reason="a fixed code has one above zero, and no percentage")
    check_amounts(terms.currency, terms.amount_minor, terms.minimum_purchase_minor or None, terms.maximum_minor)


def check_percent(percent: Decimal, most: Decimal) -> None:
    """Refuse a percentage that is none, or of more than four decimals.

    Raises: InvalidInput.
    """
    if not (percent.is_finite() and 0 < percent <= most) or percent != percent.quantize(Decimal("0.0001")):
        raise InvalidInput(field="percent", reason=f"it lies above 0 and up to {most}, with at most four decimals")


def check_amounts(currency: str | None, *amounts: int | None) -> None:
    """Refuse amounts that are negative, huge, or in no currency.

    Raises: InvalidInput.
    """
    given = [amount for amount in amounts if amount is not None]
    if any(not 0 <= amount <= MAX_AMOUNT_MINOR for amount in given):
        raise InvalidInput(field="amountMinor", reason=f"it lies between 0 and {MAX_AMOUNT_MINOR:,}")
    if given and currency is None:
        raise InvalidInput(field="currency", reason="an amount needs its currency")


def check_window(starts_at: datetime, ends_at: datetime | None) -> None:
    """Refuse an end that is not after the start.

    Raises: InvalidInput.
    """
    if ends_at is not None and ends_at <= starts_at:
        raise InvalidInput(field="endsAt", reason="it ends after it starts")


def check_limits(**limits: int | None) -> None:
    """Refuse limits below one.

    Raises: InvalidInput.
    """
    for name, value in limits.items():
        if value is not None and not 1 <= value <= 2_000_000_000:
            raise InvalidInput(field=name, reason="it lies between 1 and 2,000,000,000")


def clean_name(name: str) -> str:
    """Give a name without needless blanks.

    Raises: InvalidInput.
    """
    cleaned = " ".join(name.split())
    if not 0 < len(cleaned) <= 200 or "\x00" in cleaned:
        raise InvalidInput(field="name", reason="it has between 1 and 200 letters")
    return cleaned


def _check_steps(steps: Iterable[QuantityStep]) -> None:
    starts = [step.min_quantity for step in steps]
    if not starts or starts != sorted(set(starts)) or starts[0] < 1:
        raise InvalidInput(field="steps", reason="there is at least one, each from more units on than the one before")
    for step in steps:
        check_percent(step.percent, HUNDRED)


def _check_bundle(items: tuple[BundleItem, ...]) -> None:
    skus = {item.sku for item in items}
    if not items or len(skus) < len(items) or any(not 1 <= item.quantity <= 1_000 for item in items):
        raise InvalidInput(field="items", reason="a bundle has one or more SKUs, each once, 1 to 1,000 units each")
