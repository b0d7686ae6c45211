"""What a cart costs as an order: prices of today, discounts, taxes and the parts of every seller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.catalog import Offer
from domain.delivery.offers import DeliveryOption
from domain.kernel import DomainError, InvalidInput
from domain.money import Money
from domain.orders import DeliveryAddress, DeliveryMethod, Order, OrderLine
from domain.orders.cart_parts import CartLine, EmptyCart
from domain.orders.carts import Cart
from domain.payments.splits import Split
from domain.pricing import Facts, PricedLine, PriceQuote, QuoteLine, QuoteRequest, price_quote
from domain.processes.shipping import DeliveryRequest
from domain.tax import TaxedLine, TaxLine, TaxPlace, TaxQuote, TaxRate, required_age, tax_quote

ADDED_AT_CHECKOUT = frozenset({"CA", "US"})
"""Where prices are shown without tax, which is added when somebody buys; everywhere else they contain it."""


@dataclass(eq=False)
class NoLongerOnSale(DomainError):
    """Something in the cart cannot be bought any more."""

    sku: str
    template = "{sku} is no longer on sale; take it out of the cart."


@dataclass(eq=False)
class PriceChanged(DomainError):
    """The order costs another sum, in minor units, than its buyer has agreed to."""

    expected_minor: int
    actual_minor: int
    template = "The order costs {actual_minor} now, not {expected_minor} (in minor units)."


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the goods go, in the sense of tax law; for what is picked up, where the store stands."""

    method: DeliveryMethod
    place: TaxPlace
    address: DeliveryAddress | None = None

    @property
    def tax_inclusive(self) -> bool:
        return self.place.country not in ADDED_AT_CHECKOUT

    @property
    def region(self) -> str:
        return self.place.province or self.place.country


@dataclass(frozen=True, kw_only=True)
class CheckoutQuote:
    """What an order would cost, and why; `minimum_age` in years is for goods that not everybody may buy."""

    lines: tuple[OrderLine, ...]
    prices: PriceQuote
    taxes: TaxQuote
    currency: str
    minimum_age: int | None
    deliveries: tuple[DeliveryOption, ...] = ()

    @property
    def subtotal(self) -> Money:
        return self.prices.subtotal

    @property
    def discount(self) -> Money:
        return self.prices.discount

    @property
    def tax(self) -> Money:
        return self.taxes.total

    @property
    def delivery_fee(self) -> Money:
        return sum((each.fee for each in self.deliveries), Money(0, self.currency))

    @property
    def delivery_tax(self) -> Money:
        # The fee is taxed after all lines.
        taxed = self.taxes.lines[len(self.lines) :]
        return sum((each.tax for each in taxed), Money(0, self.currency))

    @property
    def total(self) -> Money:
        return self.taxes.gross


def destination(
    method: DeliveryMethod, address: DeliveryAddress | None, store_province: str | None, country: str
) -> Destination:
    """Say where an order goes.

    Raises: InvalidInput without an address for what is delivered, and for an unknown country.
    """
    if method is DeliveryMethod.PICKUP:
        named = store_province if store_province and "-" in store_province else None
        return Destination(method=method, place=TaxPlace.named(named) if named else TaxPlace.of(country))
    if address is None:
        raise InvalidInput(field="address", reason="what is delivered needs an address")
    return Destination(method=method, place=TaxPlace.of(address.country, address.province), address=address)


def age_required(place: TaxPlace) -> int:
    """Give the age in years from which regulated goods are sold in a place.

    Source: the provinces' cannabis acts in force since 2020 (Alberta 18, Quebec 21, elsewhere in Canada 19); 21 in the
    United States; 18 elsewhere.
    """
    if place.country == "CA":
        return {"CA-AB": 18, "CA-QC": 21}.get(place.province or "", 19)
    return 21 if place.country == "US" else 18


