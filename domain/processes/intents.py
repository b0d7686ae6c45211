"""Paying for an order that waits for its buyer: what the buyer's client needs to go on, and that it has gone on."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import DomainError, Work
from domain.money import Money
from domain.orders import Order, Orders
from domain.orders.carts import Carts
from domain.orders.ports import missing
from domain.payments.methods import MethodKind
from domain.payments.payment import Payment, Payments, PaymentState
from domain.payments.providers import ChargeRequest, ChargeStatus, PaymentProvider
from domain.sagas import Sagas, SagaState


@dataclass(eq=False)
class NotAwaitingPayment(DomainError):
    """Nothing is to be paid for the order at the moment, or not by its buyer."""

    number: str
    template = "Order {number} does not wait for a payment."


@dataclass(frozen=True, kw_only=True)
class CreatePaymentIntent:
    """Say what the buyer's client needs to pay for an order; a guest names the order's cart by its token."""

    order_id: UUID
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmPayment:
    """Say that the buyer has done their part, so that the provider is asked now and not a minute later."""

    order_id: UUID
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentIntent:
    """A payment that waits for its buyer, as its provider knows it.

    `next_action` is what the buyer's client needs, such as a client secret; `reference` is what a bank transfer names.
    """

    payment_id: UUID
    order_id: UUID
    provider: str
    status: ChargeStatus
    amount: Money
    reference: str
    next_action: str | None = None
    reason: str | None = None


async def create_payment_intent(
    command: CreatePaymentIntent,
    work: Work,
    orders: Orders,
    carts: Carts,
    payments: Payments,
    sagas: Sagas,
    provider: PaymentProvider,
) -> PaymentIntent:
    """Ask the provider how the payment of an order stands; it was begun by the checkout, under the same key.

    Raises: NotFound, NotAwaitingPayment, ProviderRefused, ProviderUnreachable.
    """
    order, payment = await _awaited(command.order_id, command.token, work, orders, carts, payments, sagas)
    # The checkout has asked under this key, so that no money can move here that it does not know of.
    outcome = await provider.charge(charge_request(payment, order.order_number))
    if outcome.status is not ChargeStatus.PENDING:
        await sagas.wake(order.id, work.now)
    return PaymentIntent(
        payment_id=payment.id,
        order_id=order.id,
        provider=payment.provider,
        status=outcome.status,
        amount=payment.amount,
        reference=outcome.reference,
        next_action=outcome.next_action,
        reason=outcome.reason,
    )


async def confirm_payment(
    command: ConfirmPayment, work: Work, orders: Orders, carts: Carts, payments: Payments, sagas: Sagas
) -> Payment:
    """Have the checkout ask the provider again at once; what has come of it, the provider says and nobody else.

    Raises: NotFound, NotAwaitingPayment.
    """
    order, payment = await _awaited(command.order_id, command.token, work, orders, carts, payments, sagas)
    await sagas.wake(order.id, work.now)
    return payment


def charge_request(payment: Payment, description: str) -> ChargeRequest:
    """Give what the provider is asked for a payment: always the same, so that its key may be used again."""
    return ChargeRequest(
        key=str(payment.id),
        amount=payment.amount,
        method_token=payment.method_token,
        tenant_id=payment.tenant_id,
        order_id=payment.order_id,
        payment_id=payment.id,
        description=description,
        method=payment.method_kind,
        provider=payment.provider,
        account=payment.account,
    )


async def _awaited(
    order_id: UUID, token: str | None, work: Work, orders: Orders, carts: Carts, payments: Payments, sagas: Sagas
) -> tuple[Order, Payment]:
    order = await orders.get(order_id)
    if order is None or not await _is_theirs(order, token, work, carts):
        raise missing(order_id)
    # Only a checkout that waits has asked its provider before: whatever else there is, its money is not to be touched.
    saga = await sagas.find(order.id)
    waits = saga is not None and saga.state is SagaState.WAITING
    payment_id = UUID(saga.data["payment_id"]) if saga is not None and waits else order.payment_id
    payment = None if payment_id is None else await payments.get(payment_id)
    if payment is None or not (_is_awaited_transfer(payment) or (waits and payment.state is PaymentState.PENDING)):
        raise NotAwaitingPayment(number=order.order_number)
    return order, payment


def _is_awaited_transfer(payment: Payment) -> bool:
    # Its order stands, and its buyer still has to know what to write on it.
    return payment.method_kind is MethodKind.BANK_TRANSFER and payment.state is PaymentState.AUTHORIZED


async def _is_theirs(order: Order, token: str | None, work: Work, carts: Carts) -> bool:
    if order.customer_id is not None:
        return order.customer_id == work.actor.user_id
    cart = None if token is None else await carts.by_token(token)
    return cart is not None and cart.id == order.cart_id
