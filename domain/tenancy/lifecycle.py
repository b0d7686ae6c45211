"""What happens to tenants, and to their stores with them."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.kernel import AlreadyExists, Forbidden, NotFound, Principal, Work
from domain.tenancy import rules
from domain.tenancy.geography import Provinces, check_province
from domain.tenancy.stores import CreateStore, Store, Stores, StoreStatus, SuspensionCause
from domain.tenancy.tenants import (
    PLATFORM_PERMISSION,
    SubscriptionPeriod,
    SubscriptionTier,
    Tenant,
    TenantDetails,
    Tenants,
)

MAX_HOSTS = 20


@dataclass(frozen=True, kw_only=True)
class CreateTenant(TenantDetails):
    """Take a tenant on, on trial; `hosts` are the host names of its storefronts."""

    code: str
    name: str = field()
    tier: SubscriptionTier = SubscriptionTier.STARTER
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UpdateTenant(TenantDetails):
    """Change some fields of a tenant; only the platform changes `hosts`, for a host name decides whose data is shown."""

    id: UUID
    hosts: tuple[str, ...] | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class SuspendTenant:
    """Make a tenant's data read-only and stop its stores."""

    id: UUID
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ReactivateTenant:
    """Let a suspended tenant work again, and the stores that its suspension stopped."""

    id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class CancelTenant:
    """End a tenant's time here for good."""

    id: UUID
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeTenantSubscription:
    """Change what a tenant pays for."""

    id: UUID
    tier: SubscriptionTier
    period: SubscriptionPeriod = SubscriptionPeriod.MONTH
    renews_at: datetime | None = None
    max_stores: int | None = None
    expected_version: int | None = None


def require_platform(actor: Principal) -> None:
    """Refuse whoever does not run the platform.

    Raises: Forbidden.
    """
    if not actor.may(PLATFORM_PERMISSION):
        raise Forbidden(permission=PLATFORM_PERMISSION)


async def create_tenant(command: CreateTenant, work: Work, tenants: Tenants) -> Tenant:
    require_platform(work.actor)
    tenant = Tenant.create(command.code, command.tier, command)
    if await tenants.code_exists(tenant.code):
        raise AlreadyExists(kind="Tenant", value=tenant.code)
    await tenants.add(tenant)
    await _give_hosts(tenants, tenant, command.hosts)
    return tenant


async def update_tenant(command: UpdateTenant, work: Work, tenants: Tenants) -> Tenant:
    if command.hosts is not None:
        require_platform(work.actor)
    tenant = await _existing(tenants, command.id, command.expected_version)
    tenant.update(command)
    if command.hosts is not None:
        await _give_hosts(tenants, tenant, command.hosts)
    return tenant


async def suspend_tenant(command: SuspendTenant, work: Work, tenants: Tenants, stores: Stores) -> Tenant:
    require_platform(work.actor)
    tenant = await _existing(tenants, command.id, command.expected_version)
    tenant.suspend(command.reason)
    for store in await stores.of_tenant(tenant.id, StoreStatus.ACTIVE):
        store.suspend(SuspensionCause.TENANT)
    return tenant


async def reactivate_tenant(command: ReactivateTenant, work: Work, tenants: Tenants, stores: Stores) -> Tenant:
    require_platform(work.actor)
    tenant = await _existing(tenants, command.id, command.expected_version)
    tenant.reactivate()
    for store in await stores.of_tenant(tenant.id, StoreStatus.SUSPENDED):
        store.lift_tenant_suspension(work.now)
    return tenant


async def cancel_tenant(command: CancelTenant, work: Work, tenants: Tenants, stores: Stores) -> Tenant:
    require_platform(work.actor)
    tenant = await _existing(tenants, command.id, command.expected_version)
    tenant.cancel(command.reason)
    for store in await stores.of_tenant(tenant.id, StoreStatus.ACTIVE):
        store.deactivate()
    return tenant


async def change_tenant_subscription(command: ChangeTenantSubscription, work: Work, tenants: Tenants) -> Tenant:
    require_platform(work.actor)
    tenant = await _existing(tenants, command.id, command.expected_version)
    tenant.subscribe(command.tier, command.period, command.renews_at, command.max_stores)
    return tenant


async def create_store(
    command: CreateStore, work: Work, tenants: Tenants, stores: Stores, provinces: Provinces
) -> Store:
    # The tenant's row stays locked until the commit, so two stores made at once are counted one after the other.
    tenant = await _existing(tenants, work.tenant_id, None)
    tenant.require_room(await stores.count())
    province = await check_province(provinces, command.province_code)
    defaults = {"timezone": tenant.timezone}
    if province is not None:
        defaults = {"timezone": province.timezone, "tax_rate": province.default_tax}
    store = Store.create(tenant.id, command.code, command, defaults)
    if await stores.code_exists(store.code):
        raise AlreadyExists(kind="Store", value=store.code)
    await stores.add(store)
    return store


async def _existing(tenants: Tenants, tenant_id: UUID, expected_version: int | None) -> Tenant:
    tenant = await tenants.lock(tenant_id)
    if tenant is None:
        raise NotFound(kind="Tenant", id=str(tenant_id))
    tenant.expect_version(expected_version)
    return tenant


async def _give_hosts(tenants: Tenants, tenant: Tenant, hosts: tuple[str, ...]) -> None:
    if len(hosts) > MAX_HOSTS:
        raise rules.refuse("hosts", f"a tenant has at most {MAX_HOSTS} host names")
    names = list(dict.fromkeys(rules.host("hosts", host) for host in hosts))
    taken = await tenants.hosts_of_others(tenant, names)
    if taken:
        raise AlreadyExists(kind="Host", value=taken[0])
    await tenants.replace_hosts(tenant, names)
