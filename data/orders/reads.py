"""Orders to look at: pages and histories, read from the projection and from the log."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from data.database import Reads
from data.event_log import event_log
from data.kernel import implements
from data.orders.tables import order, order_line, sub_order
from data.paging import Listing, equals
from data.statements import Statement
from domain.orders import OrderFilter, OrderReads, OrderScope, SubOrderFilter
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(PG_UUID))
_STORES = bindparam("store_ids", type_=ARRAY(PG_UUID))
_order = select(*(column for column in order.c if column is not order.c.words))
_BY_ID = Statement(_order.where(order.c.id == func.any(_IDS)))
_BY_NUMBER = Statement(_order.where(order.c.order_number == func.any(bindparam("keys", type_=ARRAY(Text)))))
_LINES = Statement(
    select(order_line)
    .where(order_line.c.order_id == func.any(_IDS))
    .order_by(order_line.c.order_id, order_line.c.place)
)
_PART_LINES = Statement(
    select(order_line)
    .where(order_line.c.sub_order_id == func.any(_IDS))
    .order_by(order_line.c.sub_order_id, order_line.c.place)
)
_PARTS = Statement(
    select(sub_order).where(sub_order.c.order_id == func.any(_IDS)).order_by(sub_order.c.order_id, sub_order.c.place)
)
_PARTS_BY_ID = Statement(select(sub_order).where(sub_order.c.id == func.any(_IDS)))

_user_id = cast(event_log.c.metadata["user_id"].astext, PG_UUID)
_of_orders = event_log.c.aggregate_type == "Order"
_HISTORY = Statement(
    select(
        event_log.c.aggregate_id.label("order_id"),
        event_log.c.data["state"].astext.label("state"),
        event_log.c.data["note"].astext.label("note"),
        _user_id.label("changed_by"),
        event_log.c.occurred_at.label("at"),
    )
    .where(event_log.c.aggregate_id == func.any(_IDS), _of_orders, event_log.c.data["state"].astext.is_not(None))
    .order_by(event_log.c.aggregate_id, event_log.c.version)
)
_EVENTS = Listing(
    select(
        event_log.c.event_id.label("id"),
        event_log.c.name,
        event_log.c.version,
        event_log.c.data,
        _user_id.label("user_id"),
        event_log.c.occurred_at,
    ).where(event_log.c.aggregate_id == bindparam("order_id", type_=PG_UUID), _of_orders),
    [event_log.c.version],
)
_ORDERS = Listing(
    _order,
    [order.c.id.desc()],
    parent=order.c.customer_id,
    **equals(order.c.state, order.c.payment_status, order.c.customer_id),
    placed_from=order.c.placed_at >= bindparam("placed_from", type_=order.c.placed_at.type),
    placed_until=order.c.placed_at < bindparam("placed_until", type_=order.c.placed_at.type),
    store_ids=order.c.store_ids.overlap(_STORES),
    search=func.strpos(order.c.words, func.lower(bindparam("search", type_=Text))) > 0,
)
_SELLER_PARTS = Listing(
    select(sub_order),
    [sub_order.c.id.desc()],
    **equals(sub_order.c.state, sub_order.c.store_id),
    mine=or_(
        sub_order.c.seller_id == bindparam("seller_id", type_=PG_UUID),
        sub_order.c.store_id == func.any(_STORES),
    ),
)


@implements(OrderReads)
class SqlOrderReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def by_number(self, numbers: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_BY_NUMBER, numbers, "order_number")

    async def lines(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_LINES, order_ids, "order_id")

    async def lines_of_parts(self, sub_order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_PART_LINES, sub_order_ids, "sub_order_id")

    async def parts(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_PARTS, order_ids, "order_id")

    async def parts_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_PARTS_BY_ID, ids)

    async def history(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_HISTORY, order_ids, "order_id")

    async def events(self, order_id: UUID, page: PageRequest) -> Page[Any]:
        return await _EVENTS.page(self._reads, page, order_id=order_id)

    async def matching(self, wanted: OrderFilter, scope: OrderScope, page: PageRequest) -> Page[Any]:
        return await _ORDERS.page(
            self._reads,
            page,
            state=wanted.state,
            payment_status=wanted.payment_status,
            placed_from=wanted.placed_from,
            placed_until=wanted.placed_until,
            customer_id=scope.customer_id,
            store_ids=None if scope.store_ids is None else list(scope.store_ids),
            search=scope.search or None,
        )

    async def of_customers(self, customer_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _ORDERS.pages(self._reads, customer_ids, page)

    async def seller_parts(
        self, wanted: SubOrderFilter, seller_id: UUID | None, store_ids: Collection[UUID] | None, page: PageRequest
    ) -> Page[Any]:
        whose: dict[str, Any] = {}
        if seller_id is not None or store_ids is not None:
            whose = {"mine": True, "seller_id": seller_id or UUID(int=0), "store_ids": list(store_ids or ())}
        return await _SELLER_PARTS.page(self._reads, page, state=wanted.state, store_id=wanted.store_id, **whose)
