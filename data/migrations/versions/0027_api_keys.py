"""API keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", moment, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", moment, server_default=sa.func.now(), nullable=False),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("identity.user.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("store_ids", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("rate_limit_per_minute", sa.Integer, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("revoked_at", moment),
        sa.Column("previous_hash", sa.LargeBinary),
        sa.Column("previous_good_until", moment),
        sa.Column("last_used_at", moment),
        sa.CheckConstraint("rate_limit_per_minute > 0", name="rate_limit_positive"),
        sa.Index("ix_api_key_user_id", "user_id"),
        schema="identity",
    )
    isolate("identity.api_key")
