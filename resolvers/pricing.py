"""Verbs of pricing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import pricing
from domain.catalog import OfferReads
from domain.kernel import DomainError, NotFound
from domain.money import CurrencyMismatch, Money
from domain.paging import Page, PageRequest
from domain.pricing import (
    WRITE_ANY,
    CampaignFilter,
    CodeFilter,
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    PricedLine,
    PriceFactsReads,
    PriceListFilter,
    PriceQuote,
    PricingReads,
    PromotionKind,
    UnknownDiscountCode,
    UseKind,
)
from domain.processes import pricing as process
from domain.processes.pricing import Buyer, QuoteItem
from resolvers.kernel import Context, transacts

create_price_list = transacts(process.create_price_list)
set_list_prices = transacts(process.set_list_prices)
end_price_list = transacts(pricing.end_price_list)
set_regional_price = transacts(process.set_regional_price)
upsert_price_tier = transacts(process.upsert_price_tier)
set_exchange_rate = transacts(pricing.set_exchange_rate)
create_pricing_rule = transacts(process.create_pricing_rule)
update_pricing_rule = transacts(pricing.update_pricing_rule)
create_promotion = transacts(process.create_promotion)
create_bundle_deal = transacts(process.create_bundle_deal)
end_promotion = transacts(pricing.end_promotion)
create_discount_code = transacts(process.create_discount_code)
disable_discount_code = transacts(pricing.disable_discount_code)
create_flash_sale = transacts(process.create_flash_sale)
cancel_flash_sale = transacts(pricing.cancel_flash_sale)
set_loyalty_program = transacts(pricing.set_loyalty_program)
adjust_loyalty_points = transacts(process.adjust_loyalty_points)
redeem_loyalty_points = transacts(pricing.redeem_loyalty_points)

READ = "pricing.read"
WATCH_SECONDS = 0.5
REFUSED_CODES = (
    UnknownDiscountCode,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    DiscountCodeExhausted,
    DiscountCodeAlreadyUsed,
)


@dataclass(frozen=True, kw_only=True)
class CodeVerdict:
    """Whether a code can be used for some goods: what it takes off, or why not."""

    discount: Money | None = None
    refusal: DomainError | None = None


def _whose(context: Context, seller_id: UUID | None) -> UUID | None:
    """Give whose terms are shown: a seller sees the seller's own, whoever may set all prices chooses."""
    return seller_id if context.principal.may(WRITE_ANY) else context.principal.require_user()


def _sees(context: Context, held: Any) -> bool:
    principal = context.principal
    return principal.may(READ) and (principal.may(WRITE_ANY) or held.seller_id == principal.user_id)


def _seen(context: Context, found: Sequence[Any]) -> Sequence[Any]:
    return [each if each is not None and _sees(context, each) else None for each in found]


async def promotions_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(PricingReads).promotions_by_id(ids)


async def flash_sales_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(PricingReads).flash_sales_by_id(ids)


async def codes_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return _seen(context, await context.read(PricingReads).codes_by_id(ids))


async def rules_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return _seen(context, await context.read(PricingReads).rules_by_id(ids))


async def price_lists_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return _seen(context, await context.read(PricingReads).price_lists_by_id(ids))


