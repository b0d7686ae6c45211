"""What can be followed of payments."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from domain.topics import followed


def payments_topic(order_id: UUID) -> str:
    """Name the topic of everything that moves the payments of an order."""
    return f"payments:{order_id}"


@followed(
    "payment.opened",
    "payment.authorized",
    "payment.processed",
    "payment.failed",
    "payment.voided",
    "payment.review_requested",
    "payment.reviewed",
    "payment.refunded",
)
def topics_of_payment(_payment_id: UUID, data: Mapping[str, Any]) -> Iterable[str]:
    return [payments_topic(UUID(data["order_id"]))]
