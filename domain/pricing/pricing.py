"""What a purchase costs, and why: one pure function over the facts that were gathered for it."""

from dataclasses import replace

from domain.money import CurrencyMismatch, Money
from domain.pricing.discounting import Discounts
from domain.pricing.quote import Facts, PricedLine, PriceQuote, QuoteRequest
from domain.pricing.resolving import LineInWork, UnitPrices


def price_quote(request: QuoteRequest, facts: Facts) -> PriceQuote:
    """Price every line and explain it; the nets add up to the total, to the last minor unit.

    Raises: InvalidInput, CurrencyMismatch; UnknownDiscountCode, DiscountCodeNotApplicable, MinimumPurchaseNotReached,
        DiscountCodeExhausted, DiscountCodeAlreadyUsed, InsufficientPoints.
    """
    request.check()
    prices = UnitPrices(request, facts)
    lines = prices.resolve()
    discounts = Discounts(request, facts, lines, prices.holds)
    discounts.apply()
    subtotal = sum(each.gross for each in lines)
    total = sum(each.net for each in lines)
    return PriceQuote(
        lines=tuple(_priced(each, request.currency) for each in lines),
        subtotal=Money(subtotal, request.currency),
        discount=Money(subtotal - total, request.currency),
        total=Money(total, request.currency),
        uses=(*prices.uses.values(), *discounts.uses),
    )


def unit_prices(request: QuoteRequest, facts: Facts) -> list[PricedLine | CurrencyMismatch]:
    """Price each line as though it were bought alone, before promotions, codes and points."""
    return [_alone(replace(request, lines=(line,)), facts) for line in request.lines]


def _alone(request: QuoteRequest, facts: Facts) -> PricedLine | CurrencyMismatch:
    request.check()
    try:
        (line,) = UnitPrices(request, facts).resolve()
    except CurrencyMismatch as mismatch:
        return mismatch
    return _priced(line, request.currency)


def _priced(each: LineInWork, currency: str) -> PricedLine:
    return PricedLine(
        key=each.line.key,
        sku=each.line.sku,
        quantity=each.line.quantity,
        unit=Money(each.unit, currency),
        gross=Money(each.gross, currency),
        discount=Money(each.gross - each.net, currency),
        net=Money(each.net, currency),
        steps=tuple(each.steps),
    )
