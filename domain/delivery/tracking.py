"""What can be known of a delivery on its way: when it arrives, and what strangers may see who have its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.delivery.batches import SERVICE_SECONDS
from domain.delivery.eta import Arrival, RemainingStop, estimate_arrivals
from domain.delivery.geography import Ping, Position
from domain.delivery.states import DeliveryMode, DeliveryState

PUBLIC_DECIMALS = 3
"""A thousandth of a degree is about a hundred metres: enough for a map, too little for a door."""
SHOWN_AS_STEPS = frozenset(
    {
        "delivery.created",
        "delivery.assigned",
        "delivery.picked_up",
        "delivery.started",
        "delivery.arriving",
        "delivery.delivered",
        "delivery.failed",
        "delivery.rescheduled",
        "delivery.returned_to_store",
        "delivery.cancelled",
    }
)


@dataclass(frozen=True, kw_only=True)
class TrackedPlace:
    """A place as strangers see it."""

    latitude: float
    longitude: float
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TrackedDeliveryStep:
    """Something that happened on the way, by the last part of its event's name."""

    step: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveryTracking:
    """A delivery for whoever has its number: how far it is, and nothing of whose it is."""

    tracking_number: str
    state: DeliveryState
    mode: DeliveryMode
    carrier: str | None
    is_arriving: bool
    window_opens: datetime | None
    window_closes: datetime | None
    eta: Arrival | None
    driver: TrackedPlace | None
    store: TrackedPlace | None
    destination: TrackedPlace | None
    steps: Sequence[TrackedDeliveryStep]
    stops_before: int | None


def arrivals(tour: Sequence[Any], ping: Ping | None, now: datetime) -> dict[UUID, Arrival]:
    """Give the arrival at each door of a tour that its driver has set out for, in the order of the tour."""
    under_way = [each for each in tour if each.state == DeliveryState.EN_ROUTE]
    begun = ping or _departure(under_way)
    if begun is None:
        return {}
    stops = [
        RemainingStop(
            id=each.id,
            position=Position(each.latitude, each.longitude),
            service_seconds=SERVICE_SECONDS,
            opens_at=each.window_opens,
        )
        for each in under_way
        if each.latitude is not None and each.longitude is not None
    ]
    return {each.stop_id: each for each in estimate_arrivals(begun, stops, now=now)}


def public_tracking(
    delivery: Any, history: Sequence[Any], ping: Ping | None, tour: Sequence[Any], now: datetime
) -> DeliveryTracking:
    """Say what strangers may know; where the driver is, only while the goods are on the way."""
    under_way = delivery.state == DeliveryState.EN_ROUTE
    ids = [each.id for each in tour if each.state == DeliveryState.EN_ROUTE]
    return DeliveryTracking(
        tracking_number=delivery.tracking_number,
        state=DeliveryState(delivery.state),
        mode=DeliveryMode(delivery.mode),
        carrier=delivery.carrier,
        is_arriving=bool(under_way and delivery.is_arriving),
        window_opens=delivery.window_opens,
        window_closes=delivery.window_closes,
        eta=arrivals(tour, ping, now).get(delivery.id) if under_way else None,
        driver=_place(ping.position.latitude, ping.position.longitude, ping.at) if ping and under_way else None,
        store=_place(delivery.store_latitude, delivery.store_longitude),
        destination=_place(delivery.latitude, delivery.longitude),
        steps=[
            TrackedDeliveryStep(step=each.name.partition(".")[2], at=moment_of(each))
            for each in history
            if each.name in SHOWN_AS_STEPS
        ],
        stops_before=ids.index(delivery.id) if delivery.id in ids else None,
    )


def moment_of(step: Any) -> datetime:
    """Give when something happened, as the event itself says: what a carrier saw is told later."""
    return datetime.fromisoformat(step.moment)


def _departure(under_way: Sequence[Any]) -> Ping | None:
    """Take a driver who has told nothing yet to have left the store when the last delivery began."""
    begun = [each for each in under_way if each.started_at and each.store_latitude is not None]
    if not begun or begun[0].store_longitude is None:
        return None
    at = max(each.started_at for each in begun)
    return Ping(Position(begun[0].store_latitude, begun[0].store_longitude), at)


def _place(latitude: float | None, longitude: float | None, at: datetime | None = None) -> TrackedPlace | None:
    if latitude is None or longitude is None:
        return None
    return TrackedPlace(latitude=round(latitude, PUBLIC_DECIMALS), longitude=round(longitude, PUBLIC_DECIMALS), at=at)
