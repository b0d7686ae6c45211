"""Tenants, stores, their settings and staff in PostgreSQL."""

from data.tenancy.platform import SqlPlatform
from data.tenancy.reads import SqlProvinceReads, SqlStaffReads, SqlStoreReads, SqlStoreSettingReads, SqlTenantReads
from data.tenancy.repositories import (
    SqlAssignments,
    SqlComplianceChecks,
    SqlProvinces,
    SqlStores,
    SqlStoreSettings,
    SqlTenants,
)

__all__ = [
    "SqlAssignments",
    "SqlComplianceChecks",
    "SqlPlatform",
    "SqlProvinceReads",
    "SqlProvinces",
    "SqlStaffReads",
    "SqlStoreReads",
    "SqlStoreSettingReads",
    "SqlStoreSettings",
    "SqlStores",
    "SqlTenantReads",
    "SqlTenants",
]
