"""What people do with orders that were placed."""

from dataclasses import dataclass
from uuid import UUID

from domain.kernel import InvalidInput, Work
from domain.orders.events import ReturnLine
from domain.orders.order import Order
from domain.orders.ports import Orders, handles, missing, sees
from domain.orders.record import RANK
from domain.orders.states import FULFILMENT, OrderState

MAX_NOTE = 2_000


@dataclass(frozen=True, kw_only=True)
class UpdateOrderStatus:
    """Bring an order one step further: all parts that the caller acts for, or the one named."""

    order_id: UUID
    status: OrderState
    sub_order_id: UUID | None = None
    tracking_number: str | None = None
    note: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class RequestReturn:
    """Ask to give units of an order back."""

    order_id: UUID
    lines: tuple[ReturnLine, ...]
    reason: str
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class AcceptReturn:
    """Take units back; without `lines` all that were asked for."""

    order_id: UUID
    return_id: UUID
    lines: tuple[ReturnLine, ...] | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class RejectReturn:
    """Refuse to take units back, and say why."""

    order_id: UUID
    return_id: UUID
    note: str


async def update_order_status(command: UpdateOrderStatus, work: Work, orders: Orders) -> Order:
    """Move the parts that the caller acts for.

    Raises: NotFound, InvalidInput, InvalidStateTransition, ConcurrentModification.
    """
    if command.status not in FULFILMENT:
        raise InvalidInput(
            field="status", reason=f"it is one of {', '.join(FULFILMENT)}; the rest follows from other acts"
        )
    _check_texts(command.note, command.tracking_number)
    order = await orders.lock(command.order_id)
    if order is None:
        raise missing(command.order_id)
    order.expect_version(command.expected_version)
    order.move(
        command.status,
        work,
        parts=_parts_of(order, command, work),
        note=command.note,
        tracking_number=command.tracking_number,
    )
    return order


def _parts_of(order: Order, command: UpdateOrderStatus, work: Work) -> list[UUID]:
    own = [part for part in order.sub_orders if handles(work.actor, part)]
    wanted = [part for part in own if command.sub_order_id in {None, part.id}]
    if not wanted:
        raise missing(command.sub_order_id if own and command.sub_order_id else command.order_id)
    behind = [part for part in wanted if RANK[part.state] < RANK[command.status]]
    return [part.id for part in behind or wanted]


async def request_return(command: RequestReturn, work: Work, orders: Orders) -> Order:
    """Ask in the name of the customer.

    Raises: NotFound, InvalidInput, InvalidStateTransition, ReturnWindowClosed, NotReturnable.
    """
    order = await orders.lock(command.order_id)
    if order is None or not sees(work.actor, order):
        raise missing(command.order_id)
    order.request_return(command.lines, command.reason, command.note, work)
    return order


async def accept_return(command: AcceptReturn, work: Work, orders: Orders) -> Order:
    """Take units back; the money follows by a process of its own.

    Raises: NotFound, InvalidInput, InvalidStateTransition, NotReturnable.
    """
    _check_texts(command.note)
    order = await _of_stores(command.order_id, work, orders)
    order.accept_return(command.return_id, work, lines=command.lines, note=command.note)
    return order


async def reject_return(command: RejectReturn, work: Work, orders: Orders) -> Order:
    """Refuse a return.

    Raises: NotFound, InvalidInput, InvalidStateTransition.
    """
    _check_texts(command.note)
    order = await _of_stores(command.order_id, work, orders)
    order.reject_return(command.return_id, command.note, work)
    return order


async def _of_stores(order_id: UUID, work: Work, orders: Orders) -> Order:
    """Give an order to somebody who works for every store that it came from: a return may touch each of them."""
    order = await orders.lock(order_id)
    if order is None or not all(work.actor.works_at(store_id) for store_id in order.store_ids):
        raise missing(order_id)
    return order


def _check_texts(*texts: str | None) -> None:
    if any(len(text or "") > MAX_NOTE for text in texts):
        raise InvalidInput(field="note", reason=f"it has at most {MAX_NOTE:,} characters")
