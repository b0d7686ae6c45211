"""Which topics the events of deliveries belong to, and what they are called."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.topics import followed


def delivery_topic(delivery_id: object) -> str:
    """Name the topic of everything that happens to one delivery."""
    return f"delivery:{delivery_id}"


def order_deliveries_topic(order_id: object) -> str:
    """Name the topic of everything that happens to the deliveries of one order."""
    return f"order-deliveries:{order_id}"


def dispatch_topic(store_id: object) -> str:
    """Name the topic of what a dispatcher of one store watches."""
    return f"dispatch:{store_id}"


def driver_signal(delivery_id: object) -> str:
    """Name the signal of where the driver of a delivery is; also the place in which its followers are present."""
    return f"driver:{delivery_id}"


@followed(
    "delivery.created",
    "delivery.assigned",
    "delivery.unassigned",
    "delivery.picked_up",
    "delivery.started",
    "delivery.delivered",
    "delivery.failed",
    "delivery.rescheduled",
    "delivery.returned_to_store",
    "delivery.cancelled",
    "delivery.arriving",
    "delivery.geofence_entered",
    "delivery.geofence_left",
    "delivery.carrier_booked",
)
def delivery_topics(delivery_id: UUID, data: Mapping[str, Any]) -> list[str]:
    """Tell those who wait for a delivery, and those who dispatch in its store."""
    return [
        delivery_topic(delivery_id),
        order_deliveries_topic(data["order_id"]),
        dispatch_topic(data["store_id"]),
    ]
