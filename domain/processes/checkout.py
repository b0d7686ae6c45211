"""From a cart to a paid order: placed, reserved, charged and settled, or all of it undone.

The order is placed and the cart closed in one transaction, so of two checkouts of one cart one wins. Stock is reserved and
money is taken outside of it, both under the order's own keys, so that whoever takes the saga up may ask again. Money that
was taken for an order that is not to be is given back.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.catalog import Skus
from domain.codec import from_json, to_json
from domain.delivery.geography import Geometry
from domain.delivery.offers import DeliveryPromises
from domain.delivery.slots import DeliverySlots
from domain.inventory import (
    CommitStock,
    InsufficientStock,
    ReleaseStock,
    ReservationEnded,
    ReservationPurpose,
    Reservations,
    ReserveStock,
    StockClaim,
    StockDesk,
    commit_stock,
    release_stock,
)
from domain.jobs import JobQueue
from domain.kernel import DomainError, InvalidStateTransition, Work, uuid7
from domain.money import Money
from domain.orders import (
    CancelReason,
    DeliveryAddress,
    DeliveryMethod,
    Order,
    OrderDraft,
    Orders,
    OrderState,
)
from domain.orders.cart_checkout import CheckoutIncomplete, CompleteCheckout
from domain.orders.cart_finding import give_cart_back, own_cart
from domain.orders.cart_parts import EmptyCart
from domain.orders.carts import Cart, Carts
from domain.payments.escrow import EscrowHolds
from domain.payments.fraud import FraudReads, FraudRequest, assess
from domain.payments.ledger import Ledger
from domain.payments.methods import Method, MethodKind
from domain.payments.payment import OVER, Payment, Payments, PaymentState, locked
from domain.payments.policy import PaymentPolicy
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    ChargeStatus,
    PaymentProvider,
    ProviderDirectory,
    ProviderRefused,
)
from domain.payments.refunds import Refunds
from domain.payments.releasing import settle_capture
from domain.pricing import Allowances, PriceFacts
from domain.processes.allocating import Shelves
from domain.processes.carting import NewCartLine, loose_cart
from domain.processes.paying import give_back
from domain.processes.quoting import (
    CheckoutQuote,
    Destination,
    PriceChanged,
    checkout_quote,
    destination,
    price_request,
    splits_of,
)
from domain.processes.shipping import (
    DeliveryChoice,
    ShippingFacts,
    break_promises,
    delivery_request,
    keep_promises,
)
from domain.sagas import Process, Processes, Saga, Step, Waiting
from domain.tax import AgeVerifications, TaxRates, require_age
from domain.tenancy import SalesChannel, Stores

RESERVED_FOR = timedelta(hours=2)
ASK_AGAIN_AFTER = timedelta(minutes=1)

processes = Processes()


@dataclass(eq=False)
class PaymentDeclined(DomainError):
    """The buyer's bank or the payment provider has refused."""

    reason: str
    template = "The payment was declined: {reason}."


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Order what is in a cart and pay for it; the cart is the caller's own, or the one of a guest's token.

    With `lines` these goods are bought at once, and no cart is touched. `liveSessionId` says in which live session it
    was seen. With `expectedTotalMinor` the order is refused where it costs another sum by now.
    """

    cart_id: UUID | None = None
    token: str | None = None
    lines: tuple[NewCartLine, ...] = ()
    delivery_method: DeliveryMethod = DeliveryMethod.DELIVERY
    address: DeliveryAddress | None = None
    guest_email: str | None = None
    payment_method: MethodKind = MethodKind.CARD
    payment_token: str = ""
    points: int = 0
    notes: str | None = None
    live_session_id: UUID | None = None
    delivery: DeliveryChoice | None = None
    expected_total_minor: int | None = None


def checkout_saga(command: Checkout, work: Work, key: str, request_hash: bytes) -> Saga:
    """Begin a checkout; the saga, the order and the payment have their ids before anything is done."""
    return _saga(command, work, key, request_hash, {"command": to_json(command)})


def completion_saga(command: CompleteCheckout, work: Work, key: str, request_hash: bytes) -> Saga:
    """Begin the checkout that was settled step by step: the same process, which reads the cart for what it is to do."""
    return _saga(command, work, key, request_hash, {"completes": to_json(command)})


def _saga(
    command: Checkout | CompleteCheckout, work: Work, key: str, request_hash: bytes, data: dict[str, Any]
) -> Saga:
    order_id = uuid7()
    # A guest is known by the cart's token alone, hence the key is the cart's.
    owner = work.actor.user_id or command.cart_id or command.token
    return Saga(
        id=order_id,
        tenant_id=work.tenant_id,
        kind="checkout",
        key=f"{owner}:{key}",
        request_hash=request_hash,
        user_id=work.actor.user_id,
        correlation_id=work.correlation_id,
        data={"payment_id": str(uuid7()), **data},
        due_at=work.now,
        deadline=work.now + RESERVED_FOR,
        started_at=work.now,
    )


async def place_order(
    saga: Saga,
    work: Work,
    carts: Carts,
    skus: Skus,
    shelves: Shelves,
    stores: Stores,
    facts: PriceFacts,
    rates: TaxRates,
    ages: AgeVerifications,
    allowances: Allowances,
    orders: Orders,
    fraud: FraudReads,
    directory: ProviderDirectory,
    payments: Payments,
    shipping: ShippingFacts,
    geometry: Geometry,
    promises: DeliveryPromises,
    slots: DeliverySlots,
) -> None:
    """Turn the cart into a pending order at today's prices, with everything that it uses up taken, and open its payment.

    Raises: NotFound, StoreNotSelling, EmptyCart, CartClosed, CartExpired, NoLongerOnSale, PriceChanged, AgeNotVerified,
        UnsupportedPaymentMethod, what pricing has against codes and points, and stores against the address, SlotFull,
        SlotClosed, InvalidInput; CheckoutIncomplete and ConcurrentModification where it was settled step by step.
    """
    if "completes" in saga.data:
        command, cart = await _settled(from_json(saga.data["completes"], CompleteCheckout), work, carts)
        saga.data["command"] = to_json(command)
    else:
        command = from_json(saga.data["command"], Checkout)
        cart = await _wanted(command, work, carts, skus, shelves)
    to = await _destination(command, cart, stores)
    offers = await skus.offers([line.sku for line in cart.lines])
    request = price_request(cart, offers, to, command.points, work.now, work.actor.user_id)
    known = await facts.gather(request)
    delivery = await delivery_request(command.delivery, to.address, to.place, cart.lines, shipping, geometry)
    applicable = await rates.applicable(to.place, work.now.date())
    quote = checkout_quote(cart, offers, request, known, applicable, to, delivery)
    if command.expected_total_minor not in {None, quote.total.amount_minor}:
        raise PriceChanged(expected_minor=command.expected_total_minor or 0, actual_minor=quote.total.amount_minor)
    await require_age(ages, work.actor.user_id, quote.minimum_age, work.now.date())
    (number,) = await orders.next_numbers(work.now.date())
    order = Order.place(_draft(command, cart, quote, to, number, work), work, order_id=saga.id)
    orders.add(order)
    if not command.lines:
        cart.convert(order.id, work.now)
    await allowances.take(order.id, work.actor.user_id, quote.prices.uses, work.now)
    if quote.deliveries or (command.delivery and to.address):
        agreed = (order.store_ids, order.currency, quote.deliveries, command.delivery)
        await keep_promises(order.id, *agreed, work, promises, slots)
        saga.data["promised"] = True
    saga.data["claims"] = [[str(line.store_id), line.sku, line.quantity] for line in order.lines]
    if order.total_minor:
        payments.add(await _payment(saga, command, order, fraud, directory, work))


async def _wanted(command: Checkout, work: Work, carts: Carts, skus: Skus, shelves: Shelves) -> Cart:
    if command.lines:
        return await loose_cart(command.lines, work, skus, shelves)
    return await own_cart(work, carts, command.cart_id, command.token)


async def _settled(asked: CompleteCheckout, work: Work, carts: Carts) -> tuple[Checkout, Cart]:
    """Give the cart with the checkout that its plan makes; nobody can change either before the order is placed."""
    cart = await own_cart(work, carts, asked.cart_id, asked.token)
    cart.expect_version(asked.expected_version)
    cart.expect_open(work.now)
    if not cart.lines:
        raise EmptyCart(cart_id=str(cart.id))
    plan = cart.checkout
    if cart.missing or plan.delivery_method is None or plan.payment_method is None:
        raise CheckoutIncomplete(cart_id=str(cart.id), missing=cart.missing)
    command = Checkout(
        cart_id=asked.cart_id,
        token=asked.token,
        delivery_method=plan.delivery_method,
        address=plan.address,
        guest_email=plan.email,
        payment_method=MethodKind(plan.payment_method),
        payment_token=plan.payment_token,
        points=plan.points,
        notes=plan.notes,
        delivery=DeliveryChoice.of(plan),
        expected_total_minor=asked.expected_total_minor,
    )
    return command, cart


async def _payment(
    saga: Saga, command: Checkout, order: Order, fraud: FraudReads, directory: ProviderDirectory, work: Work
) -> Payment:
    provider = directory.choose(command.payment_method, command.payment_token)
    method = Method(kind=command.payment_method, provider=provider, token=command.payment_token)
    suspect = FraudRequest(
        user_id=work.actor.user_id,
        method=method,
        amount=order.total,
        at=work.now,
        shipping_country=command.address.country if command.address else None,
    )
    past, own_policy = await fraud.gather(suspect)
    policy = own_policy or PaymentPolicy(tenant_id=work.tenant_id)
    if provider in policy.inactive_providers:
        provider = directory.choose(command.payment_method, command.payment_token, policy.inactive_providers)
        method = replace(method, provider=provider)
    payment = Payment.open(
        order.id,
        order.total,
        method,
        splits_of(order, policy.commission_rate),
        work,
        payment_id=UUID(saga.data["payment_id"]),
        own_account=provider in policy.own_accounts,
        assessment=assess(suspect, past, policy),
    )
    if payment.state is PaymentState.FAILED:
        raise PaymentDeclined(reason=payment.failure_reason or "")
    saga.data["review"] = payment.state is PaymentState.REVIEW
    saga.data["charge"] = {
        "provider": provider,
        "own_account": payment.own_account,
        "amount": to_json(order.total),
        "number": order.order_number,
    }
    return payment


async def await_review(saga: Saga, work: Work, payments: Payments) -> None:
    """Go on once a person has looked at a suspicious payment.

    Raises: PaymentDeclined when it was refused, or given up with its order; Waiting.
    """
    payment = await payments.get(UUID(saga.data["payment_id"]))
    if payment is None or payment.state in OVER:
        raise PaymentDeclined(reason="it was refused after a review")
    if payment.state is PaymentState.REVIEW:
        # The decision wakes the saga; one that falls while it is not asleep yet is seen a minute later.
        raise Waiting(min(work.now + ASK_AGAIN_AFTER, saga.deadline))


async def reserve_goods(saga: Saga, work: Work, desk: StockDesk) -> None:
    """Set the goods aside for as long as the checkout may take; asked again, nothing more is set aside.

    Raises: InsufficientStock.
    """
    claims = tuple(
        StockClaim(store_id=UUID(store_id), sku=sku, quantity=quantity)
        for store_id, sku, quantity in saga.data["claims"]
    )
    await desk.reserve(
        ReserveStock(
            order_id=saga.id, claims=claims, purpose=ReservationPurpose.ORDER, expires_at=saga.started_at + RESERVED_FOR
        ),
        work,
    )


async def take_money(saga: Saga, work: Work, provider: PaymentProvider) -> None:
    """Charge the buyer, once under the payment's id; what the provider still thinks about is asked again later.

    Raises: PaymentDeclined, Waiting, ProviderUnreachable.
    """
    asked = saga.data.get("charge")
    if asked is None:
        return
    command = from_json(saga.data["command"], Checkout)
    request = ChargeRequest(
        key=saga.data["payment_id"],
        amount=from_json(asked["amount"], Money),
        method_token=command.payment_token,
        tenant_id=saga.tenant_id,
        order_id=saga.id,
        payment_id=UUID(saga.data["payment_id"]),
        description=asked["number"],
        method=command.payment_method,
        provider=asked["provider"],
        account=_account(saga),
    )
    try:
        outcome = await provider.charge(request)
    except ProviderRefused as refusal:
        raise PaymentDeclined(reason=refusal.reason) from refusal
    if outcome.status in {ChargeStatus.DECLINED, ChargeStatus.VOIDED}:
        raise PaymentDeclined(reason=outcome.reason or "the provider gave no reason")
    if outcome.status is ChargeStatus.PENDING:
        raise Waiting(min(work.now + ASK_AGAIN_AFTER, saga.deadline))
    if outcome.amount != request.amount:
        raise PaymentDeclined(reason="the provider took another amount than it was asked for")
    saga.data["outcome"] = to_json(outcome)


async def settle_order(
    saga: Saga,
    work: Work,
    orders: Orders,
    book: Reservations,
    payments: Payments,
    holds: EscrowHolds,
    ledger: Ledger,
) -> None:
    """Confirm the order, and note the money in payment, escrow, ledger and order together.

    Raises: InvalidStateTransition when the order was cancelled meanwhile; PaymentDeclined when its payment was given up;
        ReservationEnded.
    """
    order = await _order(saga, orders)
    order.confirm(work)
    await commit_stock(CommitStock(order_id=order.id), work, book)
    if "outcome" not in saga.data:
        return
    outcome = from_json(saga.data["outcome"], ChargeOutcome)
    payment = await locked(payments, UUID(saga.data["payment_id"]))
    if payment.state in OVER:
        raise PaymentDeclined(reason=payment.failure_reason or "it was given up")
    if outcome.status is ChargeStatus.CAPTURED:
        await settle_capture(payment, outcome.reference, outcome.amount, outcome.fee, work, holds, ledger)
        order.pay(payment.id, outcome.amount, work)
    else:
        payment.authorized(outcome.reference, outcome.amount, work)
        order.authorize(payment.id, work)


async def look_for_money(saga: Saga, provider: PaymentProvider) -> None:
    """Find out whether anything was taken: what is not taken yet is let go, what is taken will be given back.

    Raises: ProviderUnreachable, ProviderRefused.
    """
    if "charge" not in saga.data:
        return
    account = _account(saga)
    found = await provider.find(saga.data["payment_id"], account=account)
    if found is not None and found.status in {ChargeStatus.AUTHORIZED, ChargeStatus.PENDING}:
        found = await provider.void(found.reference, f"{saga.data['payment_id']}-void", account=account)
    if found is None or found.status is not ChargeStatus.CAPTURED:
        return
    if found.amount == from_json(saga.data["charge"]["amount"], Money):
        saga.data["taken"] = to_json(found)
    else:
        # No payment of ours is of this amount, so our books have no place for it: it goes back where it came from.
        await provider.refund(found.reference, found.amount, f"{saga.data['payment_id']}-refund", account=account)
        saga.data["mistaken"] = to_json(found)


async def withdraw_order(
    saga: Saga,
    work: Work,
    orders: Orders,
    book: Reservations,
    allowances: Allowances,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    carts: Carts,
    queue: JobQueue,
    promises: DeliveryPromises,
    slots: DeliverySlots,
) -> None:
    """Cancel the order, give back stock, discounts and the cart, and see to it that the buyer's money goes back."""
    order = await orders.lock(saga.id)
    if order is None:
        return
    refusal = saga.refusal or {}
    if order.state is not OrderState.CANCELLED:
        order.cancel(_reason(refusal), refusal.get("reason"), work)
        if order.cart_id is not None:
            await give_cart_back(order.cart_id, order.id, work, carts)
    await release_stock(ReleaseStock(order_id=order.id), work, book)
    await allowances.give_back(order.id)
    if saga.data.get("promised"):
        await break_promises(order.id, promises, slots)
    for payment in await payments.by_order(order.id):
        if "mistaken" in saga.data and payment.state not in OVER:
            mistaken = from_json(saga.data["mistaken"], ChargeOutcome)
            payment.mistrust(
                f"{mistaken.status} {mistaken.reference} {mistaken.amount}", "another amount was asked for"
            )
        if not payment.is_paid:
            payment.failed(refusal.get("reason") or "the order was withdrawn")
        if "taken" in saga.data:
            taken = from_json(saga.data["taken"], ChargeOutcome)
            await settle_capture(payment, taken.reference, taken.amount, taken.fee, work, holds, ledger)
            order.pay_late(payment.id, taken.amount, work)
            await give_back(payment, "the order had been cancelled", work, payments, refunds, holds, ledger, queue)


