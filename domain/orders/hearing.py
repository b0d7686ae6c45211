"""What follows when something happened to an order: what was paid is noted, and time completes it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.money import Money
from domain.orders.ports import Orders
from domain.orders.states import OrderState, PaymentStatus

ACCEPTANCE_PERIOD = timedelta(days=7)
LOOK_AGAIN_AFTER = timedelta(days=1)
COMPLETE = "orders.complete"

_NOT_TO_BE_PAID = frozenset({OrderState.DRAFT, OrderState.PENDING, OrderState.CANCELLED})

subscriptions = Subscriptions("orders")
jobs = Jobs()


@subscriptions.on("order.paid")
async def note_payment(envelope: Envelope, work: Work, orders: Orders) -> None:
    """Note money that was taken by hand, after the order was confirmed; what its checkout has noted already stays."""
    order = await orders.lock(UUID(envelope.data["order_id"]))
    if order is not None and order.state not in _NOT_TO_BE_PAID:
        amount = Money(envelope.data["amount_minor"], envelope.data["currency"])
        order.pay(UUID(envelope.data["payment_id"]), amount, work)


@subscriptions.on("payment.failed")
async def note_failure(envelope: Envelope, work: Work, orders: Orders) -> None:
    """Note that a payment came to nothing, where the order waits for it; its checkout withdraws the order itself."""
    order = await orders.lock(UUID(envelope.data["order_id"]))
    if order is not None and order.state is OrderState.CONFIRMED and order.payment_status is not PaymentStatus.PAID:
        order.fail_payment(envelope.aggregate_id, envelope.data["reason"], work)


@subscriptions.on("order.delivered")
async def await_acceptance(envelope: Envelope, queue: JobQueue) -> None:
    """Give the buyer time to complain before the order counts as completed."""
    await _complete_at(envelope.aggregate_id, datetime.fromisoformat(envelope.data["at"]) + ACCEPTANCE_PERIOD, queue)


@jobs.on(COMPLETE)
async def complete_order(payload: Mapping[str, Any], work: Work, orders: Orders, queue: JobQueue) -> None:
    """Complete what was delivered and kept; while a return is undecided, nobody knows what is kept."""
    order = await orders.lock(UUID(payload["order_id"]))
    if order is None or not order.awaits_completion:
        return
    if order.has_open_returns:
        await _complete_at(order.id, work.now + LOOK_AGAIN_AFTER, queue)
    else:
        order.complete(work)


async def _complete_at(order_id: UUID, due: datetime, queue: JobQueue) -> None:
    await queue.defer(COMPLETE, {"order_id": str(order_id)}, at=due, key=str(order_id))
