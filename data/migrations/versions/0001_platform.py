"""Platform: roles, tenant scope, event log, snapshots, idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import APP_ROLE, ROLES, SYSTEM_ROLE, create_schema, isolate

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_roles()
    create_schema("platform")
    _create_scope()
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute("CREATE EXTENSION IF NOT EXISTS unaccent")
    op.create_table(
        "event_log",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("metadata", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("aggregate_id", "version", name="uq_event_log_aggregate_id_version"),
        sa.Index("ix_event_log_tenant_id_name_occurred_at", "tenant_id", "name", "occurred_at"),
        schema="platform",
    )
    # What happened has happened: the application appends to the log and never rewrites it.
    op.execute(f"REVOKE UPDATE, DELETE ON platform.event_log FROM {APP_ROLE}, {SYSTEM_ROLE}")
    isolate("platform.event_log")
    op.create_table(
        "aggregate_snapshot",
        sa.Column("aggregate_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="platform",
    )
    isolate("platform.aggregate_snapshot")
    op.create_table(
        "idempotency_key",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("answer", postgresql.JSONB),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "key", name="pk_idempotency_key"),
        schema="platform",
    )
    isolate("platform.idempotency_key")


def _create_roles() -> None:
    for statement in ROLES:
        op.execute(statement)


def _create_scope() -> None:
    op.execute(
        "CREATE FUNCTION platform.tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS "
        "$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$"
    )
    # PostgreSQL 18 makes time-ordered ids itself; an older one makes random ones where SQL makes rows.
    op.execute(
        "DO $do$ BEGIN EXECUTE 'CREATE FUNCTION platform.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$ SELECT ' || "
        "CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'uuidv7()' ELSE 'gen_random_uuid()' END "
        "|| ' $$'; END $do$"
    )
    # Tenancy replaces this function by one that knows which tenants may be changed.
    op.execute(
        "CREATE FUNCTION platform.enter(tenant uuid, user_id text, correlation_id text) RETURNS boolean "
        "LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('app.tenant_id', coalesce(tenant::text, ''), true), "
        "set_config('app.user_id', user_id, true), set_config('app.correlation_id', correlation_id, true); "
        "RETURN true; END $$"
    )
