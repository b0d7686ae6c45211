"""Filling carts: with goods that the catalogue offers, that a store has, and under codes that pricing knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.catalog import Offer, Skus
from domain.inventory import InsufficientStock
from domain.kernel import InvalidInput, NotFound, Work
from domain.money import Money
from domain.orders.cart_finding import begin_cart, editable_cart
from domain.orders.cart_parts import MAX_LINES, CartLine, EmptyCart, Goods, check_code, check_quantity
from domain.orders.carts import Cart, Carts
from domain.pricing import (
    DiscountCodeAlreadyUsed,
    DiscountCodeExhausted,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    PriceFacts,
    QuoteLine,
    QuoteRequest,
    UnknownDiscountCode,
    normal_code,
    price_quote,
)
from domain.processes.allocating import Shelf, Shelves, places_for


@dataclass(frozen=True, kw_only=True)
class NewCartLine:
    """Units of one SKU; without a store it is the seller's own, or another that has enough, or several together."""

    sku: str
    quantity: int = 1
    store_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class AddToCart:
    """Put goods into a cart, all of them or none; no cart named is the caller's own, which begins with its first line."""

    lines: Sequence[NewCartLine]
    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateCartItem:
    """Have another number of units in a line."""

    line_id: UUID
    quantity: int
    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ApplyPromoCode:
    """Use a discount code for the order to come, if it takes something off it."""

    code: str
    cart_id: UUID | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefusedCode:
    """A code in a cart that takes nothing off any more."""

    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CartTotals:
    """What a cart comes to, before tax and delivery: total is subtotal less discount."""

    subtotal: Money
    discount: Money
    total: Money
    refused_codes: tuple[RefusedCode, ...] = ()


_CODE_REFUSALS = (
    UnknownDiscountCode,
    DiscountCodeNotApplicable,
    MinimumPurchaseNotReached,
    DiscountCodeExhausted,
    DiscountCodeAlreadyUsed,
)


async def add_to_cart(command: AddToCart, work: Work, skus: Skus, shelves: Shelves, carts: Carts) -> Cart:
    """Put goods on sale into a cart, if a store has as many; what is there already counts.

    Raises: NotFound, InvalidInput, InsufficientStock, CurrencyMismatch, CartFull, CartExpired, CartClosed, ReadOnlyShare.
    """
    _check_lines(command.lines)
    # Read before the cart is begun or locked: nobody waits for these, and a new cart is written once.
    wanted = list(dict.fromkeys(each.sku for each in command.lines))
    offers = dict(zip(wanted, await skus.offers(wanted), strict=True))
    stock = await shelves.of_skus(wanted)
    named = command.cart_id is not None or command.token is not None
    cart = await (editable_cart(work, carts, command.cart_id, command.token) if named else begin_cart(work, carts))
    cart.expect_open(work.now)
    for each in command.lines:
        await _put(cart, each, offers[each.sku], stock, shelves, work.now)
    return cart


async def loose_cart(lines: Sequence[NewCartLine], work: Work, skus: Skus, shelves: Shelves) -> Cart:
    """Give goods as a cart that nobody keeps, for who buys them at once.

    Raises: NotFound, InvalidInput, InsufficientStock, CurrencyMismatch, CartFull.
    """
    _check_lines(lines)
    wanted = list(dict.fromkeys(each.sku for each in lines))
    offers = dict(zip(wanted, await skus.offers(wanted), strict=True))
    stock = await shelves.of_skus(wanted)
    cart = Cart.blank(work)
    for each in lines:
        await _put(cart, each, offers[each.sku], stock, shelves, work.now)
    cart.release_events()
    return cart


def _check_lines(lines: Sequence[NewCartLine]) -> None:
    if not 1 <= len(lines) <= MAX_LINES:
        raise InvalidInput(field="lines", reason=f"there are between 1 and {MAX_LINES}")
    for each in lines:
        check_quantity(each.quantity)


async def update_cart_item(command: UpdateCartItem, work: Work, shelves: Shelves, carts: Carts) -> Cart:
    """Change the number of units, if the store has as many.

    Raises: NotFound, InvalidInput, InsufficientStock, ConcurrentModification, CartExpired, CartClosed, ReadOnlyShare.
    """
    check_quantity(command.quantity)
    cart = await editable_cart(work, carts, command.cart_id, command.token)
    cart.expect_version(command.expected_version)
    cart.expect_open(work.now)
    line = cart.line(command.line_id)
    if command.quantity > line.quantity:
        places = {shelf.store_id: shelf.available for shelf in await shelves.of_skus([line.sku])}
        available = max(places.get(line.store_id, 0), 0)
        if command.quantity > available:
            raise InsufficientStock(sku=line.sku, requested=command.quantity, available=available)
    cart.set_quantity(line.id, command.quantity, work.now)
    return cart


