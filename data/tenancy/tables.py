"""The tables of tenants, stores, their settings and staff."""

from functools import partial

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from data.kernel import Choice, json_column, map_aggregate, metadata, refuses, tenant_table, timestamp
from domain.kernel import AlreadyExists
from domain.tenancy import (
    Assignment,
    ComplianceStatus,
    SalesChannel,
    StaffRole,
    Store,
    StoreCompliance,
    StoreSetting,
    StoreStatus,
    SubscriptionPeriod,
    SubscriptionTier,
    SuspensionCause,
    Tenant,
    TenantStatus,
)

province_territory = Table(
    "province_territory",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("minimum_age", Integer, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("default_tax", Numeric(6, 5), nullable=False),
    schema="tenancy",
)

tenant = tenant_table(
    "tenancy",
    "tenant",
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    *(
        Column(name, Text)
        for name in (
            "company_name",
            "business_number",
            "gst_hst_number",
            "contact_email",
            "contact_phone",
            "website",
            "logo_url",
        )
    ),
    Column("status", Choice(TenantStatus), nullable=False),
    Column("status_reason", Text),
    Column("subscription_tier", Choice(SubscriptionTier), nullable=False),
    Column("subscription_period", Choice(SubscriptionPeriod), nullable=False, server_default="month"),
    timestamp("subscription_renews_at", nullable=True),
    Column("max_stores", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("locale", Text, nullable=False, server_default="en"),
    Column("timezone", Text, nullable=False, server_default="America/Toronto"),
    CheckConstraint("id = tenant_id", name="owns_itself"),
    CheckConstraint("max_stores > 0", name="max_stores_positive"),
    UniqueConstraint("code"),
)

tenant_host = tenant_table(
    "tenancy",
    "tenant_host",
    Column("host", Text, nullable=False),
    UniqueConstraint("host"),
    Index("ix_tenant_host_tenant_id", "tenant_id"),
    root=False,
)

store = tenant_table(
    "tenancy",
    "store",
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("province_code", Text),
    *(Column(name, Text) for name in ("phone", "email", "street", "city", "postal_code")),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("timezone", Text, nullable=False),
    json_column("hours", default="[]"),
    Column("licence_number", Text),
    Column("licence_expiry", Date),
    Column("tax_rate", Numeric(6, 5), nullable=False),
    Column("delivery_radius_km", Integer, nullable=False),
    *(Column(f"{channel}_enabled", Boolean, nullable=False) for channel in SalesChannel),
    Column("status", Choice(StoreStatus), nullable=False),
    Column("suspended_for", Choice(SuspensionCause)),
    Column("seo_title", Text),
    Column("seo_description", Text),
    CheckConstraint("tax_rate >= 0 AND tax_rate < 1", name="tax_rate_is_fraction"),
    CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="location_is_whole"),
    UniqueConstraint("tenant_id", "code"),
    Index("ix_store_latitude", "tenant_id", "latitude", "longitude"),
    Index("ix_store_licence_expiry", "tenant_id", "licence_expiry"),
)

store_setting = tenant_table(
    "tenancy",
    "store_setting",
    Column("store_id", Uuid),
    Column("key", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("value", Text),
    Column("sealed", Text),
    Column("is_encrypted", Boolean, nullable=False),
    CheckConstraint("is_encrypted = (value IS NULL) AND is_encrypted = (sealed IS NOT NULL)", name="secret_is_sealed"),
    UniqueConstraint("tenant_id", "store_id", "key", postgresql_nulls_not_distinct=True),
)

assignment = tenant_table(
    "tenancy",
    "assignment",
    Column("store_id", Uuid),
    Column("user_id", Uuid, nullable=False),
    Column("role", Choice(StaffRole), nullable=False),
    UniqueConstraint("tenant_id", "store_id", "user_id", postgresql_nulls_not_distinct=True),
    Index("ix_assignment_user_id", "tenant_id", "user_id"),
)

store_compliance = tenant_table(
    "tenancy",
    "store_compliance",
    Column("store_id", Uuid, nullable=False),
    Column("requirement", Text, nullable=False),
    Column("status", Choice(ComplianceStatus), nullable=False),
    timestamp("checked_at"),
    Column("expires_at", Date),
    Column("note", Text),
    UniqueConstraint("tenant_id", "store_id", "requirement"),
)

for _root, _table in (
    (Tenant, tenant),
    (Store, store),
    (StoreSetting, store_setting),
    (Assignment, assignment),
    (StoreCompliance, store_compliance),
):
    map_aggregate(_root, _table)


# Handlers look before they add; these words are for whoever loses a race, where PostgreSQL keeps silent about the
# values, because a row that row-level security hides may be the one in the way.
for _constraint, _kind in (
    ("uq_tenant_code", "Tenant"),
    ("uq_tenant_host_host", "Host"),
    ("uq_store_tenant_id_code", "Store"),
    ("uq_store_setting_tenant_id_store_id_key", "StoreSetting"),
    ("uq_assignment_tenant_id_store_id_user_id", "Assignment"),
    ("uq_store_compliance_tenant_id_store_id_requirement", "StoreCompliance"),
):
    refuses(_constraint, partial(lambda kind, _detail: AlreadyExists(kind=kind, value="of that name"), _kind))
