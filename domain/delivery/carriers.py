"""Carriers: who takes parcels for a store, and what they tell about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.delivery.states import DeliveryState
from domain.kernel import uuid7

STATUSES: Mapping[str, DeliveryState | None] = {
    "label_created": None,
    "information_received": None,
    "picked_up": DeliveryState.PICKED_UP,
    "collected": DeliveryState.PICKED_UP,
    "accepted": DeliveryState.PICKED_UP,
    "in_transit": DeliveryState.EN_ROUTE,
    "at_facility": DeliveryState.EN_ROUTE,
    "customs": DeliveryState.EN_ROUTE,
    "out_for_delivery": DeliveryState.EN_ROUTE,
    "delivered": DeliveryState.DELIVERED,
    "attempted": DeliveryState.FAILED,
    "exception": DeliveryState.FAILED,
    "refused": DeliveryState.FAILED,
    "returned": DeliveryState.RETURNED_TO_STORE,
    "returned_to_sender": DeliveryState.RETURNED_TO_STORE,
}
"""What carriers call where a parcel is, and what that means here; None where nothing has happened to it yet."""


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What a carrier has agreed to take, under a number of its own."""

    carrier: str
    reference: str
    label_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class CarrierScan:
    """What a carrier saw: its own id for it, its own word for the status, and when."""

    scan_id: str
    status: str
    at: datetime
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeptScan:
    """A scan as it is kept: each one once, whether it meant something or not."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    delivery_id: UUID
    scan_id: str
    status: str
    state: DeliveryState | None
    at: datetime
    description: str | None


@dataclass(frozen=True, kw_only=True)
class Consignment:
    """What a carrier needs to know of a parcel; `number` is ours, and asking again under it books nothing anew."""

    number: str
    address: Mapping[str, Any]
    store_id: UUID


class Carrier(Protocol):
    """Takes parcels; `name` is what shipping methods call it."""

    name: str

    async def book(self, consignment: Consignment) -> Shipment: ...

    async def track(self, reference: str) -> Sequence[CarrierScan]:
        """Give what it saw so far; nothing from a carrier that tells by itself."""
        ...


class Carriers(Protocol):
    """The carriers that this installation works with."""

    def names(self) -> Collection[str]: ...

    def find(self, name: str) -> Carrier | None: ...


class CarrierScans(Protocol):
    """What carriers told."""

    async def keep(self, scans: Sequence[KeptScan]) -> Sequence[KeptScan]:
        """Keep scans and give those that were not known."""
        ...


def state_of(status: str) -> DeliveryState | None:
    """Give the state that a carrier's word stands for; None for one that says nothing, or that nobody knows."""
    return STATUSES.get(status.strip().lower().replace(" ", "_").replace("-", "_"))