async def apply_promo_code(command: ApplyPromoCode, work: Work, carts: Carts, facts: PriceFacts) -> Cart:
    """Remember a code that takes something off what is in the cart now.

    Raises: NotFound, InvalidInput, EmptyCart, CartExpired, CartClosed, ReadOnlyShare; UnknownDiscountCode and what else
        pricing has against a code.
    """
    check_code(command.code)
    code = normal_code(command.code)
    cart = await editable_cart(work, carts, command.cart_id, command.token)
    cart.expect_open(work.now)
    if not cart.lines:
        raise EmptyCart(cart_id=str(cart.id))
    codes = tuple(dict.fromkeys((*cart.codes, code)))
    request = quote_request(cart.lines, codes, cart.customer_id or work.actor.user_id, work.now)
    price_quote(request, await facts.gather(request))
    cart.apply_code(code, work.now)
    return cart


async def totals(
    lines: Sequence[CartLine], codes: Sequence[str], customer_id: UUID | None, at: datetime, facts: PriceFacts
) -> CartTotals:
    """Say what lines come to now; a code that has come to nothing since it was applied is left out, with the reason.

    Tax and delivery are not among it: they depend on where the goods go.
    """
    request = quote_request(lines, codes, customer_id, at)
    known = await facts.gather(request)
    refused: list[RefusedCode] = []
    while True:
        try:
            quote = price_quote(request, known)
        except _CODE_REFUSALS as refusal:
            kept = tuple(code for code in request.codes if code != refusal.discount_code)
            if kept == request.codes:
                raise
            refused.append(RefusedCode(code=refusal.discount_code, reason=refusal.message))
            request = replace(request, codes=kept)
        else:
            return CartTotals(
                subtotal=quote.subtotal, discount=quote.discount, total=quote.total, refused_codes=tuple(refused)
            )


def quote_request(
    lines: Sequence[CartLine], codes: Sequence[str], customer_id: UUID | None, at: datetime
) -> QuoteRequest:
    """Ask what lines cost; the key of each is its id."""
    return QuoteRequest(
        lines=tuple(quote_line(line, line.price) for line in lines),
        codes=tuple(codes),
        customer_id=customer_id,
        currency=lines[0].price.currency,
        at=at,
    )


def quote_line(line: CartLine, base: Money) -> QuoteLine:
    """Ask what a line costs, from a base price."""
    return QuoteLine(
        key=str(line.id),
        sku=line.sku,
        product_id=line.product_id,
        variant_id=line.variant_id,
        category_id=line.category_id,
        brand=line.brand,
        seller_id=line.seller_id,
        store_id=line.store_id,
        quantity=line.quantity,
        base=base,
    )


def as_offered(cart: Cart, offers: Mapping[str, Offer | None]) -> Cart:
    """Show a cart as it can be bought now: at present prices, and without what is no longer on sale.

    It is for looking at, not for keeping.
    """
    present = [(line, _present(line, offers.get(line.sku), cart.currency)) for line in cart.lines]
    cart.left_out = tuple(line for line, now in present if now is None)
    cart.lines = tuple(now for _, now in present if now is not None)
    return cart


def _present(line: CartLine, offer: Offer | None, currency: str | None) -> CartLine | None:
    """Give the line at its present price; None where it cannot be bought any more, or not together with the others."""
    if offer is None or not offer.active or offer.price is None or offer.price.currency != currency:
        return None
    return replace(line, price=offer.price, name=offer.name, variant_name=offer.variant_name)


async def _put(
    cart: Cart,
    wanted: NewCartLine,
    offer: Offer | None,
    stock: Sequence[Shelf],
    shelves: Shelves,
    now: datetime,
) -> None:
    """Put units into the cart, as a line for each store that they come from.

    Raises: NotFound, InvalidInput, InsufficientStock, CurrencyMismatch, CartFull.
    """
    # What is not on sale answers like what never was: a SKU is nobody's to guess before its product is published.
    if offer is None or not offer.active or offer.price is None:
        raise NotFound(kind="SKU", id=wanted.sku)
    for each in await places_for(cart, offer, wanted.quantity, wanted.store_id, stock, shelves):
        cart.put(_goods(offer, offer.price, each.store_id), each.quantity, now)


def _goods(offer: Offer, price: Money, store_id: UUID) -> Goods:
    return Goods(
        product_id=offer.product_id,
        variant_id=offer.variant_id,
        sku=offer.sku,
        seller_id=offer.seller_id,
        store_id=store_id,
        category_id=offer.category_id,
        brand=offer.brand,
        name=offer.name,
        variant_name=offer.variant_name,
        price=price,
    )
