"""Prices of goods that there are: quotes before anybody buys, and changes that ask the catalogue and others first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import pricing
from domain.catalog import Offer, OfferReads, Skus
from domain.identity.users import Users
from domain.jobs import JobQueue
from domain.kernel import InvalidInput, NotFound, Work
from domain.money import CurrencyMismatch
from domain.pricing import (
    MAX_LINES,
    WRITE_ANY,
    AdjustLoyaltyPoints,
    CreateBundleDeal,
    CreateDiscountCode,
    CreateFlashSale,
    CreatePriceList,
    CreatePricingRule,
    CreatePromotion,
    DiscountCode,
    DiscountCodes,
    FlashSale,
    FlashSales,
    Loyalty,
    LoyaltyAccount,
    PricedLine,
    PriceFactsReads,
    PriceList,
    PriceLists,
    PriceQuote,
    PricingRule,
    PricingRules,
    Promotion,
    Promotions,
    QuoteLine,
    QuoteRequest,
    SetListPrices,
    SetRegionalPrice,
    UpsertPriceTier,
    price_quote,
    unit_prices,
)
from domain.tenancy import Stores

MAX_ITEMS = 100


@dataclass(frozen=True, kw_only=True)
class QuoteItem:
    """Units of a SKU whose price is asked for."""

    sku: str
    quantity: int = 1


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who asks for a price, from where, in which currency (None: the catalogue's) and when."""

    customer_id: UUID | None = None
    region: str | None = None
    currency: str | None = None
    at: datetime


async def quote_items(
    items: Sequence[QuoteItem],
    buyer: Buyer,
    offers: OfferReads,
    facts: PriceFactsReads,
    *,
    codes: Sequence[str] = (),
    points: int = 0,
) -> PriceQuote:
    """Explain what goods on sale cost together.

    Raises: NotFound, InvalidInput, CurrencyMismatch; what pricing has against a code or points.
    """
    if not 0 < len(items) <= MAX_ITEMS:
        raise InvalidInput(field="items", reason=f"there are between 1 and {MAX_ITEMS}")
    found = await offers.by_sku([item.sku for item in items])
    lines = tuple(
        _line(str(index), _on_sale(offer, item.sku), item.quantity)
        for index, (item, offer) in enumerate(zip(items, found, strict=True))
    )
    request = QuoteRequest(
        lines=lines,
        codes=tuple(codes),
        customer_id=buyer.customer_id,
        region=buyer.region,
        currency=buyer.currency or lines[0].base.currency,
        at=buyer.at,
        points=points,
    )
    return price_quote(request, await facts.gather(request))


async def prices_of(
    skus: Sequence[str], quantity: int, buyer: Buyer, offers: OfferReads, facts: PriceFactsReads
) -> list[PricedLine | CurrencyMismatch | None]:
    """Price SKUs as though each were bought alone, in their order; None for what has no price."""
    offered = [offer if offer is not None and offer.price is not None else None for offer in await offers.by_sku(skus)]
    lines = list({offer.sku: _line(offer.sku, offer, quantity) for offer in offered if offer is not None}.values())
    priced: dict[str, PricedLine | CurrencyMismatch] = {}
    for start in range(0, len(lines), MAX_LINES):
        part = tuple(lines[start : start + MAX_LINES])
        request = QuoteRequest(
            lines=part,
            customer_id=buyer.customer_id,
            region=buyer.region,
            currency=buyer.currency or lines[0].base.currency,
            at=buyer.at,
        )
        answers = unit_prices(request, await facts.gather(request))
        priced.update(zip((line.sku for line in part), answers, strict=True))
    return [None if offer is None else priced[offer.sku] for offer in offered]


def _on_sale(offer: Offer | None, sku: str) -> Offer:
    if offer is None or not offer.active or offer.price is None:
        raise NotFound(kind="Product", id=sku)
    return offer


def _line(key: str, offer: Offer, quantity: int) -> QuoteLine:
    assert offer.price is not None  # noqa: S101 — both callers leave out what has no price.
    return QuoteLine(
        key=key,
        sku=offer.sku,
        product_id=offer.product_id,
        variant_id=offer.variant_id,
        category_id=offer.category_id,
        brand=offer.brand,
        seller_id=offer.seller_id,
        store_id=offer.store_id,
        quantity=quantity,
        base=offer.price,
    )


