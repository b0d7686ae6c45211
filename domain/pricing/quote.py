"""Quotes: what is asked, what must be known to answer, and an answer that explains every line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import InvalidInput
from domain.money import Money, minor_digits
from domain.pricing.allowances import Use
from domain.pricing.terms import (
    CodeTerms,
    DiscountKind,
    PriceListKind,
    PromotionKind,
    PromotionTerms,
    RuleKind,
    RuleTerms,
)

MAX_LINES = 500
MAX_QUANTITY = 1_000_000
MAX_CODES = 5
MAX_PRICE_MINOR = 10**13


class StepKind(StrEnum):
    """Where a part of a line's price comes from."""

    BASE = "base"
    EXCHANGE = "exchange"
    REGIONAL = "regional"
    DYNAMIC = "dynamic"
    VOLUME = "volume"
    TIER = "tier"
    CUSTOMER = "customer"
    FLASH_SALE = "flash_sale"
    OVERRIDE = "override"
    PROMOTION = "promotion"
    CODE = "code"
    POINTS = "points"


@dataclass(frozen=True, kw_only=True)
class QuoteLine:
    """Units of one SKU at the catalogue's price; `key` is unique in a request, such as the id of a cart's line."""

    key: str
    sku: str
    product_id: UUID
    variant_id: UUID | None = None
    category_id: UUID | None = None
    brand: str = ""
    seller_id: UUID | None = None
    store_id: UUID | None = None
    quantity: int
    base: Money


@dataclass(frozen=True, kw_only=True)
class QuoteRequest:
    """Lines, codes and points of one buyer; `region` is an ISO 3166-2 code or a country, `at` the instant of the prices."""

    lines: tuple[QuoteLine, ...]
    codes: tuple[str, ...] = ()
    customer_id: UUID | None = None
    tier: str | None = None
    region: str | None = None
    currency: str
    at: datetime
    points: int = 0

    def check(self) -> None:
        """Refuse what nobody could mean.

        Raises: InvalidInput.
        """
        minor_digits(self.currency)
        if len(self.lines) > MAX_LINES or len({line.key for line in self.lines}) < len(self.lines):
            raise InvalidInput(field="lines", reason=f"there are at most {MAX_LINES}, each with a key of its own")
        if len(self.codes) > MAX_CODES:
            raise InvalidInput(field="codes", reason=f"there are at most {MAX_CODES}")
        if self.points < 0:
            raise InvalidInput(field="points", reason="it is not negative")
        for line in self.lines:
            if not 1 <= line.quantity <= MAX_QUANTITY:
                raise InvalidInput(field="quantity", reason=f"it lies between 1 and {MAX_QUANTITY:,}")
            if not 0 <= line.base.amount_minor <= MAX_PRICE_MINOR:
                raise InvalidInput(field="base", reason=f"it lies between 0 and {MAX_PRICE_MINOR:,}")


@dataclass(frozen=True, kw_only=True)
class ListedPrice:
    """The price of a SKU in a price list that is in force, from `min_quantity` units of a line on."""

    list_id: UUID
    name: str
    kind: PriceListKind
    seller_id: UUID | None = None
    store_id: UUID | None = None
    customer_id: UUID | None = None
    tier: str | None = None
    region: str | None = None
    priority: int = 100
    sku: str
    min_quantity: int = 1
    price: Money


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is left of something: in all (None: no limit), and how much of a customer's share is taken."""

    remaining: int | None = None
    per_customer: int | None = None
    taken: int = 0

    @property
    def free(self) -> int | None:
        """The most that this customer may still take; None where nothing limits it."""
        own = None if self.per_customer is None else max(self.per_customer - self.taken, 0)
        return min((each for each in (self.remaining, own) if each is not None), default=None)

    def allows(self, quantity: int) -> bool:
        return self.free is None or quantity <= self.free


UNLIMITED = Limits()


@dataclass(frozen=True, kw_only=True)
class FlashOffer:
    """A SKU's price in a flash sale that is on."""

    id: UUID
    sale_id: UUID
    name: str
    seller_id: UUID | None = None
    sku: str
    price: Money
    limits: Limits = UNLIMITED


@dataclass(frozen=True, kw_only=True)
class ActiveRule:
    """A rule that is in force; the lowest priority number comes first."""

    id: UUID
    name: str
    kind: RuleKind
    seller_id: UUID | None = None
    priority: int = 100
    terms: RuleTerms


@dataclass(frozen=True, kw_only=True)
class ActivePromotion:
    """A promotion that is on; the lowest priority number comes first."""

    id: UUID
    name: str
    kind: PromotionKind
    seller_id: UUID | None = None
    priority: int = 100
    terms: PromotionTerms
    limits: Limits = UNLIMITED


@dataclass(frozen=True, kw_only=True)
class ActiveCode:
    """A discount code that is valid at the instant of the quote."""

    id: UUID
    code: str
    kind: DiscountKind
    seller_id: UUID | None = None
    terms: CodeTerms
    limits: Limits = UNLIMITED


@dataclass(frozen=True, kw_only=True)
class PointsPurse:
    """A customer's points, and what one of them is worth, in minor units of a currency."""

    program_id: UUID
    balance: int
    tier: str | None
    point_value: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a quote needs to know beside the request; nothing known means the catalogue's prices.

    `rates` gives units of the request's currency for one unit of another.
    """

    prices: Sequence[ListedPrice] = ()
    flash: Sequence[FlashOffer] = ()
    rules: Sequence[ActiveRule] = ()
    promotions: Sequence[ActivePromotion] = ()
    codes: Sequence[ActiveCode] = ()
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    purse: PointsPurse | None = None


class PriceFacts(Protocol):
    """Gathers the facts of a request, in one statement."""

    async def gather(self, request: QuoteRequest) -> Facts: ...


class PriceFactsReads(PriceFacts, Protocol):
    """The same from the snapshot of a query."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a line's price and where it comes from; the steps of a line add up to its net amount."""

    kind: StepKind
    source_id: UUID | None
    label: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class PricedLine:
    """A line with its price: gross is unit by quantity, net is gross less discount."""

    key: str
    sku: str
    quantity: int
    unit: Money
    gross: Money
    discount: Money
    net: Money
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class PriceQuote:
    """Priced lines, their sums, and what the quote uses up once it becomes an order."""

    lines: tuple[PricedLine, ...]
    subtotal: Money
    discount: Money
    total: Money
    uses: tuple[Use, ...] = ()
