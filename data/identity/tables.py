"""The tables of identity and what is mapped onto them."""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import relationship

from data.kernel import (
    TENANT_OWNED,
    Choice,
    json_column,
    map_aggregate,
    mapping,
    metadata,
    refuses,
    tenant_table,
    timestamp,
)
from domain.identity.addresses import AddressType, UserAddress
from domain.identity.api_keys import ApiKey
from domain.identity.attempts import LoginAttempt, LoginAttemptKind
from domain.identity.roles import RoleAssignment, RoleDefinition
from domain.identity.sessions import RefreshToken, Session, SessionEnding
from domain.identity.users import User, UserStatus
from domain.kernel import AlreadyExists

CONTEXT = "identity"


def of_user(*, nullable: bool = False) -> tuple[Column[Any], ForeignKeyConstraint]:
    """Give the column of the user to whom a row belongs, and goes with, and what holds it to the users of the tenant."""
    column = Column("user_id", Uuid, nullable=nullable)
    owner = ["identity.user.tenant_id", "identity.user.id"]
    return column, ForeignKeyConstraint(["tenant_id", "user_id"], owner, ondelete="CASCADE")


user = tenant_table(
    CONTEXT,
    "user",
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("phone", Text),
    Column("date_of_birth", Date),
    Column("bio", Text),
    Column("avatar_url", Text),
    Column("locale", Text),
    Column("status", Choice(UserStatus), nullable=False),
    json_column("preferences"),
    timestamp("email_verified_at", nullable=True),
    timestamp("phone_verified_at", nullable=True),
    timestamp("last_login_at", nullable=True),
    timestamp("tokens_valid_from", nullable=True),
    UniqueConstraint("tenant_id", "email"),
    Index("ix_user_tokens_valid_from", "tokens_valid_from"),
)

address = tenant_table(
    CONTEXT,
    "address",
    *of_user(),
    Column("address_type", Choice(AddressType), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("street_line1", Text, nullable=False),
    Column("street_line2", Text),
    Column("city", Text, nullable=False),
    Column("province", Text),
    Column("postal_code", Text),
    Column("country", Text, nullable=False),
    timestamp("created_at"),
    # Checked at the commit, for the default passes from one row to another in two updates.
    ExcludeConstraint(
        ("tenant_id", "="),
        ("user_id", "="),
        ("address_type", "="),
        where="is_default",
        using="btree",
        name="ex_address_one_default",
        deferrable=True,
        initially="DEFERRED",
    ),
    Index("ix_address_user_id", "user_id"),
    root=False,
)

role_assignment = tenant_table(
    CONTEXT,
    "role_assignment",
    *of_user(),
    Column("role", Text, nullable=False),
    Column("store_id", Uuid),
    Column("assigned_by", Uuid),
    timestamp("assigned_at"),
    UniqueConstraint("tenant_id", "user_id", "role", "store_id", postgresql_nulls_not_distinct=True),
    Index("ix_role_assignment_role", "tenant_id", "role"),
    root=False,
)

role = tenant_table(
    CONTEXT,
    "role",
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("permissions", ARRAY(Text), nullable=False),
    json_column("conditions"),
    UniqueConstraint("tenant_id", "name"),
)

session = tenant_table(
    CONTEXT,
    "session",
    *of_user(),
    Column("device_name", Text),
    Column("user_agent", Text),
    Column("address", Text, nullable=False),
    timestamp("last_seen_at"),
    timestamp("expires_at"),
    timestamp("revoked_at", nullable=True),
    Column("revoked_reason", Choice(SessionEnding)),
    timestamp("second_factor_at", nullable=True),
    Column("impersonator_id", Uuid),
    Index("ix_session_user_id", "user_id"),
    Index("ix_session_revoked_at", "revoked_at"),
)

refresh_token = tenant_table(
    CONTEXT,
    "refresh_token",
    Column("session_id", Uuid, nullable=False),
    # Checked at the commit: a log-in makes the session and its first token in one go, in either order.
    ForeignKeyConstraint(
        ["tenant_id", "session_id"],
        ["identity.session.tenant_id", "identity.session.id"],
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    ),
    Column("token_hash", LargeBinary, nullable=False),
    timestamp("expires_at"),
    timestamp("used_at", nullable=True),
    UniqueConstraint("tenant_id", "token_hash"),
    Index("ix_refresh_token_session_id", "session_id"),
    root=False,
)

login_attempt = tenant_table(
    CONTEXT,
    "login_attempt",
    Column("version", Integer, nullable=False),
    Column("kind", Choice(LoginAttemptKind), nullable=False),
    Column("user_id", Uuid),
    Column("succeeded", Boolean, nullable=False),
    Column("reason", Text),
    Column("address", Text, nullable=False),
    Column("user_agent", Text),
    timestamp("attempted_at"),
    Index("ix_login_attempt_user_id", "tenant_id", "user_id", "id"),
    root=False,
)

api_key = tenant_table(
    CONTEXT,
    "api_key",
    *of_user(),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("store_ids", ARRAY(Uuid), nullable=False),
    Column("rate_limit_per_minute", Integer, nullable=False),
    timestamp("expires_at", nullable=True),
    timestamp("revoked_at", nullable=True),
    Column("previous_hash", LargeBinary),
    timestamp("previous_good_until", nullable=True),
    # Written beside the aggregate, at most once a minute.
    timestamp("last_used_at", nullable=True),
    CheckConstraint("rate_limit_per_minute > 0", name="rate_limit_positive"),
    Index("ix_api_key_user_id", "user_id"),
)

login_guard = Table(
    "login_guard",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("subject", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    timestamp("counted_until"),
    timestamp("locked_until", nullable=True),
    PrimaryKeyConstraint("tenant_id", "subject"),
    CheckConstraint("failures > 0", name="failures_positive"),
    schema=CONTEXT,
    info={TENANT_OWNED: True},
)

mapping.map_imperatively(UserAddress, address)
mapping.map_imperatively(RoleAssignment, role_assignment)
mapping.map_imperatively(RefreshToken, refresh_token)
map_aggregate(
    User,
    user,
    addresses=relationship(
        UserAddress, lazy="selectin", cascade="all, delete-orphan", order_by=address.c.id, passive_deletes=True
    ),
    assignments=relationship(
        RoleAssignment,
        lazy="selectin",
        cascade="all, delete-orphan",
        order_by=role_assignment.c.id,
        passive_deletes=True,
    ),
)
map_aggregate(RoleDefinition, role)
map_aggregate(Session, session)
map_aggregate(ApiKey, api_key)
# Whoever registers with a known address must cost as many statements as somebody new, who is written by one of their own.
map_aggregate(LoginAttempt, login_attempt, by_itself=True)

# Registration claims the address first; these two are the last line of defence.
refuses("uq_user_tenant_id_email", lambda _: AlreadyExists(kind="User", value=""))
refuses("uq_role_tenant_id_name", lambda _: AlreadyExists(kind="Role", value=""))
refuses("uq_role_assignment_tenant_id_user_id_role_store_id", lambda _: AlreadyExists(kind="Role", value=""))
