"""What moves with an order: goods that leave the shelves when it is shipped, and come back with the money when it is returned."""

from collections.abc import Mapping
from uuid import UUID

from domain.inventory import (
    ConsumeStock,
    Reservations,
    StockChange,
    StockClaim,
    StockJournal,
    StockLevels,
    consume_stock,
)
from domain.jobs import JobQueue
from domain.kernel import Work
from domain.orders import AcceptReturn, Order, Orders, OrderState, UpdateOrderStatus
from domain.orders import accept_return as accept
from domain.orders import update_order_status as move
from domain.payments.escrow import EscrowHolds
from domain.payments.ledger import Ledger
from domain.payments.payment import Payments
from domain.payments.refunds import RefundPayment, Refunds, request_refund
from domain.payments.splits import RefundPart
from domain.processes.paying import ask_to_send

_GONE = frozenset({OrderState.SHIPPED, OrderState.DELIVERED, OrderState.COMPLETED})


async def update_order_status(
    command: UpdateOrderStatus, work: Work, orders: Orders, reservations: Reservations
) -> Order:
    """Bring an order further; what is shipped, or picked up, leaves the shelves with it.

    Raises: NotFound, InvalidInput, InvalidStateTransition, ConcurrentModification, ReservationEnded.
    """
    order = await move(command, work, orders)
    if command.status not in _GONE or not (await reservations.of_orders([order.id])).get(order.id):
        return order
    gone = {line_id for part in order.sub_orders if part.state in _GONE for line_id in part.line_ids}
    claims = tuple(
        StockClaim(store_id=line.store_id, sku=line.sku, quantity=line.quantity)
        for line in order.lines
        if line.id in gone
    )
    await consume_stock(ConsumeStock(order_id=order.id, claims=claims), work, reservations)
    return order


async def accept_return(
    command: AcceptReturn,
    work: Work,
    orders: Orders,
    levels: StockLevels,
    journal: StockJournal,
    payments: Payments,
    refunds: Refunds,
    holds: EscrowHolds,
    ledger: Ledger,
    queue: JobQueue,
) -> Order:
    """Take units back onto their shelves, and send the buyer what they cost.

    Raises: NotFound, InvalidInput, InvalidStateTransition, NotReturnable, RefundExceedsPayment.
    """
    order = await accept(command, work, orders)
    returned = next(each for each in order.returns if each.id == command.return_id)
    units = {each.line_id: each.quantity for each in returned.lines}
    lines = [line for line in order.lines if line.id in units]
    for line in sorted(lines, key=lambda each: (each.store_id, each.sku)):
        level = await levels.lock(line.store_id, line.sku)
        if level is not None:
            note = f"order {order.order_number}"
            await journal.add(level.adjust(units[line.id], StockChange.RETURN, note, work))
    payment = next((each for each in await payments.by_order(order.id) if each.is_paid), None)
    if payment is not None and returned.refund_minor:
        wanted = RefundPayment(
            payment_id=payment.id,
            parts=_parts(order, units),
            reason="goods came back",
            refund_id=command.return_id,
        )
        refund = await request_refund(wanted, work, payments, refunds, holds, ledger)
        await ask_to_send(refund.id, queue)
    return order


def _parts(order: Order, units: Mapping[UUID, int]) -> tuple[RefundPart, ...]:
    """Say whose goods come back, and the tax on them: every seller gives back what that seller was paid for."""
    of_line = {line_id: part.id for part in order.sub_orders for line_id in part.line_ids}
    sums: dict[UUID, list[int]] = {}
    for line in order.lines:
        if line.id in units:
            now = order.returned_units(line.id)
            before = now - units[line.id]
            tax = line.tax.amount_minor * now // line.quantity - line.tax.amount_minor * before // line.quantity
            goods = line.share_of(now) - line.share_of(before) - tax
            part = sums.setdefault(of_line[line.id], [0, 0])
            part[0] += goods
            part[1] += tax
    return tuple(
        RefundPart(sub_order_id=part_id, goods_minor=goods, tax_minor=tax)
        for part_id, (goods, tax) in sums.items()
        if goods + tax
    )
