"""Verbs of buying: what it would cost, the order itself, and calling it off."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.catalog import OfferReads
from domain.codec import fingerprint
from domain.delivery.geography import Geometry
from domain.kernel import NotFound
from domain.orders import DeliveryAddress, DeliveryMethod, OrderReads
from domain.orders.cart_checkout import CompleteCheckout
from domain.orders.cart_parts import CartState
from domain.orders.carts import Cart, CartReads
from domain.pricing import PriceFactsReads
from domain.processes import cancelling, preparing
from domain.processes.checkout import CHECKOUT, Checkout, checkout_saga, completion_saga
from domain.processes.preparing import CartCheckout
from domain.processes.quoting import CheckoutQuote, checkout_quote, destination, price_request
from domain.processes.shipping import DeliveryChoice, ShippingFactsReads, delivery_request
from domain.sagas import Saga, SagaRunner
from domain.tax import TaxReads
from domain.tenancy import StoreReads
from resolvers.kernel import Context, transacts

cancel_order = transacts(cancelling.cancel_order)
set_checkout_address = transacts(preparing.set_checkout_address)
set_checkout_delivery = transacts(preparing.set_checkout_delivery)
set_checkout_contact = transacts(preparing.set_checkout_contact)
set_checkout_payment = transacts(preparing.set_checkout_payment)


async def checkout(context: Context, command: Checkout, idempotency_key: str) -> Any:
    """Order and pay; asked again with the same key, the answer is the same, also while the first is still running."""
    return await _bought(context, checkout_saga(command, context.work(), idempotency_key, fingerprint(command)))


async def complete_checkout(context: Context, command: CompleteCheckout, idempotency_key: str) -> Any:
    """Order and pay as it was settled step by step; it is the same process, and repeats its answers alike."""
    saga = completion_saga(command, context.work(), idempotency_key, fingerprint(command))
    return await _bought(context, saga)


async def _bought(context: Context, saga: Saga) -> Any:
    done = await context.service(SagaRunner).start(CHECKOUT, saga)
    await context.forget()
    (order,) = await context.read(OrderReads).by_id([done.id])
    return order


async def cart_checkout(context: Context, cart_id: UUID | None = None, token: str | None = None) -> CartCheckout | None:
    """Say what is settled about a cart's order, and what is not yet; the carts of others are not there."""
    found = await _own(context, cart_id, token)
    return None if found is None else CartCheckout(cart=found)


async def previews_of_carts(context: Context, carts: Sequence[Cart]) -> Sequence[CheckoutQuote | None]:
    """Say what carts would cost as they are settled; nothing where one does not know where the order goes."""
    return [await _planned(context, each) for each in carts]


async def _planned(context: Context, cart: Cart) -> CheckoutQuote | None:
    plan, pickup = cart.checkout, cart.checkout.delivery_method is DeliveryMethod.PICKUP
    if not cart.lines or (plan.address is None and not pickup):
        return None
    method, choice = plan.delivery_method or DeliveryMethod.DELIVERY, DeliveryChoice.of(plan)
    return await _quote(context, cart, method, plan.address, plan.points, choice)


async def checkout_preview(context: Context, input: Checkout) -> CheckoutQuote:  # noqa: A002 — GraphQL's conventional name.
    """Say what a cart would cost as an order; nothing is reserved or kept by it."""
    cart = await _cart(context, input.cart_id, input.token)
    return await _quote(context, cart, input.delivery_method, input.address, input.points, input.delivery)


async def _quote(
    context: Context,
    cart: Cart,
    method: DeliveryMethod,
    address: DeliveryAddress | None,
    points: int,
    choice: DeliveryChoice | None,
) -> CheckoutQuote:
    province = None
    if cart.lines:
        (store,) = await context.read(StoreReads).by_id([cart.lines[0].store_id])
        province = store and store.province_code
    to = destination(method, address, province, "CA")
    offers = await context.read(OfferReads).by_sku([line.sku for line in cart.lines])
    now = context.now()
    request = price_request(cart, offers, to, points, now, context.principal.user_id)
    facts = await context.read(PriceFactsReads).gather(request)
    rates = await context.read(TaxReads).applicable(to.place, now.date())
    shipping, geometry = context.read(ShippingFactsReads), context.service(Geometry)
    delivery = await delivery_request(choice, to.address, to.place, cart.lines, shipping, geometry)
    return checkout_quote(cart, offers, request, facts, rates, to, delivery)


async def _cart(context: Context, cart_id: UUID | None, token: str | None) -> Cart:
    if cart_id is None and token is None:
        context.principal.require_user()
    found = await _own(context, cart_id, token)
    if found is None:
        raise NotFound(kind="Cart", id=str(cart_id or "of yours"))
    return found


async def _own(context: Context, cart_id: UUID | None, token: str | None) -> Cart | None:
    reads, mine = context.read(CartReads), context.principal.user_id
    if token is not None:
        found = await reads.by_token(token)
    elif cart_id is not None:
        (found,) = await reads.by_id([cart_id])
        found = found if found is not None and mine is not None and found.customer_id == mine else None
    else:
        found = None if mine is None else await reads.of_user(mine)
    gone = found is None or found.state is CartState.MERGED or cart_id not in {None, found.id}
    return None if found is None or gone or found.is_expired(context.now()) else found
