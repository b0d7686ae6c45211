"""Orders for change: loaded from their events, and saved as events and projection with the transaction."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from data.event_log import EventStore
from data.kernel import implements
from data.orders.projection import watch, watched
from data.orders.tables import order as order_table
from domain.orders import Order, Orders, order_number

_NO_TENANT = UUID(int=0)
_SERIAL = func.nextval("orders.order_serial")


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
        if order_id not in watched(self._session.info):
            row = select(order_table.c.id).where(order_table.c.id == order_id).with_for_update()
            if (await self._session.execute(row)).first() is None:
                return None
        return await self.get(order_id)

    async def by_number(self, number: str) -> Order | None:
        row = select(order_table.c.id).where(order_table.c.order_number == number)
        order_id = (await self._session.execute(row)).scalar_one_or_none()
        return None if order_id is None else await self.get(order_id)

    async def next_numbers(self, day: date, count: int = 1) -> Sequence[str]:
        serials = await self._session.scalars(select(_SERIAL).select_from(func.generate_series(1, count)))
        return [order_number(day, serial) for serial in serials]
