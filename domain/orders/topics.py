"""What can be followed of orders and carts."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from domain.topics import followed


def order_topic(order_id: UUID) -> str:
    """Name the topic of everything that happens to one order."""
    return f"order:{order_id}"


def store_topic(store_id: UUID) -> str:
    """Name the topic of new orders in one store."""
    return f"store-orders:{store_id}"


def cart_topic(cart_id: UUID) -> str:
    """Name the topic of everything that changes a cart."""
    return f"cart:{cart_id}"


@followed(
    "order.confirmed",
    "order.payment_authorized",
    "order.payment_failed",
    "order.payment_received",
    "order.processing",
    "order.ready",
    "order.shipped",
    "order.delivered",
    "order.completed",
    "order.cancelled",
    "order.part_moved",
    "order.refunded",
    "order.refund_returned",
    "order.return_requested",
    "order.return_rejected",
    "order.returned",
)
def topics_of_order(order_id: UUID, _data: Mapping[str, Any]) -> Iterable[str]:
    return [order_topic(order_id)]


@followed("order.created")
def topics_of_new_order(_order_id: UUID, data: Mapping[str, Any]) -> Iterable[str]:
    return [store_topic(UUID(part["store_id"])) for part in data["sub_orders"]]


@followed(
    "cart.item_added",
    "cart.quantity_changed",
    "cart.item_removed",
    "cart.cleared",
    "cart.code_applied",
    "cart.code_removed",
    "cart.checkout_changed",
    "cart.merged",
    "cart.converted",
    "cart.reopened",
)
def topics_of_cart(cart_id: UUID, _data: Mapping[str, Any]) -> Iterable[str]:
    return [cart_topic(cart_id)]
