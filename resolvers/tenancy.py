"""Verbs of tenants and stores."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

from domain import tenancy
from domain.kernel import InvalidInput, Work
from domain.paging import Page, PageRequest
from domain.processes import staffing
from domain.tenancy import (
    PLATFORM_PERMISSION,
    GeoLocation,
    Platform,
    ProvinceReads,
    SalesChannel,
    StaffReads,
    StoreFilter,
    StoreReads,
    StoreSettingReads,
    StoreStatus,
    SubscriptionTier,
    TenantFilter,
    TenantReads,
    TenantStatus,
)
from resolvers.kernel import Context, transacts

T = TypeVar("T")
MAX_NEARBY = 100
# Under this id stand the idempotency keys of a platform command that is about no tenant yet.
NO_TENANT = UUID(int=0)

create_store = transacts(tenancy.create_store)
update_store = transacts(tenancy.update_store)
activate_store = transacts(tenancy.activate_store)
deactivate_store = transacts(tenancy.deactivate_store)
set_store_setting = transacts(tenancy.set_store_setting)
assign_store_user = transacts(staffing.assign_user)
record_store_compliance = transacts(tenancy.record_compliance)


def _governs(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Make the resolver of a command of the platform: it runs outside every tenant, whatever tenant the request names."""

    async def resolve(context: Context, command: Any, idempotency_key: str | None = None) -> Any:
        work = Work(
            tenant_id=getattr(command, "id", None) or context.tenant_id or NO_TENANT,
            actor=context.principal,
            now=context.now(),
            correlation_id=context.correlation_id,
        )
        transactions = context.service(Platform).transactions
        result = await transactions.run(handler, command, work, idempotency_key=idempotency_key)
        await context.forget()
        return result

    hints = get_type_hints(handler)
    resolve.__annotations__ = {"context": Context, "command": hints["command"], "idempotency_key": str | None}
    resolve.__name__ = resolve.__qualname__ = handler.__name__
    resolve.__module__ = handler.__module__
    return resolve


create_tenant = _governs(tenancy.create_tenant)
suspend_tenant = _governs(tenancy.suspend_tenant)
reactivate_tenant = _governs(tenancy.reactivate_tenant)
cancel_tenant = _governs(tenancy.cancel_tenant)
change_tenant_subscription = _governs(tenancy.change_tenant_subscription)
_update_any_tenant = _governs(tenancy.update_tenant)
_update_own_tenant = transacts(tenancy.update_tenant)


async def update_tenant(
    context: Context, command: tenancy.UpdateTenant, idempotency_key: str | None = None
) -> tenancy.Tenant:
    """Change the caller's own tenant, or any for those who run the platform."""
    update = _update_any_tenant if context.principal.may(PLATFORM_PERMISSION) else _update_own_tenant
    changed: tenancy.Tenant = await update(context, command, idempotency_key)
    return changed


def _reads(context: Context, port: type[T]) -> T:
    """Give a port across all tenants to those who run the platform, and within the request's tenant to everybody else."""
    if context.principal.may(PLATFORM_PERMISSION):
        return context.service(Platform).read(port)
    return context.read(port)


async def tenants_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await _reads(context, TenantReads).by_id(ids)


async def hosts_of_tenants(context: Context, tenant_ids: Sequence[UUID]) -> Sequence[Any]:
    found = await _reads(context, TenantReads).hosts(tenant_ids)
    return [[row.host for row in rows] for rows in found]


async def stores_of_tenants(context: Context, tenant_ids: Sequence[UUID], *, page: PageRequest) -> Sequence[Page[Any]]:
    return await _reads(context, StoreReads).by_tenant(tenant_ids, page)


async def staff_of_tenants(context: Context, tenant_ids: Sequence[UUID]) -> Sequence[Any]:
    return await _reads(context, StaffReads).of_tenants(tenant_ids)


async def stores_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await _reads(context, StoreReads).by_id(ids)


async def staff_of_stores(context: Context, store_ids: Sequence[UUID]) -> Sequence[Any]:
    return await _reads(context, StaffReads).of_stores(store_ids)


async def compliance_of_stores(context: Context, store_ids: Sequence[UUID]) -> Sequence[Any]:
    return await _reads(context, StaffReads).compliance(store_ids)


async def provinces_by_code(context: Context, codes: Sequence[str]) -> Sequence[Any]:
    return await context.read(ProvinceReads).by_code(codes)


async def tenants(
    context: Context, page: PageRequest, status: TenantStatus | None = None, tier: SubscriptionTier | None = None
) -> Page[Any]:
    return await context.service(Platform).read(TenantReads).tenants(TenantFilter(status=status, tier=tier), page)


async def tenant(context: Context, id: UUID | None = None, code: str | None = None) -> Any:  # noqa: A002 — the GraphQL argument's name.
    if id is not None and code is None:
        return await context.load(tenants_by_id, id)
    if code is None or id is not None:
        raise InvalidInput(field="id", reason="name the tenant by id or by code")
    return (await _reads(context, TenantReads).by_code([code]))[0]


async def tenant_hierarchy(context: Context, id: UUID) -> Any:  # noqa: A002 — see `tenant`.
    return await context.load(tenants_by_id, id)


async def stores(
    context: Context,
    page: PageRequest,
    status: StoreStatus | None = None,
    province_code: str | None = None,
    channel: SalesChannel | None = None,
) -> Page[Any]:
    if not context.principal.may("tenancy.read"):
        status = StoreStatus.ACTIVE
    wanted = StoreFilter(status=status, province_code=province_code, channel=channel)
    return await context.read(StoreReads).stores(wanted, page)


async def expiring_licences(context: Context, page: PageRequest, expires_before: date) -> Page[Any]:
    own = None if context.principal.may("stores.any") else tuple(context.principal.store_ids)
    return await context.read(StoreReads).stores(StoreFilter(licence_expires_before=expires_before, only_ids=own), page)


async def store(context: Context, id: UUID | None = None, code: str | None = None) -> Any:  # noqa: A002 — see `tenant`.
    if id is not None and code is None:
        return await context.load(stores_by_id, id)
    if code is None or id is not None:
        raise InvalidInput(field="id", reason="name the store by id or by code")
    return (await context.read(StoreReads).by_code([code]))[0]


async def nearby_stores(
    context: Context, latitude: float, longitude: float, radius_km: float = 25.0, limit: int = 20
) -> Sequence[Any]:
    if not 1 <= limit <= MAX_NEARBY:
        raise InvalidInput(field="limit", reason=f"between 1 and {MAX_NEARBY} stores can be asked for")
    return await context.read(StoreReads).nearby(GeoLocation(latitude, longitude), radius_km, limit)


async def store_settings(context: Context, store_id: UUID | None = None, category: str | None = None) -> Sequence[Any]:
    if store_id is not None and not context.principal.works_at(store_id):
        return []
    return await context.read(StoreSettingReads).of_store(store_id, category)


async def provinces(context: Context, country: str | None = None) -> Sequence[Any]:
    return await context.read(ProvinceReads).all(country)


async def store_compliance(context: Context, store_id: UUID) -> Sequence[Any]:
    if not context.principal.works_at(store_id):
        return []
    found: Sequence[Any] = await context.load(compliance_of_stores, store_id)
    return found


def is_open(store: Any, context: Context, at: datetime | None = None) -> bool:
    """Say whether the store is active and open at an instant, or now."""
    spans = [tenancy.OpeningSpan.parse(**span) for span in store.hours]
    return store.status == StoreStatus.ACTIVE and tenancy.is_open(spans, store.timezone, at or context.now())
