"""The tables of second factors, one-time codes and what tenants ask for, and what is mapped onto them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import relationship

from data.identity.tables import CONTEXT, of_user
from data.kernel import Choice, map_aggregate, mapping, refuses, tenant_table, timestamp
from domain.identity.codes import MAX_CODE_ATTEMPTS, OneTimeCode, OtpPurpose
from domain.identity.factors import Authenticator, Challenge, ChallengePurpose, RecoveryCode
from domain.identity.passkeys import Passkey
from domain.identity.sign_in_policy import SignInPolicy
from domain.identity.users import ContactKind
from domain.kernel import AlreadyExists

authenticator = tenant_table(
    CONTEXT,
    "authenticator",
    *of_user(),
    Column("sealed", Text, nullable=False),
    timestamp("confirmed_at", nullable=True),
    Column("last_step", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "user_id"),
)

recovery_code = tenant_table(
    CONTEXT,
    "recovery_code",
    Column("authenticator_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    timestamp("used_at", nullable=True),
    ForeignKeyConstraint(
        ["tenant_id", "authenticator_id"],
        ["identity.authenticator.tenant_id", "identity.authenticator.id"],
        ondelete="CASCADE",
    ),
    Index("ix_recovery_code_authenticator_id", "authenticator_id"),
    root=False,
)

passkey = tenant_table(
    CONTEXT,
    "passkey",
    *of_user(),
    Column("rp_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", ARRAY(Text), nullable=False),
    Column("backed_up", Boolean, nullable=False),
    timestamp("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "credential_id"),
    Index("ix_passkey_user_id", "user_id"),
)

challenge = tenant_table(
    CONTEXT,
    "challenge",
    Column("purpose", Choice(ChallengePurpose), nullable=False),
    *of_user(nullable=True),
    Column("token_hash", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("rp_id", Text),
    Column("address", Text, nullable=False),
    Column("user_agent", Text),
    Column("device_name", Text),
    timestamp("expires_at"),
    UniqueConstraint("tenant_id", "token_hash"),
    Index("ix_challenge_expires_at", "expires_at"),
    root=False,
)

one_time_code = tenant_table(
    CONTEXT,
    "one_time_code",
    Column("version", Integer, nullable=False),
    Column("account", Text, nullable=False),
    *of_user(nullable=True),
    Column("purpose", Choice(OtpPurpose), nullable=False),
    Column("contact", Choice(ContactKind), nullable=False),
    Column("by_link", Boolean, nullable=False),
    Column("digest", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("device_attempts", Integer, nullable=False),
    timestamp("requested_at"),
    timestamp("expires_at"),
    UniqueConstraint("tenant_id", "account", "purpose"),
    CheckConstraint(
        f"attempts BETWEEN 0 AND {MAX_CODE_ATTEMPTS} AND device_attempts BETWEEN 0 AND {MAX_CODE_ATTEMPTS}",
        name="attempts_bounded",
    ),
    Index("ix_one_time_code_digest", "tenant_id", "digest"),
    Index("ix_one_time_code_expires_at", "expires_at"),
    root=False,
)

sign_in_policy = tenant_table(
    CONTEXT,
    "sign_in_policy",
    Column("confirm_email", Boolean, nullable=False),
    Column("second_factor_roles", ARRAY(Text), nullable=False),
    UniqueConstraint("tenant_id"),
)

mapping.map_imperatively(RecoveryCode, recovery_code)
mapping.map_imperatively(Challenge, challenge)
map_aggregate(
    Authenticator,
    authenticator,
    recovery_codes=relationship(
        RecoveryCode, lazy="selectin", cascade="all, delete-orphan", order_by=recovery_code.c.id, passive_deletes=True
    ),
)
map_aggregate(Passkey, passkey)
map_aggregate(OneTimeCode, one_time_code)
map_aggregate(SignInPolicy, sign_in_policy)

refuses("uq_passkey_tenant_id_credential_id", lambda _: AlreadyExists(kind="Passkey", value=""))
refuses("uq_authenticator_tenant_id_user_id", lambda _: AlreadyExists(kind="Authenticator", value=""))
