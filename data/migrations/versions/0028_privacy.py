"""Keys of people, their exports and erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0028"
down_revision = "0024"


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
    op.add_column("session", sa.Column("impersonator_id", sa.Uuid), schema="identity")
    # The application goes on adding only; what an erasure overwrites in the log, the platform overwrites.
    op.execute("GRANT UPDATE (data) ON platform.event_log TO agora_system")
    for table in ("person_key", "data_export", "erasure"):
        isolate(f"identity.{table}")
