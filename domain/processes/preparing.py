"""The steps of a checkout: each says what is wrong with it at once, and changes nothing but the cart's plan."""

from dataclasses import dataclass, replace
from uuid import UUID

from domain.kernel import Work
from domain.orders import DeliveryAddress, DeliveryMethod
from domain.orders.cart_checkout import CheckoutPlan, CheckoutStep
from domain.orders.cart_finding import own_cart
from domain.orders.cart_parts import EmptyCart
from domain.orders.carts import Cart, Carts
from domain.orders.drafts import check_address, check_email
from domain.payments.methods import Method, MethodKind
from domain.payments.policy import Policies
from domain.payments.providers import ProviderDirectory
from domain.pricing import PriceFacts, price_quote
from domain.processes.carting import quote_request
from domain.processes.shipping import DeliveryChoice
from domain.tax import TaxPlace
from domain.tenancy import SalesChannel, Stores


@dataclass(frozen=True, kw_only=True)
class SetCheckoutAddress:
    """Say where the order goes. A guest names the cart by its token; no cart named is the caller's own."""

    address: DeliveryAddress
    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetCheckoutDelivery:
    """Say whether the order is delivered or picked up, and of each store by which method and in which slot."""

    delivery_method: DeliveryMethod
    delivery: DeliveryChoice | None = None
    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetCheckoutContact:
    """Say where to write to, which guests must, and what the sellers should know."""

    email: str | None = None
    notes: str | None = None
    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetCheckoutPayment:
    """Say how the order is paid: by which method, with which token of its provider, and how many points."""

    payment_method: MethodKind
    payment_token: str = ""
    points: int = 0
    cart_id: UUID | None = None
    token: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class CartCheckout:
    """A cart on the way to its order: what is settled, and what is not yet."""

    cart: Cart

    @property
    def plan(self) -> CheckoutPlan:
        return self.cart.checkout

    @property
    def missing(self) -> tuple[CheckoutStep, ...]:
        return self.cart.missing

    @property
    def ready(self) -> bool:
        return not self.missing


Step = SetCheckoutAddress | SetCheckoutDelivery | SetCheckoutContact | SetCheckoutPayment


async def set_checkout_address(command: SetCheckoutAddress, work: Work, carts: Carts) -> CartCheckout:
    """Note where the order goes.

    Raises: NotFound, InvalidInput, ConcurrentModification, CartExpired, CartClosed.
    """
    check_address(command.address)
    TaxPlace.of(command.address.country, command.address.province)
    cart = await _open_cart(command, work, carts)
    return _settled(cart, CheckoutStep.ADDRESS, replace(cart.checkout, address=command.address), work)


async def set_checkout_delivery(command: SetCheckoutDelivery, work: Work, carts: Carts, stores: Stores) -> CartCheckout:
    """Note how the order comes to its buyer, if all stores of the cart sell that way.

    Raises: NotFound, StoreNotSelling, ConcurrentModification, CartExpired, CartClosed.
    """
    cart = await _open_cart(command, work, carts)
    pickup = command.delivery_method is DeliveryMethod.PICKUP
    for store in await stores.many({line.store_id for line in cart.lines}):
        store.expect_selling(SalesChannel.PICKUP if pickup else SalesChannel.DELIVERY)
    choice = command.delivery or DeliveryChoice()
    plan = replace(
        cart.checkout,
        delivery_method=command.delivery_method,
        shipping_method_ids=choice.method_ids,
        slot_ids=choice.slot_ids,
        latitude=choice.latitude,
        longitude=choice.longitude,
        delivery_notes=choice.notes,
    )
    return _settled(cart, CheckoutStep.DELIVERY, plan, work)


async def set_checkout_contact(command: SetCheckoutContact, work: Work, carts: Carts) -> CartCheckout:
    """Note where to write to.

    Raises: NotFound, InvalidInput, ConcurrentModification, CartExpired, CartClosed.
    """
    if command.email is not None:
        check_email("email", command.email)
    cart = await _open_cart(command, work, carts)
    plan = replace(cart.checkout, email=command.email, notes=command.notes)
    return _settled(cart, CheckoutStep.CONTACT, plan, work)


async def set_checkout_payment(
    command: SetCheckoutPayment,
    work: Work,
    carts: Carts,
    directory: ProviderDirectory,
    policies: Policies,
    facts: PriceFacts,
) -> CartCheckout:
    """Note how the order is paid, if that is possible here; points are spent when the order is placed.

    Raises: NotFound, InvalidInput, UnsupportedPaymentMethod, CardNumberRefused, InsufficientPoints, EmptyCart,
        ConcurrentModification, CartExpired, CartClosed.
    """
    kind, token = command.payment_method, command.payment_token
    unused = (await policies.current(work.tenant_id)).inactive_providers
    # Looked at before a provider is sought, so that a card's number is refused for what it is.
    Method(kind=kind, provider="", token=token)
    directory.choose(kind, token, unused)
    cart = await _open_cart(command, work, carts)
    if command.points:
        await _check_points(command.points, cart, work, facts)
    plan = replace(cart.checkout, payment_method=str(kind), payment_token=token, points=command.points)
    return _settled(cart, CheckoutStep.PAYMENT, plan, work)


async def _check_points(points: int, cart: Cart, work: Work, facts: PriceFacts) -> None:
    if not cart.lines:
        raise EmptyCart(cart_id=str(cart.id))
    request = replace(quote_request(cart.lines, cart.codes, cart.customer_id, work.now), points=points)
    price_quote(request, await facts.gather(request))


async def _open_cart(command: Step, work: Work, carts: Carts) -> Cart:
    """Give the cart, if it is the caller's own: who may fill somebody else's does not order from it."""
    cart = await own_cart(work, carts, command.cart_id, command.token)
    cart.expect_version(command.expected_version)
    cart.expect_open(work.now)
    return cart


def _settled(cart: Cart, step: CheckoutStep, plan: CheckoutPlan, work: Work) -> CartCheckout:
    cart.settle(step, plan, work.now)
    return CartCheckout(cart=cart)
