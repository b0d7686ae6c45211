"""The tenancy subgraph: tenants, their stores, settings, staff and provinces."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import tenancy as domain
from domain.kernel import AlreadyExists, InvalidStateTransition
from resolvers import tenancy as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, Node, attribute, bulk, command, computed, connection, make_subgraph, permission, query

READ = permission("tenancy.read")
MANAGE = permission("tenancy.manage")
PLATFORM = permission(domain.PLATFORM_PERMISSION)

for _choices in (
    domain.TenantStatus,
    domain.SubscriptionTier,
    domain.SubscriptionPeriod,
    domain.StoreStatus,
    domain.SuspensionCause,
    domain.SalesChannel,
    domain.StaffRole,
    domain.ComplianceStatus,
):
    enum_of(_choices)


@strawberry.type(description="A province or territory and what its law says.")
class Province:
    code: str = strawberry.field(description="ISO 3166-2, such as CA-ON.")
    name: str
    country: str = strawberry.field(description="ISO 3166-1, two letters.")
    minimum_age: int = strawberry.field(description="In years, for regulated goods.")
    timezone: str
    default_tax: Decimal = strawberry.field(description="All sales taxes together, as a fraction of one.")


@strawberry.federation.type(shareable=True, description="A point on the globe, in degrees.")
class GeoLocation:
    latitude: float
    longitude: float


@strawberry.type(description="From when until when a store is open on one day of the week.")
class OpeningHours:
    day: int = strawberry.field(description="1 is Monday.")
    opens: str = strawberry.field(description="Local time, such as 09:00.")
    closes: str = strawberry.field(description="Local time; no later than `opens` means the day after.")


@strawberry.federation.type(keys=["id"], description="A person; identity says who.")
class User:
    id: UUID


@strawberry.type(description="Somebody's role in a store, or in the whole tenant.")
class StaffAssignment:
    __reads__ = (domain.Assignment,)

    id: UUID
    store_id: UUID | None
    role: domain.StaffRole
    user = computed(lambda assignment, _context: User(id=assignment.user_id), User)


@strawberry.type(description="What the last check of one requirement found in a store.")
class StoreCompliance:
    __reads__ = (domain.StoreCompliance,)

    id: UUID
    store_id: UUID
    requirement: str
    status: domain.ComplianceStatus
    checked_at: datetime
    expires_at: date | None
    note: str | None


@strawberry.type(description="A setting; `value` of an encrypted one is never told.")
class StoreSetting:
    __reads__ = (domain.StoreSetting,)

    id: UUID
    version: int
    store_id: UUID | None = strawberry.field(description="Empty where it holds for the whole tenant.")
    key: str
    category: str
    value: str | None
    is_encrypted: bool


def _location(store: Any, _context: Any) -> Any:
    return None if store.latitude is None else GeoLocation(latitude=store.latitude, longitude=store.longitude)


@strawberry.federation.type(keys=["id"], description="A place that sells.")
class Store(Node):
    __references__ = {"id": resolvers.stores_by_id}
    __reads__ = (domain.Store,)

    id: UUID
    version: int
    code: str
    name: str
    status: domain.StoreStatus
    phone: str | None
    email: str | None
    street: str | None
    city: str | None
    postal_code: str | None
    province_code: str | None
    province: Province | None = bulk(resolvers.provinces_by_code, key="province_code", who=PUBLIC)
    location = computed(_location, GeoLocation | None)
    timezone: str
    hours = computed(lambda store, _context: store.hours, list[OpeningHours])
    is_open = computed(resolvers.is_open, bool, description="At an instant, or now.")
    tax_rate: Decimal = strawberry.federation.field(description="A fraction of one.")
    delivery_radius_km: int
    delivery_enabled: bool
    pickup_enabled: bool
    kiosk_enabled: bool
    pos_enabled: bool
    ecommerce_enabled: bool
    seo_title: str | None
    seo_description: str | None
    licence_number: str | None = attribute(who=READ)
    licence_expiry: date | None = attribute(who=READ)
    suspended_for: domain.SuspensionCause | None = attribute(who=READ)
    staff: list[StaffAssignment] = bulk(resolvers.staff_of_stores, key="id", who=READ)
    compliance: list[StoreCompliance] = bulk(resolvers.compliance_of_stores, key="id", who=READ)
    tenant: Annotated["Tenant", strawberry.lazy("schema.tenancy")] = bulk(
        resolvers.tenants_by_id, key="tenant_id", who=PUBLIC
    )


@strawberry.type(description="A store and how far away it is.")
class NearbyStore:
    distance_km: float
    store = computed(lambda row, _context: row, Store)


@strawberry.federation.type(keys=["id"], description="A customer of the platform: a marketplace with its stores.")
class Tenant(Node):
    __references__ = {"id": resolvers.tenants_by_id}
    __reads__ = (domain.Tenant,)

    id: UUID
    version: int
    code: str
    name: str
    website: str | None
    logo_url: str | None
    status: domain.TenantStatus
    currency: str
    locale: str
    timezone: str
    stores: connection(Store) = bulk(resolvers.stores_of_tenants, key="id", who=PUBLIC)  # type: ignore[valid-type]
    company_name: str | None = attribute(who=READ)
    business_number: str | None = attribute(who=READ)
    gst_hst_number: str | None = attribute(who=READ)
    contact_email: str | None = attribute(who=READ)
    contact_phone: str | None = attribute(who=READ)
    status_reason: str | None = attribute(who=READ)
    subscription_tier: domain.SubscriptionTier = attribute(who=READ)
    subscription_period: domain.SubscriptionPeriod = attribute(who=READ)
    subscription_renews_at: datetime | None = attribute(who=READ)
    max_stores: int = attribute(who=READ)
    hosts: list[str] = bulk(resolvers.hosts_of_tenants, key="id", who=READ)
    staff: list[StaffAssignment] = bulk(resolvers.staff_of_tenants, key="id", who=READ)


@strawberry.type
class Query:
    tenant = query(resolvers.tenant, Tenant | None, who=PUBLIC)
    tenants = query(resolvers.tenants, connection(Tenant), who=PLATFORM)
    tenant_hierarchy = query(resolvers.tenant_hierarchy, Tenant | None, who=READ)
    store = query(resolvers.store, Store | None, who=PUBLIC, stale_ok=True)
    stores = query(resolvers.stores, connection(Store), who=PUBLIC, stale_ok=True)
    nearby_stores = query(resolvers.nearby_stores, list[NearbyStore], who=PUBLIC, stale_ok=True)
    expiring_licences = query(resolvers.expiring_licences, connection(Store), who=READ)
    store_settings = query(resolvers.store_settings, list[StoreSetting], who=READ)
    store_compliance = query(resolvers.store_compliance, list[StoreCompliance], who=READ)
    provinces = query(resolvers.provinces, list[Province], who=PUBLIC, stale_ok=True)


@strawberry.type
class Mutation:
    create_tenant = command(resolvers.create_tenant, Tenant, errors=[AlreadyExists], who=PLATFORM)
    update_tenant = command(resolvers.update_tenant, Tenant, errors=[AlreadyExists], who=MANAGE)
    suspend_tenant = command(resolvers.suspend_tenant, Tenant, errors=[InvalidStateTransition], who=PLATFORM)
    reactivate_tenant = command(resolvers.reactivate_tenant, Tenant, errors=[InvalidStateTransition], who=PLATFORM)
    cancel_tenant = command(resolvers.cancel_tenant, Tenant, errors=[InvalidStateTransition], who=PLATFORM)
    change_tenant_subscription = command(
        resolvers.change_tenant_subscription, Tenant, errors=[InvalidStateTransition], who=PLATFORM
    )
    create_store = command(resolvers.create_store, Store, errors=[AlreadyExists, domain.StoreLimitReached], who=MANAGE)
    update_store = command(resolvers.update_store, Store, who=MANAGE)
    activate_store = command(
        resolvers.activate_store, Store, errors=[InvalidStateTransition, domain.LicenceExpired], who=MANAGE
    )
    deactivate_store = command(resolvers.deactivate_store, Store, errors=[InvalidStateTransition], who=MANAGE)
    set_store_setting = command(resolvers.set_store_setting, StoreSetting, who=MANAGE)
    assign_store_user = command(resolvers.assign_store_user, StaffAssignment, who=MANAGE)
    record_store_compliance = command(resolvers.record_store_compliance, StoreCompliance, who=MANAGE)


subgraph = make_subgraph(query=Query, mutation=Mutation)
