"""Signing in by providers: external identities, tenants' own providers, and ways round that were begun."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0026"
down_revision = "0025"


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def upgrade() -> None:
    op.create_table(
        "external_identity",
        *_root(),
        sa.Column(
            "user_id",
            sa.Uuid,
            sa.ForeignKey("identity.user.id", ondelete="CASCADE", name="fk_external_identity_user_id"),
            nullable=False,
        ),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("granted_roles", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint(
            "tenant_id", "provider", "subject", name="uq_external_identity_tenant_id_provider_subject"
        ),
        schema="identity",
    )
    op.create_index("ix_external_identity_user_id", "external_identity", ["user_id"], schema="identity")
    op.create_table(
        "single_sign_on",
        *_root(),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("domains", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("groups_claim", sa.Text),
        sa.Column("roles", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("is_enforced", sa.Boolean, nullable=False),
        sa.Column("redirect_uris", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("ceiling", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("configured_by", sa.Uuid),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "provider", name="uq_single_sign_on_tenant_id_provider"),
        schema="identity",
    )
    op.create_table(
        "social_login",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("state_hash", sa.LargeBinary, nullable=False),
        sa.Column("binding_hash", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("first_name", sa.Text),
        sa.Column("last_name", sa.Text),
        sa.Column("proof", sa.LargeBinary),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("state_hash", name="uq_social_login_state_hash"),
        sa.UniqueConstraint("proof", name="uq_social_login_proof"),
        schema="identity",
    )
    op.create_index("ix_social_login_expires_at", "social_login", ["expires_at"], schema="identity")
    for table in ("external_identity", "single_sign_on", "social_login"):
        isolate(f"identity.{table}")
