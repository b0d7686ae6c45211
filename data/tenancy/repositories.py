"""Tenants, stores, settings and staff for change."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, delete, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from data.kernel import implements
from data.loading import columns_of, loaded
from data.statements import Statement
from data.tenancy.tables import province_territory, store, store_setting, tenant_host
from data.tenancy.tables import tenant as tenant_table
from domain.kernel import uuid7
from domain.tenancy import (
    Assignment,
    Assignments,
    ComplianceChecks,
    Provinces,
    Store,
    StoreCompliance,
    Stores,
    StoreSetting,
    StoreSettings,
    StoreStatus,
    Tenant,
    Tenants,
)

_STORES = Statement(select(*columns_of(Store)).where(store.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))))


@implements(Tenants)
class SqlTenants:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, tenant_id: UUID) -> Tenant | None:
        wanted = select(Tenant).filter_by(id=tenant_id).with_for_update()
        return (await self._session.scalars(wanted)).one_or_none()

    async def get(self, tenant_id: UUID) -> Tenant | None:
        return await self._session.get(Tenant, tenant_id)

    async def code_exists(self, code: str) -> bool:
        return await self._session.scalar(select(tenant_table.c.id).filter_by(code=code)) is not None

    async def hosts_of_others(self, tenant: Tenant, hosts: Sequence[str]) -> Sequence[str]:
        taken = select(tenant_host.c.host).where(
            tenant_host.c.host == func.any(list(hosts)), tenant_host.c.tenant_id != tenant.id
        )
        return (await self._session.scalars(taken.order_by(tenant_host.c.host))).all()

    async def add(self, tenant: Tenant) -> None:
        self._session.add(tenant)

    async def replace_hosts(self, tenant: Tenant, hosts: Sequence[str]) -> None:
        await self._session.flush()
        await self._session.execute(delete(tenant_host).where(tenant_host.c.tenant_id == tenant.id))
        if hosts:
            rows = [{"id": uuid7(), "tenant_id": tenant.id, "host": host} for host in hosts]
            await self._session.execute(insert(tenant_host), rows)


@implements(Stores)
class SqlStores:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, store_id: UUID) -> Store | None:
        return (await self._session.scalars(select(Store).filter_by(id=store_id))).one_or_none()

    async def many(self, store_ids: Collection[UUID]) -> Sequence[Store]:
        return await loaded(self._session, Store, _STORES, ids=[*store_ids])

    async def code_exists(self, code: str) -> bool:
        return await self._session.scalar(select(store.c.id).filter_by(code=code)) is not None

    async def add(self, new: Store) -> None:
        self._session.add(new)

    async def count(self) -> int:
        return int(await self._session.scalar(select(func.count()).select_from(store)) or 0)

    async def of_tenant(self, tenant_id: UUID, status: StoreStatus) -> Sequence[Store]:
        wanted = select(Store).filter_by(tenant_id=tenant_id, status=status).order_by(store.c.id).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def with_licence_until(self, day: date) -> Sequence[Store]:
        due = select(Store).where(store.c.licence_expiry <= day, store.c.status == StoreStatus.ACTIVE)
        return (await self._session.scalars(due.order_by(store.c.id).with_for_update())).all()


@implements(Provinces)
class SqlProvinces:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, code: str) -> Any | None:
        found = await self._session.execute(select(province_territory).filter_by(code=code))
        return found.one_or_none()


@implements(StoreSettings)
class SqlStoreSettings:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, store_id: UUID | None, key: str) -> StoreSetting | None:
        here = store_setting.c.store_id.is_not_distinct_from(store_id)
        return (await self._session.scalars(select(StoreSetting).where(here).filter_by(key=key))).one_or_none()

    async def secret(self) -> Sequence[StoreSetting]:
        wanted = select(StoreSetting).where(store_setting.c.is_encrypted).order_by(store_setting.c.id).with_for_update()
        return (await self._session.scalars(wanted)).all()

    async def add(self, setting: StoreSetting) -> None:
        self._session.add(setting)


@implements(Assignments)
class SqlAssignments:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, store_id: UUID | None, user_id: UUID) -> Assignment | None:
        wanted = select(Assignment).filter_by(store_id=store_id, user_id=user_id)
        return (await self._session.scalars(wanted)).one_or_none()

    async def add(self, assignment: Assignment) -> None:
        self._session.add(assignment)


@implements(ComplianceChecks)
class SqlComplianceChecks:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, store_id: UUID, requirement: str) -> StoreCompliance | None:
        wanted = select(StoreCompliance).filter_by(store_id=store_id, requirement=requirement)
        return (await self._session.scalars(wanted)).one_or_none()

    async def add(self, compliance: StoreCompliance) -> None:
        self._session.add(compliance)
