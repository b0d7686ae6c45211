"""Deliveries, and what they are made of, for change."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from data.delivery.silence import SILENT
from data.delivery.tables import promise, scan
from data.kernel import implements
from domain.delivery.batches import DeliveryBatch, DeliveryBatches
from domain.delivery.carriers import CarrierScans, KeptScan
from domain.delivery.deliveries import Delivery
from domain.delivery.drivers import Driver, Drivers
from domain.delivery.methods import ShippingMethod, ShippingMethods
from domain.delivery.offers import DeliveryPromise, DeliveryPromises
from domain.delivery.ports import Deliveries
from domain.delivery.slots import DeliverySlot, DeliverySlots
from domain.delivery.states import WITH_THE_DRIVER
from domain.delivery.zones import DeliveryZone, DeliveryZones

_PROMISED = [column for column in promise.c if column.name != "version"]


async def _one(session: AsyncSession, wanted: Select[Any]) -> Any:
    # What another transaction has changed while this one waited for the lock is to be seen.
    fresh = wanted.execution_options(populate_existing=True)
    await session.flush()
    return (await session.scalars(fresh)).one_or_none()


async def _count(session: AsyncSession, wanted: Select[Any]) -> int:
    await session.flush()
    return int((await session.scalar(wanted)) or 0)


@implements(DeliveryZones)
class SqlDeliveryZones:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, zone: DeliveryZone) -> None:
        SILENT.end(zone.store_id)
        self._session.add(zone)

    async def lock(self, zone_id: UUID) -> DeliveryZone | None:
        found: DeliveryZone | None = await _one(
            self._session, select(DeliveryZone).filter_by(id=zone_id).with_for_update()
        )
        return found


@implements(ShippingMethods)
class SqlShippingMethods:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, method: ShippingMethod) -> None:
        SILENT.end(method.store_id)
        self._session.add(method)

    async def lock(self, method_id: UUID) -> ShippingMethod | None:
        found: ShippingMethod | None = await _one(
            self._session, select(ShippingMethod).filter_by(id=method_id).with_for_update()
        )
        return found


@implements(DeliverySlots)
class SqlDeliverySlots:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, slot: DeliverySlot) -> None:
        self._session.add(slot)

    async def lock(self, slot_id: UUID) -> DeliverySlot | None:
        found: DeliverySlot | None = await _one(
            self._session, select(DeliverySlot).filter_by(id=slot_id).with_for_update()
        )
        return found


@implements(DeliveryPromises)
class SqlDeliveryPromises:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def keep(self, promises: Sequence[DeliveryPromise]) -> None:
        if promises:
            await self._session.execute(insert(promise), [asdict(each) for each in promises])

    async def take(self, order_id: UUID, store_id: UUID | None = None) -> Sequence[DeliveryPromise]:
        gone = delete(promise).where(promise.c.order_id == order_id).returning(*_PROMISED)
        if store_id is not None:
            gone = gone.where(promise.c.store_id == store_id)
        return [DeliveryPromise(**row) for row in (await self._session.execute(gone)).mappings()]


@implements(Deliveries)
class SqlDeliveries:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, delivery: Delivery) -> None:
        self._session.add(delivery)

    async def lock(self, delivery_id: UUID) -> Delivery | None:
        found: Delivery | None = await _one(self._session, select(Delivery).filter_by(id=delivery_id).with_for_update())
        return found

    async def lock_many(self, delivery_ids: Collection[UUID]) -> Sequence[Delivery]:
        return (await self._session.scalars(_many(delivery_ids).with_for_update())).all()

    async def many(self, delivery_ids: Collection[UUID]) -> Sequence[Delivery]:
        return (await self._session.scalars(_many(delivery_ids))).all()

    async def by_reference(self, carrier: str, reference: str) -> Delivery | None:
        wanted = select(Delivery).filter_by(carrier=carrier, carrier_reference=reference).with_for_update()
        found: Delivery | None = await _one(self._session, wanted)
        return found

    async def of_order(self, order_id: UUID) -> Sequence[Delivery]:
        wanted = select(Delivery).filter_by(order_id=order_id).order_by(_ID).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def open_in_batch(self, batch_id: UUID) -> int:
        wanted = select(func.count()).select_from(Delivery).filter_by(batch_id=batch_id)
        return await _count(self._session, wanted.where(_STATE.in_(WITH_THE_DRIVER)))


_ID: Any = Delivery.id
_STATE: Any = Delivery.state


def _many(delivery_ids: Collection[UUID]) -> Select[Any]:
    # Whoever locks several does so in one order.
    return select(Delivery).where(_ID.in_(set(delivery_ids))).order_by(_ID)


@implements(Drivers)
class SqlDrivers:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, driver: Driver) -> None:
        self._session.add(driver)

    async def lock(self, user_id: UUID) -> Driver | None:
        found: Driver | None = await _one(self._session, select(Driver).filter_by(user_id=user_id).with_for_update())
        return found

    async def open_deliveries(self, user_id: UUID) -> int:
        wanted = select(func.count()).select_from(Delivery).filter_by(driver_id=user_id)
        return await _count(self._session, wanted.where(_STATE.in_(WITH_THE_DRIVER)))


@implements(DeliveryBatches)
class SqlDeliveryBatches:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, batch: DeliveryBatch) -> None:
        self._session.add(batch)

    async def get(self, batch_id: UUID) -> DeliveryBatch | None:
        return (await self._session.scalars(select(DeliveryBatch).filter_by(id=batch_id))).one_or_none()

    async def lock(self, batch_id: UUID) -> DeliveryBatch | None:
        found: DeliveryBatch | None = await _one(
            self._session, select(DeliveryBatch).filter_by(id=batch_id).with_for_update()
        )
        return found


@implements(CarrierScans)
class SqlCarrierScans:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def keep(self, scans: Sequence[KeptScan]) -> Sequence[KeptScan]:
        rows = [asdict(each) for each in scans]
        fresh = upsert(scan).values(rows).on_conflict_do_nothing().returning(scan.c.id)
        known = set((await self._session.scalars(fresh)).all())
        return [each for each in scans if each.id in known]
