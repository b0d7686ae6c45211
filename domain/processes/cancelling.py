"""Calling an order off: stock, discounts and money go back where they came from, in one transaction."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.inventory import ReleaseStock, Reservations, release_stock
from domain.jobs import JobQueue
from domain.kernel import Work
from domain.orders import CancelReason, Order, Orders, missing, sees
from domain.orders.ports import UPDATE
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.payment import Payments
from domain.payments.refunds import Refunds
from domain.pricing import Allowances
from domain.processes.paying import LET_GO, give_back


@dataclass(frozen=True, kw_only=True)
class CancelOrder:
    """Call an order off: one's own while that is possible, or as its seller."""

    id: UUID
    note: str | None = None


async def cancel_order(
    command: CancelOrder,
    work: Work,
    orders: Orders,
    book: Reservations,
    allowances: Allowances,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> Order:
    """Cancel, release what was reserved, return what was used, and send back what was paid.

    Raises: NotFound, InvalidStateTransition, CancellationWindowClosed.
    """
    order = await orders.lock(command.id)
    if order is None or not sees(work.actor, order):
        raise missing(command.id)
    reason = _reason(order, work)
    await call_off(order, reason, command.note, work, book, allowances, payments, refunds, holds, ledger, queue)
    return order


async def call_off(
    order: Order,
    reason: CancelReason,
    note: str | None,
    work: Work,
    book: Reservations,
    allowances: Allowances,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> None:
    """Cancel a locked order with everything that hangs on it.

    Raises: InvalidStateTransition, CancellationWindowClosed.
    """
    order.cancel(reason, note, work)
    why = note or "the order was cancelled"
    await release_stock(ReleaseStock(order_id=order.id), work, book)
    await allowances.give_back(order.id)
    for payment in await payments.by_order(order.id):
        if payment.is_paid:
            await give_back(payment, why, work, payments, refunds, holds, ledger, queue)
        else:
            payment.void(why)
            await queue.defer(LET_GO, {"payment_id": str(payment.id)}, key=f"let go {payment.id}")


def _reason(order: Order, work: Work) -> CancelReason:
    age = work.now - order.placed_at if order.placed_at else timedelta()
    about = {
        "amount_minor": order.total.amount_minor,
        "currency": order.currency,
        "age_hours": int(age.total_seconds() // 3600),
    }
    staff = work.actor.may(UPDATE, about) and any(work.actor.works_at(store_id) for store_id in order.store_ids)
    return CancelReason.SELLER_REQUEST if staff else CancelReason.BUYER_REQUEST
