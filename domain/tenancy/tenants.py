"""Tenants: who runs a marketplace here, under which subscription, and whether its data may be changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from domain.kernel import (
    UNCHANGED,
    Aggregate,
    DomainError,
    Event,
    InvalidStateTransition,
    Transactions,
    Transitions,
    Unchanged,
    event,
    uuid7,
)
from domain.paging import Page, PageRequest
from domain.tenancy import rules

T = TypeVar("T")
PLATFORM_PERMISSION = "tenancy.platform"
MAX_STORES = 100_000


@dataclass(eq=False)
class StoreLimitReached(DomainError):
    """The subscription allows no further store."""

    max_stores: int
    template = "The subscription allows {max_stores} stores."


class TenantStatus(StrEnum):
    """Where a tenant stands; only trial and active tenants may change their data."""

    TRIAL = "trial"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


class SubscriptionTier(StrEnum):
    """What a tenant pays for."""

    STARTER = "starter"
    STANDARD = "standard"
    PROFESSIONAL = "professional"
    ENTERPRISE = "enterprise"


class SubscriptionPeriod(StrEnum):
    """How often a subscription renews."""

    MONTH = "month"
    YEAR = "year"


STORES_OF_TIER = {
    SubscriptionTier.STARTER: 1,
    SubscriptionTier.STANDARD: 5,
    SubscriptionTier.PROFESSIONAL: 50,
    SubscriptionTier.ENTERPRISE: 1_000,
}

TENANT_STATES = Transitions(
    "Tenant",
    TenantStatus.TRIAL,
    {
        TenantStatus.TRIAL: {TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.CANCELLED},
        TenantStatus.ACTIVE: {TenantStatus.SUSPENDED, TenantStatus.CANCELLED},
        TenantStatus.SUSPENDED: {TenantStatus.ACTIVE, TenantStatus.CANCELLED},
        TenantStatus.CANCELLED: set(),
    },
)


@event("tenancy.tenant_created")
@dataclass(frozen=True, kw_only=True)
class TenantCreated(Event):
    code: str
    tenant_name: str
    locale: str
    currency: str


@event("tenancy.tenant_updated")
@dataclass(frozen=True, kw_only=True)
class TenantUpdated(Event):
    fields: tuple[str, ...]


@event("tenancy.tenant_suspended")
@dataclass(frozen=True, kw_only=True)
class TenantSuspended(Event):
    reason: str


@event("tenancy.tenant_reactivated")
@dataclass(frozen=True, kw_only=True)
class TenantReactivated(Event):
    pass


@event("tenancy.tenant_cancelled")
@dataclass(frozen=True, kw_only=True)
class TenantCancelled(Event):
    reason: str


@event("tenancy.subscription_changed")
@dataclass(frozen=True, kw_only=True)
class SubscriptionChanged(Event):
    tier: str
    period: str
    max_stores: int
    renews_at: datetime | None


_RULES: Mapping[str, rules.Rule] = {
    "name": rules.text,
    "company_name": rules.optional(rules.text),
    "business_number": rules.optional(rules.short),
    "gst_hst_number": rules.optional(rules.short),
    "contact_email": rules.optional(rules.email),
    "contact_phone": rules.optional(rules.short),
    "website": rules.optional(rules.url),
    "logo_url": rules.optional(rules.url),
    "currency": rules.currency,
    "locale": rules.locale,
    "timezone": rules.timezone,
}


@dataclass(frozen=True, kw_only=True)
class TenantDetails:
    """What can be said about a tenant; `locale` is a language tag, `timezone` a name of the IANA database."""

    name: str | Unchanged = UNCHANGED
    company_name: str | Unchanged | None = UNCHANGED
    business_number: str | Unchanged | None = UNCHANGED
    gst_hst_number: str | Unchanged | None = UNCHANGED
    contact_email: str | Unchanged | None = UNCHANGED
    contact_phone: str | Unchanged | None = UNCHANGED
    website: str | Unchanged | None = UNCHANGED
    logo_url: str | Unchanged | None = UNCHANGED
    currency: str | Unchanged = UNCHANGED
    locale: str | Unchanged = UNCHANGED
    timezone: str | Unchanged = UNCHANGED


@dataclass(eq=False, kw_only=True)
class Tenant(Aggregate):
    """A customer of the platform; its `tenant_id` is its own id, so that it sees itself and nobody else."""

    code: str
    name: str
    company_name: str | None = None
    business_number: str | None = None
    gst_hst_number: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    website: str | None = None
    logo_url: str | None = None
    status: TenantStatus = TenantStatus.TRIAL
    status_reason: str | None = None
    subscription_tier: SubscriptionTier = SubscriptionTier.STARTER
    subscription_period: SubscriptionPeriod = SubscriptionPeriod.MONTH
    subscription_renews_at: datetime | None = None
    max_stores: int = 1
    currency: str = "CAD"
    locale: str = "en"
    timezone: str = "America/Toronto"

    @property
    def is_writable(self) -> bool:
        return self.status in (TenantStatus.TRIAL, TenantStatus.ACTIVE)

    @classmethod
    def create(cls, code: str, tier: SubscriptionTier, details: TenantDetails) -> Self:
        """Make a tenant on trial.

        Raises: InvalidInput.
        """
        own = uuid7()
        tenant = cls(id=own, tenant_id=own, code=rules.tenant_code("code", code), name="")
        tenant.subscription_tier, tenant.max_stores = tier, STORES_OF_TIER[tier]
        tenant._change(details)
        tenant.record(
            TenantCreated(code=tenant.code, tenant_name=tenant.name, locale=tenant.locale, currency=tenant.currency)
        )
        return tenant

    def update(self, details: TenantDetails) -> None:
        """Change what the details mention.

        Raises: InvalidInput.
        """
        self.record(TenantUpdated(fields=tuple(sorted(self._change(details)))))

    def suspend(self, reason: str) -> None:
        """Make the tenant's data read-only.

        Raises: InvalidStateTransition, InvalidInput.
        """
        self._enter(TenantStatus.SUSPENDED, reason)
        self.record(TenantSuspended(reason=str(self.status_reason)))

    def reactivate(self) -> None:
        """Let a suspended tenant work again.

        Raises: InvalidStateTransition.
        """
        if self.status is TenantStatus.TRIAL:
            raise InvalidStateTransition(kind="Tenant", current=self.status, requested=TenantStatus.ACTIVE)
        self.status, self.status_reason = TENANT_STATES.check(self.status, TenantStatus.ACTIVE), None
        self.record(TenantReactivated())

    def cancel(self, reason: str) -> None:
        """End the tenant's time here for good; its data stays readable.

        Raises: InvalidStateTransition, InvalidInput.
        """
        self._enter(TenantStatus.CANCELLED, reason)
        self.record(TenantCancelled(reason=str(self.status_reason)))

    def subscribe(
        self,
        tier: SubscriptionTier,
        period: SubscriptionPeriod,
        renews_at: datetime | None,
        max_stores: int | None,
    ) -> None:
        """Change the subscription, which ends a trial but lifts no suspension; `max_stores` replaces the tier's number.

        Raises: InvalidInput, InvalidStateTransition.
        """
        if self.status in (TenantStatus.TRIAL, TenantStatus.CANCELLED):
            self.status = TENANT_STATES.check(self.status, TenantStatus.ACTIVE)
        allowed = STORES_OF_TIER[tier] if max_stores is None else max_stores
        self.max_stores = rules.within(1, MAX_STORES)("max_stores", allowed)
        self.subscription_tier, self.subscription_period, self.subscription_renews_at = tier, period, renews_at
        self.record(SubscriptionChanged(tier=tier, period=period, max_stores=self.max_stores, renews_at=renews_at))

    def require_room(self, stores: int) -> None:
        """Refuse a further store beyond what the subscription allows.

        Raises: StoreLimitReached.
        """
        if stores >= self.max_stores:
            raise StoreLimitReached(max_stores=self.max_stores)

    def _enter(self, status: TenantStatus, reason: str) -> None:
        checked = rules.text("reason", reason)
        self.status, self.status_reason = TENANT_STATES.check(self.status, status), checked

    def _change(self, details: TenantDetails) -> Iterable[str]:
        values = rules.checked(details, _RULES)
        for name, value in values.items():
            setattr(self, name, value)
        return values


class Tenants(Protocol):
    """Tenants for change: what is given is locked until the transaction ends."""

    async def lock(self, tenant_id: UUID) -> Tenant | None: ...

    async def get(self, tenant_id: UUID) -> Tenant | None:
        """Give a tenant to look at, without holding it."""
        ...

    async def code_exists(self, code: str) -> bool: ...

    async def hosts_of_others(self, tenant: Tenant, hosts: Sequence[str]) -> Sequence[str]: ...

    async def add(self, tenant: Tenant) -> None: ...

    async def replace_hosts(self, tenant: Tenant, hosts: Sequence[str]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class TenantFilter:
    """Which tenants are wanted."""

    status: TenantStatus | None = None
    tier: SubscriptionTier | None = None


class TenantReads(Protocol):
    """Batch reads, each in the order of its keys; a tenant sees only itself, the platform sees all."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]: ...

    async def by_host(self, hosts: Sequence[str]) -> list[Any | None]: ...

    async def hosts(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def tenants(self, wanted: TenantFilter, page: PageRequest) -> Page[Any]: ...


class Platform(Protocol):
    """The ways to read and to change across all tenants, for the few who run the platform; a service of the process.

    Its transactions run as the platform's role: row-level security shows them every tenant, and a suspended one can be
    changed. `Work.tenant_id` then names the tenant that the change is about, or the caller's own where it makes a new one.
    """

    @property
    def transactions(self) -> Transactions: ...

    def read(self, port: type[T]) -> T: ...
