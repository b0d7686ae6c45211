"""Second factors, passkeys, one-time codes, confirmed addresses, and what tenants ask of those who come in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import isolate

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    for column in ("email_verified_at", "phone_verified_at"):
        op.add_column("user", sa.Column(column, sa.DateTime(timezone=True)), schema="identity")
    op.add_column("session", sa.Column("second_factor_at", sa.DateTime(timezone=True)), schema="identity")
    _create_factors()
    _create_codes()
    op.create_table(
        "sign_in_policy",
        *_root(),
        sa.Column("confirm_email", sa.Boolean, nullable=False),
        sa.Column("second_factor_roles", postgresql.ARRAY(sa.Text), nullable=False),
        sa.UniqueConstraint("tenant_id", name="uq_sign_in_policy_tenant_id"),
        schema="identity",
    )
    isolate("identity.sign_in_policy")


def _owned() -> list[sa.Column]:
    return [sa.Column("id", sa.Uuid, primary_key=True), sa.Column("tenant_id", sa.Uuid, nullable=False)]


def _root() -> list[sa.Column]:
    return [
        *_owned(),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def _of_user(*, nullable: bool = False) -> sa.Column:
    return sa.Column("user_id", sa.Uuid, sa.ForeignKey("identity.user.id", ondelete="CASCADE"), nullable=nullable)


def _create_factors() -> None:
    op.create_table(
        "authenticator",
        *_root(),
        _of_user(),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", name="uq_authenticator_user_id"),
        schema="identity",
    )
    op.create_table(
        "recovery_code",
        *_owned(),
        sa.Column(
            "authenticator_id",
            sa.Uuid,
            sa.ForeignKey("identity.authenticator.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.Index("ix_recovery_code_authenticator_id", "authenticator_id"),
        schema="identity",
    )
    op.create_table(
        "passkey",
        *_root(),
        _of_user(),
        sa.Column("rp_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant_id", "credential_id", name="uq_passkey_tenant_id_credential_id"),
        sa.Index("ix_passkey_user_id", "user_id"),
        schema="identity",
    )
    op.create_table(
        "challenge",
        *_owned(),
        sa.Column("purpose", sa.Text, nullable=False),
        _of_user(nullable=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("rp_id", sa.Text),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text),
        sa.Column("device_name", sa.Text),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("token_hash", name="uq_challenge_token_hash"),
        sa.Index("ix_challenge_expires_at", "expires_at"),
        schema="identity",
    )
    for table in ("authenticator", "recovery_code", "passkey", "challenge"):
        isolate(f"identity.{table}")


def _create_codes() -> None:
    op.create_table(
        "one_time_code",
        *_owned(),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        _of_user(nullable=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("by_link", sa.Boolean, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("device_attempts", sa.Integer, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "attempts BETWEEN 0 AND 5 AND device_attempts BETWEEN 0 AND 5", name="attempts_bounded"
        ),
        sa.UniqueConstraint("tenant_id", "account", "purpose", name="uq_one_time_code_tenant_id_account_purpose"),
        sa.Index("ix_one_time_code_digest", "tenant_id", "digest"),
        sa.Index("ix_one_time_code_expires_at", "expires_at"),
        schema="identity",
    )
    isolate("identity.one_time_code")
