"""What is read of deliveries, in batches and in pages."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Integer, Text, Uuid, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from data.database import Reads
from data.delivery.tables import batch, delivery, driver, method, scan, slot, zone
from data.event_log import event_log
from data.kernel import implements
from data.paging import Listing, equals
from data.statements import Statement
from domain.delivery.geography import Position
from domain.delivery.ports import DeliveryFilter, DeliveryReads, DispatchReads, OfferingReads
from domain.delivery.positions import Leg
from domain.delivery.states import OVER, WITH_THE_DRIVER, BatchState, DeliveryState
from domain.paging import Page, PageRequest

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_TEXTS = bindparam("keys", type_=ARRAY(Text))
_STORES = bindparam("store_ids", type_=ARRAY(Uuid))
_STORE = bindparam("store_id", type_=Uuid)
_BUSY = [str(each) for each in sorted(WITH_THE_DRIVER)]

_BY_ID = Statement(select(delivery).where(delivery.c.id == func.any(_IDS)))
_BY_NUMBER = Statement(select(delivery).where(delivery.c.tracking_number == func.any(_TEXTS)))
_OF_ORDERS = Statement(
    select(delivery).where(delivery.c.order_id == func.any(_IDS)).order_by(delivery.c.order_id, delivery.c.id)
)
_TOURS = Statement(
    select(delivery)
    .where(delivery.c.driver_id == func.any(_IDS), delivery.c.state == func.any(_BUSY))
    .order_by(delivery.c.driver_id, delivery.c.place_in_batch.nulls_first(), delivery.c.id)
)
_LEGS = Statement(
    select(
        delivery.c.id,
        delivery.c.driver_id,
        delivery.c.latitude,
        delivery.c.longitude,
        delivery.c.store_latitude,
        delivery.c.store_longitude,
    )
    .where(delivery.c.driver_id == func.any(_IDS), delivery.c.state == str(DeliveryState.EN_ROUTE))
    .order_by(delivery.c.driver_id, delivery.c.id)
)
_OPEN = Statement(
    select(delivery)
    .where(delivery.c.store_id == _STORE, delivery.c.state != func.all([str(each) for each in sorted(OVER)]))
    .order_by(delivery.c.id)
    .limit(bindparam("size", type_=Integer))
)
_HISTORY = Statement(
    select(
        event_log.c.aggregate_id.label("delivery_id"),
        event_log.c.event_id.label("id"),
        event_log.c.name,
        event_log.c.data["state"].astext.label("state"),
        event_log.c.data["fence"].astext.label("fence"),
        event_log.c.data["reason"].astext.label("reason"),
        event_log.c.data["note"].astext.label("note"),
        cast(event_log.c.metadata["user_id"].astext, PG_UUID).label("user_id"),
        event_log.c.data["at"].astext.label("moment"),
    )
    .where(event_log.c.aggregate_id == func.any(_IDS), event_log.c.aggregate_type == "Delivery")
    .order_by(event_log.c.aggregate_id, event_log.c.version)
)
_SCANS = Statement(select(scan).where(scan.c.delivery_id == func.any(_IDS)).order_by(scan.c.at, scan.c.id))
_was_timed = delivery.c.window_closes.is_not(None)
_ON_TIME = Statement(
    select(
        func.count().label("delivered"),
        func.count().filter(_was_timed).label("timed"),
        func.count().filter(_was_timed, delivery.c.delivered_at <= delivery.c.window_closes).label("on_time"),
    ).where(delivery.c.store_id == _STORE, delivery.c.delivered_at >= bindparam("since", type_=delivery.c.made_at.type))
)
_DELIVERIES = Listing(
    select(delivery),
    [delivery.c.id.desc()],
    **equals(
        delivery.c.state,
        delivery.c.mode,
        delivery.c.store_id,
        delivery.c.driver_id,
        delivery.c.order_id,
        delivery.c.batch_id,
    ),
    made_from=delivery.c.made_at >= bindparam("made_from", type_=delivery.c.made_at.type),
    made_until=delivery.c.made_at < bindparam("made_until", type_=delivery.c.made_at.type),
    store_ids=delivery.c.store_id == func.any(_STORES),
)
_DRIVERS = Statement(select(driver).where(driver.c.user_id == func.any(_IDS)))
_DRIVERS_OF_STORE = Statement(select(driver).where(driver.c.store_id == _STORE).order_by(driver.c.id))
_BATCHES_BY_ID = Statement(select(batch).where(batch.c.id == func.any(_IDS)))
_BATCHES = Listing(select(batch), [batch.c.id.desc()], **equals(batch.c.store_id, batch.c.state))
_OF_BATCHES = Statement(
    select(delivery)
    .where(delivery.c.batch_id == func.any(_IDS))
    .order_by(delivery.c.batch_id, delivery.c.place_in_batch, delivery.c.id)
)
_ZONES_BY_ID = Statement(select(zone).where(zone.c.id == func.any(_IDS)))
_ZONES_OF = Statement(select(zone).where(zone.c.store_id == func.any(_IDS)).order_by(zone.c.store_id, zone.c.id))
_METHODS = Statement(
    select(method)
    .where(or_(method.c.store_id.is_(None), method.c.store_id == func.any(_STORES)), method.c.is_active)
    .order_by(method.c.id)
)
_METHODS_BY_ID = Statement(select(method).where(method.c.id == func.any(_IDS)))
_slot = select(slot, (slot.c.capacity - slot.c.booked).label("available"))
_SLOTS_BY_ID = Statement(_slot.where(slot.c.id == func.any(_IDS)))
_SLOTS = Statement(
    _slot.where(
        slot.c.store_id == func.any(_IDS),
        slot.c.day.between(bindparam("first_day", type_=Date), bindparam("last_day", type_=Date)),
    ).order_by(slot.c.store_id, slot.c.starts_at, slot.c.id)
)


@implements(DeliveryReads)
class SqlDeliveryReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids)

    async def by_number(self, numbers: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_BY_NUMBER, numbers, "tracking_number")

    async def of_orders(self, order_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_OF_ORDERS, order_ids, "order_id")

    async def matching(
        self, wanted: DeliveryFilter, store_ids: Collection[UUID] | None, page: PageRequest
    ) -> Page[Any]:
        return await _DELIVERIES.page(
            self._reads,
            page,
            state=wanted.state,
            mode=wanted.mode,
            store_id=wanted.store_id,
            driver_id=wanted.driver_id,
            order_id=wanted.order_id,
            batch_id=wanted.batch_id,
            made_from=wanted.made_from,
            made_until=wanted.made_until,
            store_ids=None if store_ids is None else list(store_ids),
        )

    async def history(self, ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_HISTORY, ids, "delivery_id")

    async def tours(self, driver_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_TOURS, driver_ids, "driver_id")

    async def legs(self, driver_ids: Sequence[UUID]) -> list[list[Leg]]:
        return [[_leg(row) for row in rows] for rows in await self._reads.grouped(_LEGS, driver_ids, "driver_id")]

    async def open_in_store(self, store_id: UUID, limit: int) -> list[Any]:
        return list(await self._reads.rows(_OPEN, store_id=store_id, size=limit))

    async def scans(self, ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_SCANS, ids, "delivery_id")

    async def on_time(self, store_id: UUID, since: datetime) -> Any:
        return await self._reads.row(_ON_TIME, store_id=store_id, since=since)


def _leg(row: Any) -> Leg:
    door, store = (row.latitude, row.longitude), (row.store_latitude, row.store_longitude)
    return Leg(
        delivery_id=row.id,
        door=None if None in door else Position(*door),
        store=None if None in store else Position(*store),
    )


@implements(DispatchReads)
class SqlDispatchReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def drivers(self, user_ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_DRIVERS, user_ids, "user_id")

    async def drivers_of_store(self, store_id: UUID) -> list[Any]:
        return list(await self._reads.rows(_DRIVERS_OF_STORE, store_id=store_id))

    async def batches_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_BATCHES_BY_ID, ids)

    async def batches(self, store_id: UUID, state: BatchState | None, page: PageRequest) -> Page[Any]:
        return await _BATCHES.page(self._reads, page, store_id=store_id, state=state)

    async def deliveries_of(self, batch_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_OF_BATCHES, batch_ids, "batch_id")


@implements(OfferingReads)
class SqlOfferingReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def zones_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_ZONES_BY_ID, ids)

    async def zones_of(self, store_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_ZONES_OF, store_ids, "store_id")

    async def methods(self, store_ids: Collection[UUID]) -> list[Any]:
        return list(await self._reads.rows(_METHODS, store_ids=list(store_ids)))

    async def methods_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_METHODS_BY_ID, ids)

    async def slots_by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_SLOTS_BY_ID, ids)

    async def slots(self, store_ids: Sequence[UUID], first_day: date, last_day: date) -> list[list[Any]]:
        return await self._reads.grouped(_SLOTS, store_ids, "store_id", first_day=first_day, last_day=last_day)
