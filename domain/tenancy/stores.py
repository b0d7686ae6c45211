"""Stores: where a tenant sells, under which licence and through which channels."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.kernel import (
    UNCHANGED,
    Aggregate,
    DomainError,
    Event,
    NotFound,
    Transitions,
    Unchanged,
    Work,
    event,
)
from domain.paging import Page, PageRequest
from domain.tenancy import rules
from domain.tenancy.geography import GeoLocation, Provinces, check_province
from domain.tenancy.hours import OpeningSpan, check_hours

DEFAULT_TIMEZONE = "America/Toronto"


@dataclass(eq=False)
class StoreNotSelling(DomainError):
    """A store takes no orders at the moment, or not in this way."""

    store_code: str
    channel: str
    template = "Store {store_code} takes no orders for {channel}."


@dataclass(eq=False)
class LicenceExpired(DomainError):
    """A store without a valid licence does not open."""

    store_code: str
    expired_on: date
    template = "The licence of store {store_code} expired on {expired_on}."


class StoreStatus(StrEnum):
    """Where a store stands."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class SuspensionCause(StrEnum):
    """Why a store was suspended, which says what lifts the suspension."""

    LICENCE = "licence"
    TENANT = "tenant"


class SalesChannel(StrEnum):
    """A way to order from a store; each has a flag of the same name."""

    DELIVERY = "delivery"
    PICKUP = "pickup"
    KIOSK = "kiosk"
    POS = "pos"
    ECOMMERCE = "ecommerce"


STORE_STATES = Transitions(
    "Store",
    StoreStatus.INACTIVE,
    {
        StoreStatus.INACTIVE: {StoreStatus.ACTIVE},
        StoreStatus.ACTIVE: {StoreStatus.INACTIVE, StoreStatus.SUSPENDED},
        StoreStatus.SUSPENDED: {StoreStatus.ACTIVE, StoreStatus.INACTIVE},
    },
)


@event("tenancy.store_created")
@dataclass(frozen=True, kw_only=True)
class StoreCreated(Event):
    code: str
    store_name: str
    timezone: str


@event("tenancy.store_updated")
@dataclass(frozen=True, kw_only=True)
class StoreUpdated(Event):
    fields: tuple[str, ...]


@event("tenancy.store_activated")
@dataclass(frozen=True, kw_only=True)
class StoreActivated(Event):
    code: str


@event("tenancy.store_deactivated")
@dataclass(frozen=True, kw_only=True)
class StoreDeactivated(Event):
    code: str


@event("tenancy.store_suspended")
@dataclass(frozen=True, kw_only=True)
class StoreSuspended(Event):
    code: str
    cause: str


_RULES: Mapping[str, rules.Rule] = {
    "name": rules.text,
    "province_code": rules.optional(rules.short),
    "phone": rules.optional(rules.short),
    "email": rules.optional(rules.email),
    "street": rules.optional(rules.text),
    "city": rules.optional(rules.text),
    "postal_code": rules.optional(rules.short),
    "location": rules.anything,
    "timezone": rules.timezone,
    "hours": lambda _name, spans: [span.plain for span in check_hours(spans or ())],
    "licence_number": rules.optional(rules.text),
    "licence_expiry": rules.anything,
    "tax_rate": rules.rate,
    "delivery_radius_km": rules.within(0, 1_000),
    **{f"{channel}_enabled": rules.flag for channel in SalesChannel},
    "seo_title": rules.optional(rules.text),
    "seo_description": rules.optional(rules.long),
}


