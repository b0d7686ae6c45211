"""Keys of people, their exports and erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0028"
down_revision = "0027"


def _root(*columns: sa.Column) -> list[sa.Column]:  # type: ignore[type-arg]
    moments = [
        sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
        for name in ("created_at", "updated_at")
    ]
    own = [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    ]
    return [*own, *moments, *columns]


def _request(*columns: sa.Column) -> list[sa.Column]:  # type: ignore[type-arg]
    return _root(
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("requested_by", sa.Uuid, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        *columns,
    )


def upgrade() -> None:
    op.create_table(
        "person_key",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="identity",
    )
    op.create_index("ix_person_key_person_id", "person_key", ["tenant_id", "person_id"], schema="identity")
    op.create_table(
        "data_export",
        *_request(
            sa.Column("size_bytes", sa.BigInteger),
            sa.Column("ready_at", sa.DateTime(timezone=True)),
            sa.Column("expires_at", sa.DateTime(timezone=True)),
        ),
        schema="identity",
    )
    op.create_index("ix_data_export_user_id", "data_export", ["tenant_id", "user_id", "id"], schema="identity")
    op.create_table(
        "erasure",
        *_request(
            sa.Column("done", postgresql.JSONB, nullable=False, server_default="{}"),
            sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("completed_at", sa.DateTime(timezone=True)),
        ),
        schema="identity",
    )
    op.create_index("ix_erasure_user_id", "erasure", ["tenant_id", "user_id", "id"], schema="identity")
    op.create_index(
        "uq_erasure_pending",
        "erasure",
        ["tenant_id", "user_id"],
        unique=True,
        schema="identity",
        postgresql_where=sa.text("state IN ('scheduled', 'running')"),
    )
    op.create_table(
        "audit_line",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "operation", "permission", "outcome")),
        sa.Column("code", sa.Text),
        sa.Column("actor_id", sa.Uuid, nullable=False),
        sa.Column("impersonator_id", sa.Uuid),
        sa.Column("session_id", sa.Uuid),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("ids", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("seal", sa.Integer),
        schema="platform",
    )
    op.create_index("ix_audit_line_tenant_id", "audit_line", ["tenant_id", "sequence"], schema="platform")
    op.create_index("ix_audit_line_seal", "audit_line", ["tenant_id", "seal"], schema="platform")
    op.create_index(
        "ix_audit_line_unsealed",
        "audit_line",
        ["sequence"],
        schema="platform",
        postgresql_where=sa.text("seal IS NULL"),
    )
    op.create_table(
        "audit_seal",
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        schema="platform",
    )
    for table in ("audit_line", "audit_seal"):
        isolate(f"platform.{table}")
        op.execute(f"REVOKE UPDATE, DELETE ON platform.{table} FROM agora_app, agora_system")
    op.execute("GRANT UPDATE (seal) ON platform.audit_line TO agora_system")
    op.add_column(
        "role", sa.Column("conditions", postgresql.JSONB, nullable=False, server_default="{}"), schema="identity"
    )
    op.add_column("session", sa.Column("impersonator_id", sa.Uuid), schema="identity")
    # The application goes on adding only; what an erasure overwrites in the log, the platform overwrites.
    op.execute("GRANT UPDATE (data) ON platform.event_log TO agora_system")
    for table in ("person_key", "data_export", "erasure"):
        isolate(f"identity.{table}")