def price_request(
    cart: Cart, offers: Sequence[Offer | None], to: Destination, points: int, at: datetime, customer_id: UUID | None
) -> QuoteRequest:
    """Give what pricing is asked, at the catalogue's prices of now.

    Raises: EmptyCart, NoLongerOnSale.
    """
    if not cart.lines:
        raise EmptyCart(cart_id=str(cart.id))
    lines = tuple(_quote_line(line, offer) for line, offer in zip(cart.lines, offers, strict=True))
    return QuoteRequest(
        lines=lines,
        codes=tuple(cart.codes),
        customer_id=customer_id,
        region=to.region,
        currency=lines[0].base.currency,
        at=at,
        points=points,
    )


def checkout_quote(
    cart: Cart,
    offers: Sequence[Offer | None],
    request: QuoteRequest,
    facts: Facts,
    rates: Sequence[TaxRate],
    to: Destination,
    delivery: DeliveryRequest | None = None,
) -> CheckoutQuote:
    """Price a cart as it would be ordered now; every amount adds up to the last minor unit.

    Raises: CurrencyMismatch; what pricing has against a code, and stores against an address; InvalidInput.
    """
    prices = price_quote(request, facts)
    nets = [each.net for each in prices.lines]
    deliveries = delivery.choose(zip(cart.lines, nets, strict=True)) if delivery else ()
    regulated = {
        line.id for line, offer in zip(cart.lines, offers, strict=True) if offer is not None and offer.regulated
    }
    adult = age_required(to.place)
    taxed = [
        TaxLine(key=each.key, amount=each.net, minimum_age=adult if line.id in regulated else None)
        for line, each in zip(cart.lines, prices.lines, strict=True)
    ]
    fees = [TaxLine(key=f"delivery {each.store_id}", amount=each.fee) for each in deliveries]
    taxes = tax_quote([*taxed, *fees], rates, inclusive=to.tax_inclusive)
    lines = tuple(map(_order_line, cart.lines, prices.lines, taxes.lines))
    return CheckoutQuote(
        lines=lines,
        prices=prices,
        taxes=taxes,
        currency=request.currency,
        minimum_age=required_age(taxed),
        deliveries=deliveries,
    )


def _order_line(line: CartLine, priced: PricedLine, taxed: TaxedLine) -> OrderLine:
    return OrderLine(
        product_id=line.product_id,
        variant_id=line.variant_id,
        sku=line.sku,
        seller_id=line.seller_id,
        store_id=line.store_id,
        name=line.name,
        variant_name=line.variant_name,
        quantity=line.quantity,
        unit=priced.unit,
        discount=priced.gross + -priced.net,
        tax=taxed.tax,
        total=taxed.gross,
    )


def splits_of(order: Order, commission_rate: Decimal) -> tuple[Split, ...]:
    """Say whom an order's money is for: the goods for their sellers, the tax on them, and delivery for the platform."""
    of_goods = {line.id: line.tax.amount_minor for line in order.lines}
    splits, delivery_minor = [], 0
    for part in order.sub_orders:
        delivery_tax = part.tax_minor - sum(of_goods[line_id] for line_id in part.line_ids)
        # A fee that contains its tax is the platform's without it: the tax goes the way of all taxes.
        fee = part.delivery_fee_minor - (delivery_tax if order.tax_inclusive else 0)
        delivery_minor += fee
        splits.append(
            Split(
                sub_order_id=part.id,
                seller_id=part.seller_id,
                goods_minor=part.total_minor - part.tax_minor - fee,
                tax_minor=part.tax_minor,
                commission_rate=commission_rate,
            )
        )
    if delivery_minor:
        splits.append(Split(goods_minor=delivery_minor))
    return tuple(splits)


def _quote_line(line: CartLine, offer: Offer | None) -> QuoteLine:
    if offer is None or not offer.active or offer.price is None:
        raise NoLongerOnSale(sku=line.sku)
    return QuoteLine(
        key=str(line.id),
        sku=line.sku,
        product_id=line.product_id,
        variant_id=line.variant_id,
        category_id=offer.category_id,
        brand=offer.brand,
        seller_id=line.seller_id,
        store_id=line.store_id,
        quantity=line.quantity,
        base=offer.price,
    )
