"""Tours: several deliveries that one driver takes in one go, in an order that saves way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from domain.delivery.deliveries import Delivery
from domain.delivery.events import BatchCompleted, BatchCreated, BatchDispatched, RouteOptimised, RouteRequested
from domain.delivery.geography import Position
from domain.delivery.routing import RoutePlan, RoutingProblem, Stop, TimeWindow, Vehicle
from domain.delivery.states import BATCH_STATES, BatchState
from domain.kernel import Aggregate, DomainError, InvalidInput, Work

MAX_DELIVERIES = 200
SHIFT = timedelta(hours=10)
SERVICE_SECONDS = 180


@dataclass(eq=False)
class NotRoutable(DomainError):
    """A tour cannot be planned: nobody knows where its deliveries or its store are."""

    batch_id: str
    reason: str
    template = "Batch {batch_id} cannot be routed: {reason}."


@dataclass(eq=False, kw_only=True)
class DeliveryBatch(Aggregate):
    """A tour; `delivery_ids` are in the order in which they are driven to, `route` says when each is reached."""

    store_id: UUID
    state: BatchState = BatchState.CREATED
    delivery_ids: list[UUID] = field(default_factory=list)
    driver_id: UUID | None = None
    route: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    distance_metres: int | None = None
    duration_seconds: int | None = None
    requested_at: datetime | None = None
    made_at: datetime

    def create(self, work: Work) -> None:
        """Begin. Raises: InvalidInput."""
        if not 1 <= len(self.delivery_ids) <= MAX_DELIVERIES or len(set(self.delivery_ids)) != len(self.delivery_ids):
            raise InvalidInput(field="deliveryIds", reason=f"a batch has 1 to {MAX_DELIVERIES} deliveries, each once")
        self.record(BatchCreated(store_id=self.store_id, deliveries=len(self.delivery_ids), at=work.now))

    def request_route(self, work: Work) -> None:
        """Ask for the best order; a worker finds it. Raises: InvalidStateTransition."""
        BATCH_STATES.check(self.state, BatchState.OPTIMISED)
        self.requested_at = work.now
        self.record(RouteRequested(store_id=self.store_id, at=work.now))

    def optimise(self, plan: RoutePlan, work: Work) -> None:
        """Drive as planned; what the plan leaves out comes last. Raises: InvalidStateTransition."""
        self.state = BATCH_STATES.check(self.state, BatchState.OPTIMISED)
        self.requested_at = None
        visits = [visit for route in plan.routes for visit in route.visits]
        planned = [visit.stop_id for visit in visits]
        self.delivery_ids = [*planned, *(each for each in self.delivery_ids if each not in set(planned))]
        self.route = [
            {"delivery_id": str(visit.stop_id), "arrives_at": visit.arrives_at.isoformat(), "metres": visit.metres}
            for visit in visits
        ]
        self.left_out = [{"delivery_id": str(each.stop_id), "reason": str(each.reason)} for each in plan.unserved]
        self.distance_metres, self.duration_seconds = plan.distance_metres, plan.duration_seconds
        self.record(
            RouteOptimised(
                store_id=self.store_id, distance_metres=plan.distance_metres, left_out=len(self.left_out), at=work.now
            )
        )

    def dispatch(self, driver_id: UUID, work: Work) -> None:
        """Send a driver out. Raises: InvalidStateTransition."""
        self.state = BATCH_STATES.check(self.state, BatchState.DISPATCHED)
        self.driver_id = driver_id
        self.record(BatchDispatched(store_id=self.store_id, driver_id=driver_id, at=work.now))

    def complete(self, work: Work) -> None:
        """Say that nothing of it is on the way any more. Raises: InvalidStateTransition."""
        self.state = BATCH_STATES.check(self.state, BatchState.COMPLETED)
        self.record(BatchCompleted(store_id=self.store_id, at=work.now))


def routing_problem(batch: DeliveryBatch, deliveries: Sequence[Delivery], now: datetime) -> RoutingProblem:
    """Say what is to be planned: one driver who sets out now. Deliveries without a position are left to the end.

    Raises: NotRoutable.
    """
    depot = next((each.store_position for each in deliveries if each.store_position is not None), None)
    placed = [(each, each.position) for each in deliveries]
    stops = [_stop(each, position, now) for each, position in placed if position is not None]
    if depot is None or not stops:
        raise NotRoutable(
            batch_id=str(batch.id), reason="the positions of its store and of its deliveries are not known"
        )
    vehicle = Vehicle(id=batch.id, capacity=len(stops), shift=TimeWindow(now, now + SHIFT))
    return RoutingProblem(depot=depot, vehicles=[vehicle], stops=stops)


def _stop(delivery: Delivery, position: Position, now: datetime) -> Stop:
    opens, closes = delivery.window_opens, delivery.window_closes
    # A window that is over already is kept as well as can be: as soon as possible.
    window = TimeWindow(opens, closes) if opens and closes and closes > now else None
    return Stop(id=delivery.id, position=position, service_seconds=SERVICE_SECONDS, window=window)


class DeliveryBatches(Protocol):
    """Tours for change, locked until the transaction ends."""

    def add(self, batch: DeliveryBatch) -> None: ...

    async def get(self, batch_id: UUID) -> DeliveryBatch | None:
        """Give a tour without a lock; of two that change it at the same time, the second is refused."""
        ...

    async def lock(self, batch_id: UUID) -> DeliveryBatch | None: ...
