"""Tenancy: tenants, hosts, stores, settings, staff, provinces, and the gate that a suspended tenant's changes meet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import APP_ROLE, create_schema, isolate

revision = "0003"
down_revision = "0002"

# Any number nobody else uses as the first half of an advisory lock.
GATE = 810_331

# Minimum ages: federal Cannabis Act, with Alberta's 18, Quebec's 21 and 19 elsewhere by provincial law.
# Taxes: GST/HST rates of the Canada Revenue Agency since 2025-04-01, plus PST and QST where a province levies its own.
PROVINCES = (
    ("CA-AB", "Alberta", 18, "America/Edmonton", "0.05"),
    ("CA-BC", "British Columbia", 19, "America/Vancouver", "0.12"),
    ("CA-MB", "Manitoba", 19, "America/Winnipeg", "0.12"),
    ("CA-NB", "New Brunswick", 19, "America/Moncton", "0.15"),
    ("CA-NL", "Newfoundland and Labrador", 19, "America/St_Johns", "0.15"),
    ("CA-NS", "Nova Scotia", 19, "America/Halifax", "0.14"),
    ("CA-NT", "Northwest Territories", 19, "America/Edmonton", "0.05"),
    ("CA-NU", "Nunavut", 19, "America/Iqaluit", "0.05"),
    ("CA-ON", "Ontario", 19, "America/Toronto", "0.13"),
    ("CA-PE", "Prince Edward Island", 19, "America/Halifax", "0.15"),
    ("CA-QC", "Quebec", 21, "America/Toronto", "0.14975"),
    ("CA-SK", "Saskatchewan", 19, "America/Regina", "0.11"),
    ("CA-YT", "Yukon", 19, "America/Whitehorse", "0.05"),
)


def upgrade() -> None:
    create_schema("tenancy")
    _create_provinces()
    _create_tenants()
    _create_stores()
    _create_settings()
    _create_staff()
    _create_gate()


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def _create_provinces() -> None:
    province = op.create_table(
        "province_territory",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("minimum_age", sa.Integer, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("default_tax", sa.Numeric(6, 5), nullable=False),
        schema="tenancy",
    )
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON tenancy.province_territory FROM {APP_ROLE}")
    op.bulk_insert(
        province,
        [
            {"code": code, "name": name, "country": "CA", "minimum_age": age, "timezone": zone, "default_tax": tax}
            for code, name, age, zone, tax in PROVINCES
        ],
    )


def _create_tenants() -> None:
    op.create_table(
        "tenant",
        *_root(),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("company_name", sa.Text),
        sa.Column("business_number", sa.Text),
        sa.Column("gst_hst_number", sa.Text),
        sa.Column("contact_email", sa.Text),
        sa.Column("contact_phone", sa.Text),
        sa.Column("website", sa.Text),
        sa.Column("logo_url", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_reason", sa.Text),
        sa.Column("subscription_tier", sa.Text, nullable=False),
        sa.Column("subscription_period", sa.Text, nullable=False, server_default="month"),
        sa.Column("subscription_renews_at", sa.DateTime(timezone=True)),
        sa.Column("max_stores", sa.Integer, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False, server_default="en"),
        sa.Column("timezone", sa.Text, nullable=False, server_default="America/Toronto"),
        sa.CheckConstraint("id = tenant_id", name="owns_itself"),
        sa.CheckConstraint("max_stores > 0", name="max_stores_positive"),
        sa.UniqueConstraint("code", name="uq_tenant_code"),
        schema="tenancy",
    )
    isolate("tenancy.tenant")
    # Within its own scope a tenant can neither lift its suspension nor raise its limits, whatever the code above does.
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON tenancy.tenant FROM {APP_ROLE}")
    op.execute(
        "GRANT UPDATE (version, updated_at, name, company_name, business_number, gst_hst_number, contact_email, "
        f"contact_phone, website, logo_url, currency, locale, timezone) ON tenancy.tenant TO {APP_ROLE}"
    )
    op.create_table(
        "tenant_host",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.UniqueConstraint("host", name="uq_tenant_host_host"),
        sa.Index("ix_tenant_host_tenant_id", "tenant_id"),
        schema="tenancy",
    )
    isolate("tenancy.tenant_host")
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON tenancy.tenant_host FROM {APP_ROLE}")


def _create_stores() -> None:
    op.create_table(
        "store",
        *_root(),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("province_code", sa.Text),
        sa.Column("phone", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("street", sa.Text),
        sa.Column("city", sa.Text),
        sa.Column("postal_code", sa.Text),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("hours", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("licence_number", sa.Text),
        sa.Column("licence_expiry", sa.Date),
        sa.Column("tax_rate", sa.Numeric(6, 5), nullable=False),
        sa.Column("delivery_radius_km", sa.Integer, nullable=False),
        sa.Column("delivery_enabled", sa.Boolean, nullable=False),
        sa.Column("pickup_enabled", sa.Boolean, nullable=False),
        sa.Column("kiosk_enabled", sa.Boolean, nullable=False),
        sa.Column("pos_enabled", sa.Boolean, nullable=False),
        sa.Column("ecommerce_enabled", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("suspended_for", sa.Text),
        sa.Column("seo_title", sa.Text),
        sa.Column("seo_description", sa.Text),
        sa.CheckConstraint("tax_rate >= 0 AND tax_rate < 1", name="tax_rate_is_fraction"),
        sa.CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="location_is_whole"),
        sa.UniqueConstraint("tenant_id", "code", name="uq_store_tenant_id_code"),
        sa.Index("ix_store_latitude", "tenant_id", "latitude", "longitude"),
        sa.Index("ix_store_licence_expiry", "tenant_id", "licence_expiry"),
        schema="tenancy",
    )
    isolate("tenancy.store")


def _create_settings() -> None:
    op.create_table(
        "store_setting",
        *_root(),
        sa.Column("store_id", sa.Uuid),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("sealed", sa.Text),
        sa.Column("is_encrypted", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "is_encrypted = (value IS NULL) AND is_encrypted = (sealed IS NOT NULL)",
            name="secret_is_sealed",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "store_id",
            "key",
            name="uq_store_setting_tenant_id_store_id_key",
            postgresql_nulls_not_distinct=True,
        ),
        schema="tenancy",
    )
    isolate("tenancy.store_setting")


def _create_staff() -> None:
    op.create_table(
        "assignment",
        *_root(),
        sa.Column("store_id", sa.Uuid),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "store_id",
            "user_id",
            name="uq_assignment_tenant_id_store_id_user_id",
            postgresql_nulls_not_distinct=True,
        ),
        sa.Index("ix_assignment_user_id", "tenant_id", "user_id"),
        schema="tenancy",
    )
    isolate("tenancy.assignment")
    op.create_table(
        "store_compliance",
        *_root(),
        sa.Column("store_id", sa.Uuid, nullable=False),
        sa.Column("requirement", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.Date),
        sa.Column("note", sa.Text),
        sa.UniqueConstraint(
            "tenant_id", "store_id", "requirement", name="uq_store_compliance_tenant_id_store_id_requirement"
        ),
        schema="tenancy",
    )
    isolate("tenancy.store_compliance")


def _create_gate() -> None:
    # Every change of a tenant's data holds the gate open until it commits, and a change of the tenant's status waits
    # for the gate: after a suspension has committed, nothing that began before it can still write. An advisory lock
    # stays in memory, where a share lock on the tenant's row would be written to disk by every transaction.
    # Each statement of a volatile function sees what was committed when it began, hence the status is read after the wait.
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION platform.enter(tenant uuid, user_id text, correlation_id text) RETURNS boolean
        LANGUAGE plpgsql VOLATILE AS $$
        DECLARE writable boolean;
        BEGIN
            PERFORM set_config('app.tenant_id', coalesce(tenant::text, ''), true),
                    set_config('app.user_id', user_id, true),
                    set_config('app.correlation_id', correlation_id, true);
            IF tenant IS NULL THEN
                RETURN true;
            END IF;
            PERFORM pg_advisory_xact_lock_shared({GATE}, hashtext(tenant::text));
            SELECT t.status IN ('trial', 'active') INTO writable FROM tenancy.tenant AS t WHERE t.id = tenant;
            RETURN coalesce(writable, false);
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION tenancy.close_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock({GATE}, hashtext(NEW.id::text));
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER close_gate BEFORE UPDATE OF status ON tenancy.tenant FOR EACH ROW "
        "WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION tenancy.close_gate()"
    )
