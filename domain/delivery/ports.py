"""What deliveries need of storage, and who may see them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.delivery.deliveries import Delivery
from domain.delivery.drivers import DISPATCH
from domain.delivery.positions import Leg
from domain.delivery.states import BatchState, DeliveryMode, DeliveryState
from domain.kernel import NotFound, Principal
from domain.paging import Page, PageRequest


class Deliveries(Protocol):
    """Deliveries for change, locked until the transaction ends."""

    def add(self, delivery: Delivery) -> None: ...

    async def lock(self, delivery_id: UUID) -> Delivery | None: ...

    async def lock_many(self, delivery_ids: Collection[UUID]) -> Sequence[Delivery]:
        """Give those that there are."""
        ...

    async def many(self, delivery_ids: Collection[UUID]) -> Sequence[Delivery]:
        """Give those that there are without a lock; of two that change one at the same time, the second is refused."""
        ...

    async def by_reference(self, carrier: str, reference: str) -> Delivery | None: ...

    async def of_order(self, order_id: UUID) -> Sequence[Delivery]: ...

    async def open_in_batch(self, batch_id: UUID) -> int:
        """Count what is still to be delivered of a tour."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries are wanted; the time runs from `made_from` up to and without `made_until`."""

    state: DeliveryState | None = None
    mode: DeliveryMode | None = None
    store_id: UUID | None = None
    driver_id: UUID | None = None
    order_id: UUID | None = None
    batch_id: UUID | None = None
    made_from: datetime | None = None
    made_until: datetime | None = None


class DeliveryReads(Protocol):
    """Batch reads, each in the order of its keys, and lists, the newest first."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def by_number(self, numbers: Sequence[str]) -> list[Any | None]: ...

    async def of_orders(self, order_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def matching(
        self, wanted: DeliveryFilter, store_ids: Collection[UUID] | None, page: PageRequest
    ) -> Page[Any]: ...

    async def history(self, ids: Sequence[UUID]) -> list[list[Any]]:
        """Give what happened to each delivery, the first first: name, state, at, user_id."""
        ...

    async def tours(self, driver_ids: Sequence[UUID]) -> list[list[Any]]:
        """Give what each driver has to deliver, in the order of the tour."""
        ...

    async def legs(self, driver_ids: Sequence[UUID]) -> list[list[Leg]]:
        """Give what each driver is on the way with."""
        ...

    async def open_in_store(self, store_id: UUID, limit: int) -> list[Any]:
        """Give what is to be delivered from a store, the oldest first."""
        ...

    async def scans(self, ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def on_time(self, store_id: UUID, since: datetime) -> Any:
        """Count what was delivered since then: `delivered`, and of those with a window `timed` and `on_time`."""
        ...


class DispatchReads(Protocol):
    """Drivers and tours to look at."""

    async def drivers(self, user_ids: Sequence[UUID]) -> list[Any | None]: ...

    async def drivers_of_store(self, store_id: UUID) -> list[Any]: ...

    async def batches_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def batches(self, store_id: UUID, state: BatchState | None, page: PageRequest) -> Page[Any]: ...

    async def deliveries_of(self, batch_ids: Sequence[UUID]) -> list[list[Any]]: ...


class OfferingReads(Protocol):
    """What stores offer: zones, ways to send something, and slots."""

    async def zones_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def zones_of(self, store_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def methods(self, store_ids: Collection[UUID]) -> list[Any]:
        """Give the methods of some stores, and those that all stores offer."""
        ...

    async def methods_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def slots_by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def slots(self, store_ids: Sequence[UUID], first_day: date, last_day: date) -> list[list[Any]]: ...


def sees(actor: Principal, delivery: Any) -> bool:
    """Say whether somebody may see a delivery: whose it is, who drives it, and those who dispatch in its store."""
    if actor.user_id is not None and actor.user_id in {delivery.customer_id, delivery.driver_id}:
        return True
    return dispatches(actor, delivery.store_id)


def dispatches(actor: Principal, store_id: UUID) -> bool:
    """Say whether somebody sends drivers out for a store."""
    return actor.may(DISPATCH) and actor.works_at(store_id)


def missing(delivery_id: object) -> NotFound:
    """Make the refusal of a delivery that the caller does not see, or that there is not."""
    return NotFound(kind="Delivery", id=str(delivery_id))