async def usage_of(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(PricingReads).usage(ids)


async def items_of_flash_sales(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(PricingReads).flash_items(ids)


async def prices_of_lists(context: Context, ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await context.read(PricingReads).list_prices(ids, page)


async def entries_of_accounts(context: Context, user_ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await context.read(PricingReads).entries(user_ids, page)


async def effective_prices(
    context: Context,
    skus: Sequence[str],
    *,
    region: str | None = None,
    currency: str | None = None,
    quantity: int = 1,
) -> Sequence[PricedLine | CurrencyMismatch | None]:
    """Give what each SKU costs the caller, bought alone."""
    buyer = _buyer(context, region, currency)
    return await process.prices_of(skus, quantity, buyer, context.read(OfferReads), context.read(PriceFactsReads))


async def price_quote(
    context: Context,
    items: tuple[QuoteItem, ...],
    codes: tuple[str, ...] | None = None,
    region: str | None = None,
    currency: str | None = None,
    points: int | None = None,
) -> PriceQuote:
    return await process.quote_items(
        items,
        _buyer(context, region, currency),
        context.read(OfferReads),
        context.read(PriceFactsReads),
        codes=codes or (),
        points=points or 0,
    )


async def validate_discount_code(
    context: Context,
    code: str,
    items: tuple[QuoteItem, ...],
    region: str | None = None,
    currency: str | None = None,
) -> CodeVerdict:
    """Say what a code would take off, or why it cannot be used."""
    try:
        quote = await price_quote(context, items, (code,), region, currency)
    except REFUSED_CODES as refusal:
        return CodeVerdict(refusal=refusal)
    return CodeVerdict(discount=next(use.amount for use in quote.uses if use.kind is UseKind.CODE))


def _buyer(context: Context, region: str | None, currency: str | None) -> Buyer:
    return Buyer(customer_id=context.principal.user_id, region=region, currency=currency, at=context.now())


async def promotion(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(promotions_by_id, id)


async def promotions(
    context: Context,
    page: PageRequest,
    active: bool | None = None,
    kind: PromotionKind | None = None,
    seller_id: UUID | None = None,
) -> Page[Any]:
    wanted = CampaignFilter(seller_id=seller_id, kind=kind, active=active)
    return await context.read(PricingReads).promotions(wanted, page)


async def bundle_deals(context: Context, page: PageRequest, active: bool | None = None) -> Page[Any]:
    return await promotions(context, page, active, PromotionKind.BUNDLE)


async def flash_sale(context: Context, id: UUID) -> Any:  # noqa: A002 — see `promotion`.
    return await context.load(flash_sales_by_id, id)


async def flash_sales(
    context: Context, page: PageRequest, active: bool | None = None, seller_id: UUID | None = None
) -> Page[Any]:
    wanted = CampaignFilter(seller_id=seller_id, active=active)
    return await context.read(PricingReads).flash_sales(wanted, page)


async def flash_sale_updated(context: Context, id: UUID) -> AsyncIterator[Any]:  # noqa: A002 — see `promotion`.
    """Give a flash sale whenever units were sold or its state changed, until it is over."""
    last = None
    while True:
        sale = await context.load(flash_sales_by_id, id)
        if sale is None:
            raise NotFound(kind="FlashSale", id=str(id))
        items = await context.load(items_of_flash_sales, id)
        await context.forget()
        seen = (sale.state, [item.sold for item in items])
        if seen != last:
            last = seen
            yield sale
        if sale.state in {pricing.CampaignState.ENDED, pricing.CampaignState.CANCELLED}:
            return
        await asyncio.sleep(WATCH_SECONDS)


async def promotion_analytics(context: Context, id: UUID) -> Any:  # noqa: A002 — see `promotion`.
    """Give what a promotion or a code was used for; nothing where it is none of the caller's."""
    found = await context.load(promotions_by_id, id) or await context.load(codes_by_id, id)
    return await context.load(usage_of, id) if found is not None and _sees(context, found) else None


async def discount_codes(
    context: Context,
    page: PageRequest,
    code: str | None = None,
    state: pricing.CodeState | None = None,
    seller_id: UUID | None = None,
) -> Page[Any]:
    wanted = CodeFilter(seller_id=_whose(context, seller_id), state=state, code=code and pricing.normal_code(code))
    return await context.read(PricingReads).codes(wanted, page)


async def pricing_rules(context: Context, page: PageRequest, seller_id: UUID | None = None) -> Page[Any]:
    return await context.read(PricingReads).rules(_whose(context, seller_id), page)


async def price_lists(
    context: Context,
    page: PageRequest,
    kind: pricing.PriceListKind | None = None,
    active: bool | None = None,
    seller_id: UUID | None = None,
) -> Page[Any]:
    wanted = PriceListFilter(seller_id=_whose(context, seller_id), kind=kind, active=active)
    return await context.read(PricingReads).price_lists(wanted, page)


async def price_history(context: Context, page: PageRequest, sku: str) -> Page[Any]:
    """Give the prices that a SKU had; a seller sees those of the seller's own goods."""
    if not context.principal.may(WRITE_ANY):
        [offer] = await context.read(OfferReads).by_sku([sku])
        if offer is None or offer.seller_id != context.principal.require_user():
            raise NotFound(kind="Product", id=sku)
    return await context.read(PricingReads).history(sku, page)


async def loyalty_program(context: Context) -> Any:
    return await context.read(PricingReads).program()


async def my_loyalty(context: Context) -> Any:
    return await loyalty_account(context, context.principal.require_user())


async def loyalty_account(context: Context, user_id: UUID) -> Any:
    [found] = await context.read(PricingReads).accounts([user_id])
    return found


async def exchange_rates(context: Context) -> Sequence[Any]:
    return await context.read(PricingReads).exchange_rates()
