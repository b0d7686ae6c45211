"""Verbs of buying: what it would cost, the order itself, and calling it off."""

from typing import Any

from domain.catalog import OfferReads
from domain.codec import fingerprint
from domain.delivery.geography import Geometry
from domain.kernel import NotFound
from domain.orders import OrderReads
from domain.orders.cart_parts import CartState
from domain.orders.carts import Cart, CartReads
from domain.pricing import PriceFactsReads
from domain.processes import cancelling
from domain.processes.checkout import CHECKOUT, Checkout, checkout_saga
from domain.processes.quoting import CheckoutQuote, checkout_quote, destination, price_request
from domain.processes.shipping import ShippingFactsReads, delivery_request
from domain.sagas import SagaRunner
from domain.tax import TaxReads
from domain.tenancy import StoreReads
from resolvers.kernel import Context, transacts

cancel_order = transacts(cancelling.cancel_order)


async def checkout(context: Context, command: Checkout, idempotency_key: str) -> Any:
    """Order and pay; asked again with the same key, the answer is the same, also while the first is still running."""
    saga = checkout_saga(command, context.work(), idempotency_key, fingerprint(command))
    done = await context.service(SagaRunner).start(CHECKOUT, saga)
    await context.forget()
    (order,) = await context.read(OrderReads).by_id([done.id])
    return order


async def checkout_preview(context: Context, input: Checkout) -> CheckoutQuote:  # noqa: A002 — GraphQL's conventional name.
    """Say what a cart would cost as an order; nothing is reserved or kept by it."""
    cart = await _cart(context, input)
    province = None
    if cart.lines:
        (store,) = await context.read(StoreReads).by_id([cart.lines[0].store_id])
        province = store and store.province_code
    to = destination(input.delivery_method, input.address, province, "CA")
    offers = await context.read(OfferReads).by_sku([line.sku for line in cart.lines])
    now = context.now()
    request = price_request(cart, offers, to, input.points, now, context.principal.user_id)
    facts = await context.read(PriceFactsReads).gather(request)
    rates = await context.read(TaxReads).applicable(to.place, now.date())
    shipping, geometry = context.read(ShippingFactsReads), context.service(Geometry)
    delivery = await delivery_request(input.delivery, to.address, to.place, cart.lines, shipping, geometry)
    return checkout_quote(cart, offers, request, facts, rates, to, delivery)


async def _cart(context: Context, wanted: Checkout) -> Cart:
    reads, mine = context.read(CartReads), context.principal.user_id
    if wanted.token is not None:
        found = await reads.by_token(wanted.token)
    elif wanted.cart_id is not None:
        (found,) = await reads.by_id([wanted.cart_id])
        found = found if found is not None and mine is not None and found.customer_id == mine else None
    else:
        found = await reads.of_user(context.principal.require_user())
    gone = found is None or found.state is CartState.MERGED or wanted.cart_id not in {None, found.id}
    if found is None or gone or found.is_expired(context.now()):
        raise NotFound(kind="Cart", id=str(wanted.cart_id or "of yours"))
    return found
