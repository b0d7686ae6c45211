"""Batch reads of tenants, stores, settings and staff."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from data.database import Reads
from data.kernel import implements
from data.paging import Listing, equals
from data.statements import Statement
from data.tenancy.tables import (
    assignment,
    province_territory,
    store,
    store_compliance,
    store_setting,
    tenant,
    tenant_host,
)
from domain.paging import Page, PageRequest
from domain.tenancy import (
    GeoLocation,
    ProvinceReads,
    SalesChannel,
    StaffReads,
    StoreFilter,
    StoreReads,
    StoreSettingReads,
    StoreStatus,
    TenantFilter,
    TenantReads,
    bounding_box,
)
from domain.tenancy.geography import EARTH_RADIUS_KM

_IDS = bindparam("keys", type_=ARRAY(Uuid))
_TEXTS = bindparam("keys", type_=ARRAY(Text))

_TENANT_BY_ID = Statement(select(tenant).where(tenant.c.id == func.any(_IDS)))
_TENANT_BY_CODE = Statement(select(tenant).where(tenant.c.code == func.any(_TEXTS)))
_TENANT_BY_HOST = Statement(
    select(tenant, tenant_host.c.host)
    .join(tenant_host, tenant_host.c.tenant_id == tenant.c.id)
    .where(tenant_host.c.host == func.any(_TEXTS))
)
_HOSTS = Statement(
    select(tenant_host.c.tenant_id, tenant_host.c.host)
    .where(tenant_host.c.tenant_id == func.any(_IDS))
    .order_by(tenant_host.c.id)
)
_STORE_BY_ID = Statement(select(store).where(store.c.id == func.any(_IDS)))
_STORE_BY_CODE = Statement(select(store).where(store.c.code == func.any(_TEXTS)))
_PROVINCES = select(province_territory).order_by(province_territory.c.country, province_territory.c.code)
_COUNTRY = bindparam("country", type_=Text)
_PROVINCES_OF_COUNTRY = Statement(_PROVINCES.where(or_(_COUNTRY.is_(None), province_territory.c.country == _COUNTRY)))
_PROVINCE_BY_CODE = Statement(_PROVINCES.where(province_territory.c.code == func.any(_TEXTS)))
# The ciphertext stays in the database: no read that answers a client selects it.
_SETTINGS = select(*(column for column in store_setting.c if column is not store_setting.c.sealed))
_STORE_ID = bindparam("store_id", type_=Uuid)
_CATEGORY = bindparam("category", type_=Text)
_SETTINGS_OF_STORE = Statement(
    _SETTINGS.where(
        store_setting.c.store_id.is_not_distinct_from(_STORE_ID),
        or_(_CATEGORY.is_(None), store_setting.c.category == _CATEGORY),
    ).order_by(store_setting.c.key)
)
_STAFF_OF_TENANT = Statement(
    select(assignment)
    .where(assignment.c.tenant_id == func.any(_IDS), assignment.c.store_id.is_(None))
    .order_by(assignment.c.id)
)
_STAFF_OF_STORE = Statement(select(assignment).where(assignment.c.store_id == func.any(_IDS)).order_by(assignment.c.id))
_COMPLIANCE = Statement(
    select(store_compliance)
    .where(store_compliance.c.store_id == func.any(_IDS))
    .order_by(store_compliance.c.requirement)
)
_TENANTS = Listing(
    select(tenant), [tenant.c.code], **equals(tenant.c.status), tier=tenant.c.subscription_tier == bindparam("tier")
)
_STORES = Listing(
    select(store),
    [store.c.code],
    parent=store.c.tenant_id,
    **equals(store.c.status, store.c.province_code),
    **{str(channel): store.c[f"{channel}_enabled"] for channel in SalesChannel},
    licence_expires_before=store.c.licence_expiry < bindparam("licence_expires_before"),
    only_ids=store.c.id == func.any(bindparam("only_ids", type_=ARRAY(Uuid))),
)


@implements(TenantReads)
class SqlTenantReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_TENANT_BY_ID, ids)

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_TENANT_BY_CODE, codes, "code")

    async def by_host(self, hosts: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_TENANT_BY_HOST, hosts, "host")

    async def hosts(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_HOSTS, tenant_ids, "tenant_id")

    async def tenants(self, wanted: TenantFilter, page: PageRequest) -> Page[Any]:
        return await _TENANTS.page(self._reads, page, status=wanted.status, tier=wanted.tier)


@implements(StoreReads)
class SqlStoreReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]:
        return await self._reads.by_key(_STORE_BY_ID, ids)

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_STORE_BY_CODE, codes, "code")

    async def by_tenant(self, tenant_ids: Sequence[UUID], page: PageRequest) -> list[Page[Any]]:
        return await _STORES.pages(self._reads, tenant_ids, page)

    async def stores(self, wanted: StoreFilter, page: PageRequest) -> Page[Any]:
        return await _STORES.page(
            self._reads,
            page,
            status=wanted.status,
            province_code=wanted.province_code,
            licence_expires_before=wanted.licence_expires_before,
            only_ids=None if wanted.only_ids is None else list(wanted.only_ids),
            **({} if wanted.channel is None else {str(wanted.channel): True}),
        )

    async def nearby(self, center: GeoLocation, radius_km: float, limit: int) -> list[Any]:
        box = bounding_box(center, radius_km)
        longitudes = (store.c.longitude >= box.west, store.c.longitude <= box.east)
        around = or_(*longitudes) if box.crosses_date_line else and_(*longitudes)
        candidates = (
            select(store, _distance(center).label("distance_km"))
            .where(store.c.status == StoreStatus.ACTIVE, store.c.latitude.between(box.south, box.north), around)
            .subquery()
        )
        nearest = select(candidates).where(candidates.c.distance_km <= radius_km)
        return await self._reads.rows(nearest.order_by(candidates.c.distance_km, candidates.c.code).limit(limit))


def _distance(center: GeoLocation) -> Any:
    # The same formula as `distance_km` of the domain, so that PostgreSQL sorts and cuts before rows travel.
    half_latitude = func.sin(func.radians(store.c.latitude - center.latitude) / 2)
    half_longitude = func.sin(func.radians(store.c.longitude - center.longitude) / 2)
    latitudes = func.cos(func.radians(store.c.latitude)) * func.cos(func.radians(center.latitude))
    chord = half_latitude * half_latitude + latitudes * half_longitude * half_longitude
    return 2 * EARTH_RADIUS_KM * func.asin(func.sqrt(func.least(1.0, chord)))


@implements(ProvinceReads)
class SqlProvinceReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def all(self, country: str | None) -> Sequence[Any]:
        return await self._reads.rows(_PROVINCES_OF_COUNTRY, country=country)

    async def by_code(self, codes: Sequence[str]) -> list[Any | None]:
        return await self._reads.by_key(_PROVINCE_BY_CODE, codes, "code")


@implements(StoreSettingReads)
class SqlStoreSettingReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_store(self, store_id: UUID | None, category: str | None) -> Sequence[Any]:
        return await self._reads.rows(_SETTINGS_OF_STORE, store_id=store_id, category=category)


@implements(StaffReads)
class SqlStaffReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_tenants(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_STAFF_OF_TENANT, tenant_ids, "tenant_id")

    async def of_stores(self, store_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_STAFF_OF_STORE, store_ids, "store_id")

    async def compliance(self, store_ids: Sequence[UUID]) -> list[list[Any]]:
        return await self._reads.grouped(_COMPLIANCE, store_ids, "store_id")
