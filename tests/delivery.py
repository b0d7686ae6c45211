"""Deliveries for tests: a store at a place, zones around it, and orders that are to be brought somewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.kernel import SYSTEM, Envelope, Principal, Work, uuid7

STORE_AT = {"latitude": 43.6426, "longitude": -79.3871}
DOOR_AT = {"latitude": 43.6532, "longitude": -79.3832}
FAR_AWAY = {"latitude": 45.5019, "longitude": -73.5674}
DOWNTOWN = {
    "type": "Polygon",
    "coordinates": [[[-79.42, 43.62], [-79.36, 43.62], [-79.36, 43.68], [-79.42, 43.68], [-79.42, 43.62]]],
}
DOOR = {
    "name": "Ada Lovelace",
    "streetLine1": "100 Queen St W",
    "city": "Toronto",
    "province": "ON",
    "postalCode": "M5H 2N2",
    "country": "CA",
}


def envelope(name: str, aggregate_id: object, tenant_id: UUID, data: Mapping[str, Any] | None = None) -> Envelope:
    """Make an event as the bus would deliver it."""
    return Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=tenant_id,
        aggregate_id=UUID(str(aggregate_id)),
        aggregate_type="Order",
        version=1,
        data=data or {},
        occurred_at=datetime.now(UTC),
        correlation_id="test",
    )


def system_work(tenant_id: UUID) -> Work:
    """Give the work of a consumer."""
    actor = Principal(tenant_id=tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions)
    return Work(tenant_id=tenant_id, actor=actor, now=datetime.now(UTC), correlation_id="test")


@dataclass(frozen=True)
class Person:
    """Somebody at work in one store."""

    principal: Principal

    @property
    def id(self) -> str:
        return str(self.principal.user_id)


def person(tenant_id: UUID, store_id: object, *permissions: str) -> Person:
    """Make somebody with permissions in one store."""
    return Person(
        Principal(
            user_id=uuid7(),
            tenant_id=tenant_id,
            permissions=frozenset(permissions),
            store_ids=frozenset({UUID(str(store_id))}),
        )
    )
