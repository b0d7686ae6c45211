"""Orders for change: loaded from their events, and saved as events and projection with the transaction."""

from collections import deque
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from data.direct import direct
from data.event_log import EventStore
from data.kernel import implements
from data.orders.projection import watch, watched
from data.orders.tables import order as order_table
from domain.orders import Order, Orders, order_number

_NO_TENANT = UUID(int=0)
_LOCK = 'SELECT FROM orders."order" WHERE id = $1 AND tenant_id = :tenant FOR UPDATE'
_SERIALS = "SELECT nextval('orders.order_serial') AS serial FROM generate_series(1, $1::int)"

SERIALS_AT_ONCE = 20
# Numbers have gaps anyway: every process has some in hand, and what it does not use is lost.
_SPARE: WeakKeyDictionary[Any, deque[int]] = WeakKeyDictionary()


@implements(Orders)
class SqlOrders:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._store = EventStore(session)

    def add(self, order: Order) -> None:
        self._store.add(order)
        watch(self._session.info, order, written=0)

    async def get(self, order_id: UUID) -> Order | None:
        # The first event says whose it is, and nobody else's events are to be seen here.
        order = await self._store.load(Order(id=order_id, tenant_id=_NO_TENANT))
        if order is not None:
            watch(self._session.info, order, written=order.version)
        return order

    async def lock(self, order_id: UUID) -> Order | None:
        if order_id not in watched(self._session.info) and not await direct(self._session, _LOCK, order_id):
            return None
        return await self.get(order_id)

    async def by_number(self, number: str) -> Order | None:
        row = select(order_table.c.id).where(order_table.c.order_number == number)
        order_id = (await self._session.execute(row)).scalar_one_or_none()
        return None if order_id is None else await self.get(order_id)

    async def next_numbers(self, day: date, count: int = 1) -> Sequence[str]:
        spare = _SPARE.setdefault(self._session.sync_session.get_bind(), deque())
        if len(spare) < count:
            spare.extend(row["serial"] for row in await direct(self._session, _SERIALS, max(count, SERIALS_AT_ONCE)))
        return [order_number(day, spare.popleft()) for _ in range(count)]
