"""What stock hears of orders."""

from uuid import UUID

from domain.inventory.book import Reservations
from domain.inventory.holding import ReleaseStock, release_stock, reserve_stock
from domain.inventory.reservations import ReserveStock, StockClaim
from domain.jobs import JobQueue
from domain.kernel import Envelope, Subscriptions, Work

subscriptions = Subscriptions("inventory")


@subscriptions.on("order.created")
async def reserve_ordered(envelope: Envelope, work: Work, reservations: Reservations, queue: JobQueue) -> None:
    """Reserve for an order that did not come by a checkout, as by telephone: a checkout reserves for itself.

    Raises: InsufficientStock.
    """
    draft = envelope.data["draft"]
    if draft["order_type"] == "online":
        return
    claims = tuple(
        StockClaim(store_id=UUID(line["store_id"]), sku=line["sku"], quantity=line["quantity"])
        for line in draft["lines"]
    )
    await reserve_stock(ReserveStock(order_id=envelope.aggregate_id, claims=claims), work, reservations, queue)


@subscriptions.on("order.cancelled")
async def release_cancelled(envelope: Envelope, work: Work, reservations: Reservations) -> None:
    """Let a cancelled order hold nothing, whoever cancelled it."""
    await release_stock(ReleaseStock(order_id=envelope.aggregate_id), work, reservations)