@dataclass(frozen=True, kw_only=True)
class StoreDetails:
    """What can be said about a store; a new one takes what is left out from its province, or its tenant."""

    name: str | Unchanged = UNCHANGED
    province_code: str | Unchanged | None = UNCHANGED
    phone: str | Unchanged | None = UNCHANGED
    email: str | Unchanged | None = UNCHANGED
    street: str | Unchanged | None = UNCHANGED
    city: str | Unchanged | None = UNCHANGED
    postal_code: str | Unchanged | None = UNCHANGED
    location: GeoLocation | Unchanged | None = UNCHANGED
    timezone: str | Unchanged = UNCHANGED
    hours: tuple[OpeningSpan, ...] | Unchanged | None = UNCHANGED
    licence_number: str | Unchanged | None = UNCHANGED
    licence_expiry: date | Unchanged | None = UNCHANGED
    tax_rate: Decimal | Unchanged = UNCHANGED
    delivery_radius_km: int | Unchanged = UNCHANGED
    delivery_enabled: bool | Unchanged = UNCHANGED
    pickup_enabled: bool | Unchanged = UNCHANGED
    kiosk_enabled: bool | Unchanged = UNCHANGED
    pos_enabled: bool | Unchanged = UNCHANGED
    ecommerce_enabled: bool | Unchanged = UNCHANGED
    seo_title: str | Unchanged | None = UNCHANGED
    seo_description: str | Unchanged | None = UNCHANGED


@dataclass(eq=False, kw_only=True)
class Store(Aggregate):
    """A place that sells. `tax_rate` is a fraction of one, `delivery_radius_km` kilometres as the crow flies."""

    code: str
    name: str
    province_code: str | None = None
    phone: str | None = None
    email: str | None = None
    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    timezone: str = DEFAULT_TIMEZONE
    hours: list[dict[str, Any]] = field(default_factory=list)
    licence_number: str | None = None
    licence_expiry: date | None = None
    tax_rate: Decimal = Decimal(0)
    delivery_radius_km: int = 0
    delivery_enabled: bool = False
    pickup_enabled: bool = False
    kiosk_enabled: bool = False
    pos_enabled: bool = False
    ecommerce_enabled: bool = True
    status: StoreStatus = StoreStatus.INACTIVE
    suspended_for: SuspensionCause | None = None
    seo_title: str | None = None
    seo_description: str | None = None

    def expect_selling(self, channel: SalesChannel) -> None:
        """Refuse an order that the store does not take: it is not open for business, not on line, or not in this way.

        Raises: StoreNotSelling.
        """
        ways = (SalesChannel.ECOMMERCE, channel)
        if self.status is not StoreStatus.ACTIVE or not all(getattr(self, f"{way}_enabled") for way in ways):
            raise StoreNotSelling(store_code=self.code, channel=channel)

    @property
    def location(self) -> GeoLocation | None:
        if self.latitude is None or self.longitude is None:
            return None
        return GeoLocation(self.latitude, self.longitude)

    @classmethod
    def create(cls, tenant_id: UUID, code: str, details: StoreDetails, defaults: Mapping[str, Any]) -> Self:
        """Make an inactive store.

        Raises: InvalidInput.
        """
        store = cls(tenant_id=tenant_id, code=rules.store_code("code", code), name="", **defaults)
        store._change(details)
        store.record(StoreCreated(code=store.code, store_name=store.name, timezone=store.timezone))
        return store

    def update(self, details: StoreDetails) -> None:
        """Change what the details mention.

        Raises: InvalidInput.
        """
        self.record(StoreUpdated(fields=tuple(sorted(self._change(details)))))

    def activate(self, today: date) -> None:
        """Open the store for business, on the store's own calendar day.

        Raises: InvalidStateTransition, LicenceExpired.
        """
        status = STORE_STATES.check(self.status, StoreStatus.ACTIVE)
        if self.licence_expiry is not None and self.licence_expired(today):
            raise LicenceExpired(store_code=self.code, expired_on=self.licence_expiry)
        self.status, self.suspended_for = status, None
        self.record(StoreActivated(code=self.code))

    def deactivate(self) -> None:
        """Close the store.

        Raises: InvalidStateTransition.
        """
        self.status, self.suspended_for = STORE_STATES.check(self.status, StoreStatus.INACTIVE), None
        self.record(StoreDeactivated(code=self.code))

    def suspend(self, cause: SuspensionCause) -> None:
        """Stop an active store until the cause is gone.

        Raises: InvalidStateTransition.
        """
        self.status, self.suspended_for = STORE_STATES.check(self.status, StoreStatus.SUSPENDED), cause
        self.record(StoreSuspended(code=self.code, cause=cause))

    def lift_tenant_suspension(self, now: datetime) -> None:
        """Open the store again if nothing but its tenant's suspension stopped it; without a licence it stays closed."""
        if self.suspended_for is not SuspensionCause.TENANT:
            return
        if self.licence_expired(self.today(now)):
            self.suspended_for = SuspensionCause.LICENCE
            self.record(StoreSuspended(code=self.code, cause=SuspensionCause.LICENCE))
        else:
            self.activate(self.today(now))

    def licence_expired(self, today: date) -> bool:
        """Say whether the licence has run out; it is still valid on the day of its expiry."""
        return self.licence_expiry is not None and self.licence_expiry < today

    def today(self, now: datetime) -> date:
        """Give the store's own calendar day."""
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def _change(self, details: StoreDetails) -> Iterable[str]:
        values = rules.checked(details, _RULES)
        mentioned = tuple(values)
        if "location" in values:
            location: GeoLocation | None = values.pop("location")
            self.latitude, self.longitude = (location.latitude, location.longitude) if location else (None, None)
        for name, value in values.items():
            setattr(self, name, value)
        return mentioned