async def create_price_list(
    command: CreatePriceList, work: Work, lists: PriceLists, stores: Stores, users: Users
) -> PriceList:
    """Make a price list for a store and a customer that there are.

    Raises: NotFound, AlreadyExists, InvalidInput.
    """
    if command.store_id is not None and await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    await _require_people([command.customer_id, command.seller_id], work, users)
    return await pricing.create_price_list(command, work, lists)


async def set_list_prices(command: SetListPrices, work: Work, lists: PriceLists, skus: Skus) -> PriceList:
    """Set prices of goods that there are; a seller's are the seller's own.

    Raises: NotFound, InvalidInput, CurrencyMismatch.
    """
    for each in command.prices:
        amount, currency = (each.price.amount_minor, each.price.currency) if each.price else (0, "")
        work.require("pricing.write", amount_minor=amount, currency=currency, sku=each.sku)
    await _require_skus([each.sku for each in command.prices if each.price is not None], work, skus)
    return await pricing.set_list_prices(command, work, lists)


async def set_regional_price(
    command: SetRegionalPrice, work: Work, lists: PriceLists, skus: Skus, users: Users
) -> PriceList:
    await _require_people([command.seller_id], work, users)
    await _require_skus([command.sku], work, skus)
    return await pricing.set_regional_price(command, work, lists)


async def upsert_price_tier(
    command: UpsertPriceTier, work: Work, lists: PriceLists, skus: Skus, users: Users
) -> PriceList:
    await _require_people([command.seller_id], work, users)
    await _require_skus([command.sku], work, skus)
    return await pricing.upsert_price_tier(command, work, lists)


async def create_pricing_rule(command: CreatePricingRule, work: Work, rules: PricingRules, users: Users) -> PricingRule:
    await _require_people([command.seller_id], work, users)
    return await pricing.create_pricing_rule(command, work, rules)


async def create_promotion(
    command: CreatePromotion, work: Work, promotions: Promotions, queue: JobQueue, skus: Skus, users: Users
) -> Promotion:
    await _require_people([command.seller_id], work, users)
    await _require_skus([each.sku for each in command.terms.items], work, skus)
    return await pricing.create_promotion(command, work, promotions, queue)


async def create_bundle_deal(
    command: CreateBundleDeal, work: Work, promotions: Promotions, queue: JobQueue, skus: Skus, users: Users
) -> Promotion:
    await _require_people([command.seller_id], work, users)
    await _require_skus([each.sku for each in command.items], work, skus)
    return await pricing.create_bundle_deal(command, work, promotions, queue)


async def create_discount_code(
    command: CreateDiscountCode, work: Work, codes: DiscountCodes, users: Users
) -> DiscountCode:
    await _require_people([command.seller_id], work, users)
    return await pricing.create_discount_code(command, work, codes)


async def create_flash_sale(
    command: CreateFlashSale, work: Work, sales: FlashSales, queue: JobQueue, skus: Skus, users: Users
) -> FlashSale:
    """Start a flash sale of goods that there are; a seller's are the seller's own.

    Raises: NotFound, InvalidInput.
    """
    await _require_people([command.seller_id], work, users)
    await _require_skus([each.sku for each in command.items], work, skus)
    return await pricing.create_flash_sale(command, work, sales, queue)


async def adjust_loyalty_points(
    command: AdjustLoyaltyPoints, work: Work, loyalty: Loyalty, users: Users
) -> LoyaltyAccount:
    """Change the points of somebody who is known.

    Raises: NotFound, InvalidInput, InsufficientPoints.
    """
    await users.get(command.user_id)
    return await pricing.adjust_loyalty_points(command, work, loyalty)


async def _require_people(ids: Sequence[UUID | None], work: Work, users: Users) -> None:
    for user_id in ids:
        if user_id not in {None, work.actor.user_id}:
            await users.get(user_id)


async def _require_skus(wanted: Sequence[str], work: Work, skus: Skus) -> None:
    offers = await skus.offers(list(wanted)) if wanted else []
    for sku, offer in zip(wanted, offers, strict=True):
        theirs = work.actor.may(WRITE_ANY) or (offer is not None and offer.seller_id == work.actor.user_id)
        if offer is None or not theirs:
            raise NotFound(kind="Product", id=sku)
