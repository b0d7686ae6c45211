"""The pricing subgraph: quotes that explain themselves, price lists, rules, promotions, codes, flash sales and loyalty."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from domain import pricing as domain
from domain.codec import to_json
from domain.kernel import AlreadyExists, InvalidStateTransition
from domain.money import CurrencyMismatch
from domain.money import Money as Amount
from domain.pricing import InsufficientPoints
from resolvers import pricing as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Money,
    Node,
    bulk,
    command,
    computed,
    connection,
    depending,
    make_subgraph,
    money,
    money_of,
    permission,
    query,
    subscription,
)
from schema.scalars import JSON, BigInt

READ = permission("pricing.read")
WRITE = permission("pricing.write")
WRITE_ANY = permission("pricing.write.any")
LOYALTY = permission("pricing.loyalty")

for _choices in (
    domain.CampaignState,
    domain.CodeState,
    domain.DiscountKind,
    domain.PointsKind,
    domain.PriceListKind,
    domain.PromotionKind,
    domain.RuleKind,
    domain.StepKind,
    domain.UseKind,
):
    enum_of(_choices)


def _moneys(_context: Context, amounts: Sequence[Amount]) -> list[Money]:
    return [money_of(amount) for amount in amounts]


def _amount(name: str, **options: Any) -> Any:
    return computed(_moneys, Money, key=name, **options)


def _pairs(_context: Context, amounts: Sequence[tuple[int | None, str]]) -> list[Money | None]:
    return [None if minor is None else money(minor, currency) for minor, currency in amounts]


def _minor(column: str, returns: Any = Money, **options: Any) -> Any:
    return computed(_pairs, returns, key=(column, "currency"), **options)


def _json(name: str, **options: Any) -> Any:
    """Show terms as they are kept; aggregates hold them as values, rows as JSON."""
    return computed(lambda held, _context: to_json(getattr(held, name)), JSON, **options)


@strawberry.type(description="A part of a line's price, and where it comes from; the steps add up to the net amount.")
class QuoteStep:
    __reads__ = (domain.Step,)

    kind: domain.StepKind
    source_id: UUID | None
    label: str
    amount = _amount("amount")


@strawberry.type(description="Units of a SKU with their price, explained.")
class QuotedLine:
    __reads__ = (domain.PricedLine,)

    sku: str
    quantity: int
    unit = _amount("unit")
    gross = _amount("gross", description="Unit by quantity.")
    discount = _amount("discount")
    net = _amount("net", description="Gross less discount.")
    steps: list[QuoteStep]


@strawberry.type(description="What goods cost together, and why; the nets of the lines add up to the total.")
class PriceQuote:
    __reads__ = (domain.PriceQuote,)

    lines: list[QuotedLine]
    subtotal = _amount("subtotal")
    discount = _amount("discount")
    total = _amount("total")


@strawberry.type(description="Whether a code can be used for some goods.")
class DiscountCodeVerdict:
    __reads__ = (resolvers.CodeVerdict,)

    valid = computed(lambda verdict, _context: verdict.refusal is None, bool)
    discount = computed(
        lambda verdict, _context: verdict.discount and money_of(verdict.discount),
        Money | None,
        description="What it takes off.",
    )
    refusal = computed(
        lambda verdict, _context: verdict.refusal and verdict.refusal.code,
        str | None,
        description="The code of the error that using it would give.",
    )
    message = computed(lambda verdict, _context: verdict.refusal and verdict.refusal.message, str | None)


@strawberry.type(description="How often something was used, and what it took off.")
class DiscountUsage:
    uses: int = strawberry.field(description="Orders.")
    units: BigInt = strawberry.field(description="Uses, or units of a flash sale.")
    customers: int
    discount = _minor("amount_minor")


@strawberry.federation.type(keys=["id"], description="A discount that applies by itself while it is on.")
class Promotion(Node):
    __references__ = {"id": resolvers.promotions_by_id}
    __reads__ = (domain.Promotion,)

    id: UUID
    version: int
    seller_id: UUID | None = strawberry.field(description="Whose goods it is for; null: everybody's.")
    name: str
    description: str | None
    kind: domain.PromotionKind
    priority: int = strawberry.field(description="The lowest number comes first.")
    terms = _json("terms")
    starts_at: datetime
    ends_at: datetime | None
    state: domain.CampaignState
    usage_limit: int | None
    per_customer: int | None
    usage: DiscountUsage | None = bulk(resolvers.usage_of, key="id", who=READ)


@strawberry.federation.type(keys=["id"], description="A code that takes something off for whoever types it in.")
class DiscountCode(Node):
    __references__ = {"id": resolvers.codes_by_id}
    __reads__ = (domain.DiscountCode,)

    id: UUID
    version: int
    seller_id: UUID | None
    code: str
    description: str | None
    kind: domain.DiscountKind
    terms = _json("terms")
    starts_at: datetime
    ends_at: datetime | None
    state: domain.CodeState
    usage_limit: int | None
    per_customer: int | None = strawberry.field(
        description="How often one customer can use it; guests are not counted."
    )
    usage: DiscountUsage | None = bulk(resolvers.usage_of, key="id", who=READ)


@strawberry.type(description="A SKU of a flash sale.")
class FlashSaleItem:
    id: UUID
    sku: str
    price = _minor("price_minor")
    stock_limit: int
    sold: int


@strawberry.federation.type(keys=["id"], description="Low prices for a short time and a limited number of units.")
class FlashSale(Node):
    __references__ = {"id": resolvers.flash_sales_by_id}
    __reads__ = (domain.FlashSale,)

    id: UUID
    version: int
    seller_id: UUID | None
    live_session_id: UUID | None
    name: str
    starts_at: datetime
    ends_at: datetime
    state: domain.CampaignState
    per_customer: int | None
    items: list[FlashSaleItem] = bulk(resolvers.items_of_flash_sales, key="id", who=PUBLIC)


@strawberry.federation.type(keys=["id"], description="A rule that changes unit prices; the first that fits applies.")
class PricingRule(Node):
    __references__ = {"id": resolvers.rules_by_id}
    __reads__ = (domain.PricingRule,)

    id: UUID
    version: int
    seller_id: UUID | None
    name: str
    kind: domain.RuleKind
    priority: int
    terms = _json("terms")
    starts_at: datetime
    ends_at: datetime | None
    is_active: bool


@strawberry.type(description="The price of a SKU in a list, from a quantity on.")
class PriceListEntry:
    sku: str
    min_quantity: int
    price = _minor("price_minor")


@strawberry.federation.type(keys=["id"], description="Other prices than the catalogue's, for an audience.")
class PriceList(Node):
    __references__ = {"id": resolvers.price_lists_by_id}
    __reads__ = (domain.PriceList,)

    id: UUID
    version: int
    seller_id: UUID | None
    name: str
    kind: domain.PriceListKind
    store_id: UUID | None
    customer_id: UUID | None
    tier: str | None
    region: str | None
    currency: str
    priority: int
    starts_at: datetime
    ends_at: datetime | None
    is_active: bool
    prices: connection(PriceListEntry) = bulk(resolvers.prices_of_lists, key="id", who=READ)  # type: ignore[valid-type]


@strawberry.type(description="A price that was changed.")
class PriceHistoryEntry:
    sku: str
    min_quantity: int
    source: str = strawberry.field(description="The kind of the price list, or flash_sale.")
    source_id: UUID
    old_price = _minor("old_minor", Money | None)
    new_price = _minor("new_minor", Money | None)
    reason: str | None
    changed_by: UUID | None
    changed_at: datetime


@strawberry.type(description="Units of one currency for a unit of another.")
class ExchangeRate:
    __reads__ = (domain.ExchangeRate,)

    source: str
    target: str
    rate: Decimal
    valid_from: datetime


@strawberry.type(description="How points come, and what they are worth.")
class LoyaltyProgram:
    __reads__ = (domain.LoyaltyProgram,)

    id: UUID
    name: str
    currency: str
    earn_rate: Decimal = strawberry.field(description="Points for a unit of currency.")
    point_value: Decimal = strawberry.field(description="Minor units of currency for a point.")
    tiers = _json("tiers")
    is_active: bool


@strawberry.type(description="A line of the points ledger.")
class LoyaltyTransaction:
    id: UUID
    kind: domain.PointsKind
    points: int
    balance_after: int
    order_id: UUID | None
    reason: str | None
    performed_at: datetime


@strawberry.type(description="A customer's points.")
class LoyaltyAccount:
    __reads__ = (domain.LoyaltyAccount,)

    user_id: UUID
    points: int
    lifetime_points: int = strawberry.field(description="What was earned and not revoked; it makes the tier.")
    tier: str | None
    transactions: connection(LoyaltyTransaction) = bulk(  # type: ignore[valid-type]
        resolvers.entries_of_accounts, key="user_id", who=AUTHENTICATED
    )


_PRICE = "What it costs the caller, bought alone: before promotions, codes and points."


@strawberry.federation.type(keys=["sku"])
class Product:
    sku: str
    effective_price: QuotedLine | None = bulk(resolvers.effective_prices, key="sku", who=PUBLIC, description=_PRICE)


@strawberry.federation.type(keys=["sku"])
class ProductVariant:
    sku: str
    effective_price: QuotedLine | None = bulk(resolvers.effective_prices, key="sku", who=PUBLIC, description=_PRICE)


@strawberry.type
class Query:
    price_quote = query(resolvers.price_quote, PriceQuote, who=PUBLIC)
    validate_discount_code = query(resolvers.validate_discount_code, DiscountCodeVerdict, who=PUBLIC)
    promotion = query(resolvers.promotion, Promotion | None, who=PUBLIC, stale_ok=True)
    promotions = query(resolvers.promotions, connection(Promotion), who=PUBLIC, stale_ok=True)
    bundle_deals = query(resolvers.bundle_deals, connection(Promotion), who=PUBLIC, stale_ok=True)
    flash_sale = query(resolvers.flash_sale, FlashSale | None, who=PUBLIC)
    flash_sales = query(resolvers.flash_sales, connection(FlashSale), who=PUBLIC)
    loyalty_program = query(resolvers.loyalty_program, LoyaltyProgram | None, who=PUBLIC)
    my_loyalty = query(resolvers.my_loyalty, LoyaltyAccount | None, who=AUTHENTICATED)
    loyalty_account = query(resolvers.loyalty_account, LoyaltyAccount | None, who=LOYALTY)
    promotion_analytics = query(resolvers.promotion_analytics, DiscountUsage | None, who=READ)
    discount_codes = query(resolvers.discount_codes, connection(DiscountCode), who=READ)
    pricing_rules = query(resolvers.pricing_rules, connection(PricingRule), who=READ)
    price_lists = query(resolvers.price_lists, connection(PriceList), who=READ)
    price_history = query(resolvers.price_history, connection(PriceHistoryEntry), who=READ)
    exchange_rates = query(resolvers.exchange_rates, list[ExchangeRate], who=PUBLIC, stale_ok=True)


_STATES = [InvalidStateTransition]
_PRICES = [CurrencyMismatch, AlreadyExists]


@strawberry.type
class Mutation:
    create_price_list = command(resolvers.create_price_list, PriceList, errors=[AlreadyExists], who=WRITE)
    set_list_prices = command(resolvers.set_list_prices, PriceList, errors=_PRICES, who=depending("pricing.write"))
    end_price_list = command(resolvers.end_price_list, PriceList, who=WRITE)
    set_regional_price = command(resolvers.set_regional_price, PriceList, errors=_PRICES, who=WRITE)
    upsert_price_tier = command(resolvers.upsert_price_tier, PriceList, errors=_PRICES, who=WRITE)
    set_exchange_rate = command(resolvers.set_exchange_rate, ExchangeRate, who=WRITE_ANY)
    create_pricing_rule = command(resolvers.create_pricing_rule, PricingRule, who=WRITE)
    update_pricing_rule = command(resolvers.update_pricing_rule, PricingRule, who=WRITE)
    create_promotion = command(resolvers.create_promotion, Promotion, who=WRITE)
    create_bundle_deal = command(resolvers.create_bundle_deal, Promotion, who=WRITE)
    end_promotion = command(resolvers.end_promotion, Promotion, errors=_STATES, who=WRITE)
    create_discount_code = command(resolvers.create_discount_code, DiscountCode, errors=[AlreadyExists], who=WRITE)
    disable_discount_code = command(resolvers.disable_discount_code, DiscountCode, who=WRITE)
    create_flash_sale = command(resolvers.create_flash_sale, FlashSale, who=WRITE)
    cancel_flash_sale = command(resolvers.cancel_flash_sale, FlashSale, errors=_STATES, who=WRITE)
    set_loyalty_program = command(resolvers.set_loyalty_program, LoyaltyProgram, who=LOYALTY)
    adjust_loyalty_points = command(
        resolvers.adjust_loyalty_points, LoyaltyAccount, errors=[InsufficientPoints], who=LOYALTY, key_required=True
    )
    redeem_loyalty_points = command(
        resolvers.redeem_loyalty_points, DiscountCode, errors=[InsufficientPoints], who=AUTHENTICATED, key_required=True
    )


@strawberry.type
class Subscription:
    flash_sale_updated = subscription(resolvers.flash_sale_updated, FlashSale, who=PUBLIC)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[Product, ProductVariant])
