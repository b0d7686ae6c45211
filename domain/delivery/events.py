"""What happens to deliveries. An event that changes a delivery's state says so in `state`."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.delivery.states import DeliveryMode, DeliveryState, FailureReason
from domain.kernel import Event, event


@dataclass(frozen=True, kw_only=True)
class DeliveryFact(Event):
    """What every event of a delivery says: enough to know who follows it."""

    order_id: UUID
    sub_order_id: UUID
    store_id: UUID
    customer_id: UUID | None
    tracking_number: str
    at: datetime
    driver_id: UUID | None = None
    state: DeliveryState | None = None


@event("delivery.created")
@dataclass(frozen=True, kw_only=True)
class DeliveryCreated(DeliveryFact):
    mode: DeliveryMode
    state: DeliveryState | None = DeliveryState.PENDING


@event("delivery.assigned")
@dataclass(frozen=True, kw_only=True)
class DeliveryAssigned(DeliveryFact):
    state: DeliveryState | None = DeliveryState.ASSIGNED


@event("delivery.unassigned")
@dataclass(frozen=True, kw_only=True)
class DeliveryUnassigned(DeliveryFact):
    state: DeliveryState | None = DeliveryState.PENDING


@event("delivery.picked_up")
@dataclass(frozen=True, kw_only=True)
class DeliveryPickedUp(DeliveryFact):
    state: DeliveryState | None = DeliveryState.PICKED_UP


@event("delivery.started")
@dataclass(frozen=True, kw_only=True)
class DeliveryStarted(DeliveryFact):
    state: DeliveryState | None = DeliveryState.EN_ROUTE


@event("delivery.delivered")
@dataclass(frozen=True, kw_only=True)
class DeliveryCompleted(DeliveryFact):
    state: DeliveryState | None = DeliveryState.DELIVERED


@event("delivery.failed")
@dataclass(frozen=True, kw_only=True)
class DeliveryFailed(DeliveryFact):
    person: ClassVar[str] = "customer_id"
    remarks: ClassVar[frozenset[str]] = frozenset({"note"})

    reason: FailureReason
    note: str | None = None
    state: DeliveryState | None = DeliveryState.FAILED


@event("delivery.rescheduled")
@dataclass(frozen=True, kw_only=True)
class DeliveryRescheduled(DeliveryFact):
    window_opens: datetime | None
    window_closes: datetime | None


@event("delivery.returned_to_store")
@dataclass(frozen=True, kw_only=True)
class DeliveryReturned(DeliveryFact):
    state: DeliveryState | None = DeliveryState.RETURNED_TO_STORE


@event("delivery.cancelled")
@dataclass(frozen=True, kw_only=True)
class DeliveryCancelled(DeliveryFact):
    reason: str | None = None
    state: DeliveryState | None = DeliveryState.CANCELLED


@event("delivery.arriving")
@dataclass(frozen=True, kw_only=True)
class DeliveryArriving(DeliveryFact):
    """The driver is nearly there."""


@event("delivery.geofence_entered")
@dataclass(frozen=True, kw_only=True)
class GeofenceEntered(DeliveryFact):
    fence: str


@event("delivery.geofence_left")
@dataclass(frozen=True, kw_only=True)
class GeofenceLeft(DeliveryFact):
    fence: str


@event("delivery.carrier_booked")
@dataclass(frozen=True, kw_only=True)
class CarrierBooked(DeliveryFact):
    carrier: str
    carrier_reference: str


@event("delivery.driver_status_changed")
@dataclass(frozen=True, kw_only=True)
class DriverStatusChanged(Event):
    user_id: UUID
    store_id: UUID | None
    status: str
    at: datetime


@event("delivery.batch_created")
@dataclass(frozen=True, kw_only=True)
class BatchCreated(Event):
    store_id: UUID
    deliveries: int
    at: datetime


@event("delivery.route_requested")
@dataclass(frozen=True, kw_only=True)
class RouteRequested(Event):
    store_id: UUID
    at: datetime


@event("delivery.route_optimised")
@dataclass(frozen=True, kw_only=True)
class RouteOptimised(Event):
    store_id: UUID
    distance_metres: int
    left_out: int
    at: datetime


@event("delivery.batch_dispatched")
@dataclass(frozen=True, kw_only=True)
class BatchDispatched(Event):
    store_id: UUID
    driver_id: UUID
    at: datetime


@event("delivery.batch_completed")
@dataclass(frozen=True, kw_only=True)
class BatchCompleted(Event):
    store_id: UUID
    at: datetime
