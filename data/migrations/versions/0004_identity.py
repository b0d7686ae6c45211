"""Identity: users, addresses, roles, sessions, refresh tokens, login log and the guard at the door."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_schema("identity")
    _create_users()
    _create_roles()
    _create_sessions()
    _create_door()


def _root(*columns: sa.Column) -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        *columns,
    ]


def _child(*columns: sa.Column) -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        *columns,
    ]


def _of_user() -> sa.Column:
    return sa.Column("user_id", sa.Uuid, sa.ForeignKey("identity.user.id", ondelete="CASCADE"), nullable=False)


def _create_users() -> None:
    op.create_table(
        "user",
        *_root(
            sa.Column("email", sa.Text, nullable=False),
            sa.Column("password_hash", sa.Text, nullable=False),
            sa.Column("display_name", sa.Text, nullable=False),
            sa.Column("first_name", sa.Text),
            sa.Column("last_name", sa.Text),
            sa.Column("phone", sa.Text),
            sa.Column("date_of_birth", sa.Date),
            sa.Column("bio", sa.Text),
            sa.Column("avatar_url", sa.Text),
            sa.Column("locale", sa.Text),
            sa.Column("status", sa.Text, nullable=False),
            sa.Column("preferences", postgresql.JSONB, nullable=False, server_default="{}"),
            sa.Column("last_login_at", sa.DateTime(timezone=True)),
            sa.Column("tokens_valid_from", sa.DateTime(timezone=True)),
        ),
        sa.UniqueConstraint("tenant_id", "email", name="uq_user_tenant_id_email"),
        sa.Index("ix_user_tokens_valid_from", "tokens_valid_from"),
        schema="identity",
    )
    isolate("identity.user")
    op.create_table(
        "address",
        *_child(
            _of_user(),
            sa.Column("address_type", sa.Text, nullable=False),
            sa.Column("is_default", sa.Boolean, nullable=False),
            sa.Column("street_line1", sa.Text, nullable=False),
            sa.Column("street_line2", sa.Text),
            sa.Column("city", sa.Text, nullable=False),
            sa.Column("province", sa.Text),
            sa.Column("postal_code", sa.Text),
            sa.Column("country", sa.Text, nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        ),
        postgresql.ExcludeConstraint(
            ("user_id", "="),
            ("address_type", "="),
            where=sa.text("is_default"),
            using="btree",
            name="ex_address_one_default",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.Index("ix_address_user_id", "user_id"),
        schema="identity",
    )
    isolate("identity.address")


def _create_roles() -> None:
    op.create_table(
        "role",
        *_root(
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("description", sa.Text),
            sa.Column("permissions", postgresql.ARRAY(sa.Text), nullable=False),
        ),
        sa.UniqueConstraint("tenant_id", "name", name="uq_role_tenant_id_name"),
        schema="identity",
    )
    isolate("identity.role")
    op.create_table(
        "role_assignment",
        *_child(
            _of_user(),
            sa.Column("role", sa.Text, nullable=False),
            sa.Column("store_id", sa.Uuid),
            sa.Column("assigned_by", sa.Uuid),
            sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        ),
        sa.UniqueConstraint(
            "user_id",
            "role",
            "store_id",
            name="uq_role_assignment_user_id_role_store_id",
            postgresql_nulls_not_distinct=True,
        ),
        sa.Index("ix_role_assignment_role", "tenant_id", "role"),
        schema="identity",
    )
    isolate("identity.role_assignment")


def _create_sessions() -> None:
    op.create_table(
        "session",
        *_root(
            _of_user(),
            sa.Column("device_name", sa.Text),
            sa.Column("user_agent", sa.Text),
            sa.Column("address", sa.Text, nullable=False),
            sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("revoked_at", sa.DateTime(timezone=True)),
            sa.Column("revoked_reason", sa.Text),
        ),
        sa.Index("ix_session_user_id", "user_id"),
        sa.Index("ix_session_revoked_at", "revoked_at"),
        schema="identity",
    )
    isolate("identity.session")
    op.create_table(
        "refresh_token",
        *_child(
            sa.Column(
                "session_id",
                sa.Uuid,
                sa.ForeignKey("identity.session.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
                nullable=False,
            ),
            sa.Column("token_hash", sa.LargeBinary, nullable=False),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("used_at", sa.DateTime(timezone=True)),
        ),
        sa.UniqueConstraint("token_hash", name="uq_refresh_token_token_hash"),
        sa.Index("ix_refresh_token_session_id", "session_id"),
        schema="identity",
    )
    isolate("identity.refresh_token")


def _create_door() -> None:
    op.create_table(
        "login_attempt",
        *_child(
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("kind", sa.Text, nullable=False),
            sa.Column("user_id", sa.Uuid),
            sa.Column("succeeded", sa.Boolean, nullable=False),
            sa.Column("reason", sa.Text),
            sa.Column("address", sa.Text, nullable=False),
            sa.Column("user_agent", sa.Text),
            sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        ),
        sa.Index("ix_login_attempt_user_id", "tenant_id", "user_id", "id"),
        schema="identity",
    )
    isolate("identity.login_attempt")
    op.create_table(
        "login_guard",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("counted_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant_id", "subject", name="pk_login_guard"),
        sa.CheckConstraint("failures > 0", name="failures_positive"),
        schema="identity",
    )
    isolate("identity.login_guard")
