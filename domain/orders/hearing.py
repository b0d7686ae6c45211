"""What follows when something happened to an order: those who watch are told, and time completes it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.orders.ports import OrderFeed, Orders, order_topic, store_topic

ACCEPTANCE_PERIOD = timedelta(days=7)
LOOK_AGAIN_AFTER = timedelta(days=1)
COMPLETE = "orders.complete"

subscriptions = Subscriptions("orders")
jobs = Jobs()


@subscriptions.on(
    "order.confirmed",
    "order.payment_authorized",
    "order.payment_failed",
    "order.payment_received",
    "order.processing",
    "order.ready",
    "order.shipped",
    "order.delivered",
    "order.completed",
    "order.cancelled",
    "order.part_moved",
    "order.refunded",
    "order.return_requested",
    "order.return_rejected",
    "order.returned",
)
async def tell_followers(envelope: Envelope, work: Work, feed: OrderFeed) -> None:
    await feed.announce(work.tenant_id, order_topic(envelope.aggregate_id))


@subscriptions.on("order.created")
async def tell_stores(envelope: Envelope, work: Work, feed: OrderFeed) -> None:
    for store_id in sorted({part["store_id"] for part in envelope.data["sub_orders"]}):
        await feed.announce(work.tenant_id, store_topic(UUID(store_id)))


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