class Stores(Protocol):
    """Stores for change."""

    async def get(self, store_id: UUID) -> Store | None: ...

    async def many(self, store_ids: Collection[UUID]) -> Sequence[Store]:
        """Give those of the stores that there are, in one statement."""
        ...

    async def code_exists(self, code: str) -> bool: ...

    async def add(self, store: Store) -> None: ...

    async def count(self) -> int: ...

    async def of_tenant(self, tenant_id: UUID, status: StoreStatus) -> Sequence[Store]: ...

    async def with_licence_until(self, day: date) -> Sequence[Store]: ...


@dataclass(frozen=True, kw_only=True)
class StoreFilter:
    """Which stores are wanted; `licence_expires_before` finds licences that run out, or have run out."""

    status: StoreStatus | None = None
    province_code: str | None = None
    channel: SalesChannel | None = None
    licence_expires_before: date | None = None
    only_ids: tuple[UUID, ...] | None = None


class StoreReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]: ...

    async def by_tenant(self, tenant_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]: ...

    async def stores(self, wanted: StoreFilter, page: PageRequest) -> Page[Any]: ...

    async def nearby(self, center: GeoLocation, radius_km: float, limit: int) -> list[Any]: ...


@dataclass(frozen=True, kw_only=True)
class CreateStore(StoreDetails):
    """Add an inactive store to the tenant; what is left out comes from its province, or from the tenant."""

    code: str
    name: str = field()


@dataclass(frozen=True, kw_only=True)
class UpdateStore(StoreDetails):
    """Change some fields of a store."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ActivateStore:
    """Open a store for business."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeactivateStore:
    """Close a store."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SuspendExpiredStores:
    """Stop every active store of the tenant whose licence has run out; the daily timer asks for it."""


async def existing_store(stores: Stores, store_id: UUID, work: Work, expected_version: int | None = None) -> Store:
    """Give a store that the caller works at; any other answers like one that does not exist.

    Raises: NotFound, ConcurrentModification.
    """
    store = await stores.get(store_id) if work.actor.works_at(store_id) else None
    if store is None:
        raise NotFound(kind="Store", id=str(store_id))
    store.expect_version(expected_version)
    return store


async def update_store(command: UpdateStore, work: Work, stores: Stores, provinces: Provinces) -> Store:
    store = await existing_store(stores, command.id, work, command.expected_version)
    await check_province(provinces, command.province_code)
    store.update(command)
    return store


async def activate_store(command: ActivateStore, work: Work, stores: Stores) -> Store:
    store = await existing_store(stores, command.id, work, command.expected_version)
    store.activate(store.today(work.now))
    return store


async def deactivate_store(command: DeactivateStore, work: Work, stores: Stores) -> Store:
    store = await existing_store(stores, command.id, work, command.expected_version)
    store.deactivate()
    return store


async def suspend_expired_stores(command: SuspendExpiredStores, work: Work, stores: Stores) -> int:  # noqa: ARG001 — a timer's command has no fields.
    """Give the number of stores that were stopped."""
    candidates = await stores.with_licence_until(work.now.date())
    due = [store for store in candidates if store.licence_expired(store.today(work.now))]
    for store in due:
        store.suspend(SuspensionCause.LICENCE)
    return len(due)
