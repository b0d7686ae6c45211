"""Verbs of orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import orders
from domain.kernel import InvalidInput, NotFound
from domain.orders import (
    OrderFilter,
    OrderReads,
    OrderScope,
    OrderState,
    SubOrderFilter,
    handles,
    missing,
    order_topic,
    sees,
    store_topic,
)
from domain.orders.ports import READ
from domain.paging import Page, PageRequest
from domain.processes import fulfilling, reordering
from domain.topics import TopicEvent
from resolvers.kernel import Context, Feed, state_feed, transacts

update_order_status = transacts(fulfilling.update_order_status)
request_return = transacts(orders.request_return)
accept_return = transacts(fulfilling.accept_return)
reject_return = transacts(orders.reject_return)
reorder = transacts(reordering.reorder)

MAX_SEARCH = 200
_OVER = frozenset({OrderState.CANCELLED, OrderState.RETURNED})


@dataclass(frozen=True)
class OrderChange:
    """How an order stands after something happened to it."""

    cursor: str
    order: Any


@dataclass(frozen=True)
class StoreOrder:
    """What a store has to do for an order that was placed."""

    cursor: str
    sub_orders: Sequence[Any]


async def orders_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the orders that the caller may see whole: one's own, and those of stores that one works at."""
    return _seen(context, await context.read(OrderReads).by_id(ids))


async def orders_by_number(context: Context, numbers: Sequence[str]) -> Sequence[Any]:
    return _seen(context, await context.read(OrderReads).by_number(numbers))


def _seen(context: Context, found: Sequence[Any]) -> Sequence[Any]:
    return [row if row is not None and sees(context.principal, row) else None for row in found]


async def parts_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    """Give the parts that the caller sells, or whose order the caller may see."""
    found = await context.read(OrderReads).parts_by_id(ids)
    others = {row.order_id for row in found if row is not None and not handles(context.principal, row)}
    whole = await orders_by_id(context, sorted(others)) if others else ()
    seen = {row.id for row in whole if row is not None}
    return [row if row is not None and (row.order_id not in others or row.order_id in seen) else None for row in found]


async def lines_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(OrderReads).lines(order_ids)


async def lines_of_parts(context: Context, sub_order_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(OrderReads).lines_of_parts(sub_order_ids)


async def parts_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(OrderReads).parts(order_ids)


async def addresses_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    """Say where parts go, to those who send them; the caller sees the parts already."""
    found = await context.read(OrderReads).by_id(order_ids)
    return [None if row is None else row.address for row in found]


async def history_of_orders(context: Context, order_ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(OrderReads).history(order_ids)


async def orders_of_users(context: Context, user_ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await context.read(OrderReads).of_customers(user_ids, page)


async def order(context: Context, id: UUID | None = None, number: str | None = None) -> Any:  # noqa: A002 — the GraphQL argument's name.
    if (id is None) == (number is None):
        raise InvalidInput(field="id", reason="name the order by its id or by its number")
    return await (context.load(orders_by_id, id) if number is None else context.load(orders_by_number, number))


async def track_order(context: Context, number: str) -> Any:
    """Give an order to whoever knows its number; the type that shows it has nothing of its buyer."""
    (found,) = await context.read(OrderReads).by_number([number])
    return found


async def my_orders(
    context: Context,
    page: PageRequest,
    filter: OrderFilter | None = None,  # noqa: A002 — GraphQL's conventional name.
    search: str | None = None,
) -> Page[Any]:
    scope = OrderScope(customer_id=context.principal.require_user(), search=_searched(search))
    return await context.read(OrderReads).matching(filter or OrderFilter(), scope, page)


async def all_orders(
    context: Context,
    page: PageRequest,
    filter: OrderFilter | None = None,  # noqa: A002 — GraphQL's conventional name.
    store_id: UUID | None = None,
    customer_id: UUID | None = None,
    search: str | None = None,
) -> Page[Any]:
    """List the orders of a store, or of all stores that the caller works at."""
    if store_id is not None:
        _require_store(context, store_id)
    mine = None if context.principal.may("stores.any") else context.principal.store_ids
    scope = OrderScope(
        customer_id=customer_id,
        store_ids=mine if store_id is None else [store_id],
        search=_searched(search),
    )
    return await context.read(OrderReads).matching(filter or OrderFilter(), scope, page)


async def seller_orders(
    context: Context,
    page: PageRequest,
    filter: SubOrderFilter | None = None,  # noqa: A002 — GraphQL's conventional name.
) -> Page[Any]:
    """List what the caller sells, and what the stores do that the caller works at."""
    caller = context.principal
    seller_id: UUID | None = caller.require_user()
    stores = caller.store_ids if caller.may(READ) else frozenset[UUID]()
    if caller.may(READ) and caller.may("stores.any"):
        return await context.read(OrderReads).seller_parts(filter or SubOrderFilter(), None, None, page)
    return await context.read(OrderReads).seller_parts(filter or SubOrderFilter(), seller_id, stores, page)


async def order_events(context: Context, page: PageRequest, id: UUID) -> Page[Any]:  # noqa: A002 — the GraphQL argument's name.
    if await context.load(orders_by_id, id) is None:
        raise missing(id)
    return await context.read(OrderReads).events(id, page)


async def order_status_changed(context: Context, order_id: UUID, after: str | None = None) -> Feed:
    """Follow an order from how it stands, until nothing more can happen to it."""

    async def load(context: Context) -> Any:
        found = await context.load(orders_by_id, order_id)
        if found is None:
            raise missing(order_id)
        return found

    await load(context)
    return state_feed(order_topic(order_id), load, OrderChange, after, last=lambda change: change.order.state in _OVER)


async def new_store_orders(context: Context, store_id: UUID, after: str | None = None) -> Feed:
    """Follow what is ordered in a store."""
    _require_store(context, store_id)

    async def values(context: Context, events: Sequence[TopicEvent]) -> Sequence[Any]:
        ids = [event.aggregate_id for event in events if event.aggregate_id]
        found = await context.read(OrderReads).parts(ids)
        return [
            StoreOrder(event.cursor, [part for part in parts if part.store_id == store_id])
            for event, parts in zip(events, found, strict=True)
        ]

    return Feed(topics=[store_topic(store_id)], values=values, after=after)


def _require_store(context: Context, store_id: UUID) -> None:
    if not context.principal.works_at(store_id):
        raise NotFound(kind="Store", id=str(store_id))


def _searched(search: str | None) -> str | None:
    if search is not None and len(search) > MAX_SEARCH:
        raise InvalidInput(field="search", reason=f"it has at most {MAX_SEARCH} characters")
    return (search or "").strip() or None
