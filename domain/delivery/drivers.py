"""Drivers: who could deliver something, and what they are doing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.delivery.events import DriverStatusChanged
from domain.delivery.states import DriverStatus, VehicleType
from domain.kernel import Aggregate, DomainError, NotFound, Work

DRIVE = "delivery.drive"
DISPATCH = "delivery.dispatch"
MANAGE = "delivery.manage"


@dataclass(eq=False)
class DriverNotAvailable(DomainError):
    """The driver is on the way already, or not at work."""

    driver_id: str
    status: DriverStatus
    template = "Driver {driver_id} is {status}."


@dataclass(eq=False)
class DriverStillBusy(DomainError):
    """Who has goods in the car cannot go off duty."""

    driver_id: str
    deliveries: int
    template = "Driver {driver_id} still has {deliveries} deliveries."


@dataclass(eq=False, kw_only=True)
class Driver(Aggregate):
    """Somebody who delivers, under the id of their account."""

    user_id: UUID
    store_id: UUID | None = None
    status: DriverStatus = DriverStatus.OFFLINE
    vehicle_type: VehicleType | None = None
    changed_at: datetime | None = None

    def engage(self, work: Work) -> None:
        """Give them something to do. Raises: DriverNotAvailable."""
        if self.status is not DriverStatus.AVAILABLE:
            raise DriverNotAvailable(driver_id=str(self.user_id), status=self.status)
        self._become(DriverStatus.BUSY, work)

    def release(self, work: Work) -> None:
        """Let a busy driver take something new."""
        if self.status is DriverStatus.BUSY:
            self._become(DriverStatus.AVAILABLE, work)

    def report(self, status: DriverStatus, open_deliveries: int, work: Work) -> None:
        """Say what the driver does, by themselves or by a dispatcher. Raises: DriverStillBusy."""
        if status is not DriverStatus.BUSY and open_deliveries:
            raise DriverStillBusy(driver_id=str(self.user_id), deliveries=open_deliveries)
        if status is not self.status:
            self._become(status, work)

    def _become(self, status: DriverStatus, work: Work) -> None:
        self.status, self.changed_at = status, work.now
        self.record(DriverStatusChanged(user_id=self.user_id, store_id=self.store_id, status=status, at=work.now))


class Drivers(Protocol):
    """Drivers for change, locked until the transaction ends."""

    def add(self, driver: Driver) -> None: ...

    async def lock(self, user_id: UUID) -> Driver | None: ...

    async def open_deliveries(self, user_id: UUID) -> int:
        """Count what a driver has to deliver."""
        ...


@dataclass(frozen=True, kw_only=True)
class SetDriverStatus:
    """Say what a driver does: oneself, or as a dispatcher somebody of one's store."""

    status: DriverStatus
    vehicle_type: VehicleType | None = None
    driver_id: UUID | None = None
    store_id: UUID | None = None


async def set_driver_status(command: SetDriverStatus, work: Work, drivers: Drivers) -> Driver:
    """Note it; whoever says so of themselves for the first time is a driver from then on.

    Raises: NotFound, DriverStillBusy.
    """
    own = work.actor.require_user()
    user_id = command.driver_id or own
    driver = await drivers.lock(user_id)
    if driver is None and user_id == own:
        store_id = command.store_id or min(work.actor.store_ids, default=None)
        if store_id is not None and not work.actor.works_at(store_id):
            raise NotFound(kind="Store", id=str(store_id))
        driver = Driver(tenant_id=work.tenant_id, user_id=user_id, store_id=store_id)
        drivers.add(driver)
    if driver is None or not _may_tell(driver, own, work):
        raise NotFound(kind="Driver", id=str(user_id))
    driver.vehicle_type = command.vehicle_type or driver.vehicle_type
    driver.report(command.status, await drivers.open_deliveries(user_id), work)
    return driver


def _may_tell(driver: Driver, own: UUID, work: Work) -> bool:
    here = work.actor.may("stores.any") or (driver.store_id is not None and work.actor.works_at(driver.store_id))
    return driver.user_id == own or (work.actor.may(DISPATCH) and here)