CHECKOUT = processes.add(
    Process.of(
        "checkout",
        Step("place", place_order, undo=withdraw_order),
        Step("reserve", reserve_goods, outside=True),
        Step("review", await_review, needs="review"),
        Step("charge", take_money, undo=look_for_money, outside=True),
        Step("settle", settle_order),
        refusals=(InsufficientStock, PaymentDeclined, ReservationEnded, InvalidStateTransition),
    )
)


def _account(saga: Saga) -> UUID | None:
    # A checkout that was under way when this was not asked yet has none of its own.
    return saga.tenant_id if saga.data["charge"].get("own_account") else None


def _reason(refusal: dict[str, Any]) -> CancelReason:
    return {
        InsufficientStock.code: CancelReason.STOCK_UNAVAILABLE,
        PaymentDeclined.code: CancelReason.PAYMENT_FAILED,
    }.get(str(refusal.get("code")), CancelReason.EXPIRED)


async def _order(saga: Saga, orders: Orders) -> Order:
    order = await orders.lock(saga.id)
    assert order is not None  # noqa: S101 — the first step has placed it.
    return order


async def _destination(command: Checkout, cart: Cart, stores: Stores) -> Destination:
    """Say where it goes, if all stores of the cart sell that way.

    Raises: StoreNotSelling, InvalidInput.
    """
    pickup = command.delivery_method is DeliveryMethod.PICKUP
    found = {store.id: store for store in await stores.many({line.store_id for line in cart.lines})}
    for store in found.values():
        store.expect_selling(SalesChannel.PICKUP if pickup else SalesChannel.DELIVERY)
    first = found.get(cart.lines[0].store_id) if cart.lines else None
    return destination(command.delivery_method, command.address, first.province_code if first else None, "CA")


def _draft(command: Checkout, cart: Cart, quote: CheckoutQuote, to: Destination, number: str, work: Work) -> OrderDraft:
    return OrderDraft(
        number=number,
        cart_id=None if command.lines else cart.id,
        customer_id=work.actor.user_id,
        guest_email=command.guest_email,
        lines=quote.lines,
        currency=quote.currency,
        subtotal=quote.subtotal,
        discount=quote.discount,
        tax=quote.tax,
        delivery_fee=quote.delivery_fee,
        delivery_tax=quote.delivery_tax,
        total=quote.total,
        tax_inclusive=to.tax_inclusive,
        address=to.address,
        delivery_method=command.delivery_method,
        payment_method=command.payment_method,
        codes=tuple(cart.codes),
        notes=command.notes,
        live_session_id=command.live_session_id,
    )
