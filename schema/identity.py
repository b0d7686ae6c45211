"""The identity subgraph: users, sessions, roles, and the door."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from domain.identity import addresses, login, passwords, sessions, users
from domain.identity.roles import RoleDefinition, RoleInUse
from domain.kernel import AlreadyExists, Forbidden, InvalidStateTransition, Unavailable
from resolvers import identity as resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Node,
    action,
    attribute,
    bulk,
    command,
    computed,
    connection,
    make_subgraph,
    owner_or,
    permission,
    query,
)
from schema.scalars import JSON

READ = permission("identity.read")
MANAGE = permission("identity.manage")
ROLES = permission("identity.roles")
SELF = owner_or("identity.read", "id")

enum_of(addresses.AddressType)
enum_of(users.UserStatus)
enum_of(login.LoginAttemptKind)
enum_of(sessions.SessionEnding)


@strawberry.type(description="An entry of a user's address book.")
class UserAddress:
    __reads__ = (addresses.UserAddress,)

    id: UUID
    address_type: addresses.AddressType
    is_default: bool
    street_line1: str
    street_line2: str | None
    city: str
    province: str | None
    postal_code: str | None
    country: str = strawberry.field(description="ISO 3166-1, two letters.")


def _is_current(session: Any, context: Context) -> bool:
    return bool(session.id == context.principal.session_id)


@strawberry.type(description="A log-in on one device.")
class UserSession:
    __reads__ = (sessions.Session,)

    id: UUID
    device_name: str | None
    user_agent: str | None
    address: str = strawberry.field(description="The network address that it was last seen at.")
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_reason: sessions.SessionEnding | None
    is_current = computed(_is_current, bool, description="Whether the request itself belongs to it.")


@strawberry.type(description="One line of the login log.")
class LoginLogEntry:
    id: UUID
    kind: login.LoginAttemptKind
    succeeded: bool
    reason: str | None
    address: str
    user_agent: str | None
    attempted_at: datetime


@strawberry.type(description="A role that a user holds: in the whole tenant, or for one store.")
class RoleAssignment:
    role: str
    store_id: UUID | None
    assigned_at: datetime | None


@strawberry.federation.type(
    keys=["id"], description="A person. Everybody sees the public profile, the rest is their own."
)
class User(Node):
    __references__ = {"id": resolvers.users_by_id}
    __reads__ = (users.User,)

    id: UUID
    display_name: str
    avatar_url: str | None
    bio: str | None
    version: int | None = attribute(who=SELF)
    email: str | None = attribute(who=SELF)
    phone: str | None = attribute(who=SELF)
    first_name: str | None = attribute(who=SELF)
    last_name: str | None = attribute(who=SELF)
    date_of_birth: date | None = attribute(who=SELF)
    locale: str | None = attribute(who=SELF)
    preferences: JSON | None = attribute(who=SELF)
    status: users.UserStatus | None = attribute(who=SELF)
    created_at: datetime | None = attribute(who=SELF)
    last_login_at: datetime | None = attribute(who=SELF)
    addresses: list[UserAddress] | None = bulk(resolvers.addresses_of_users, key="id", who=SELF)
    roles: list[RoleAssignment] | None = bulk(resolvers.roles_of_users, key="id", who=SELF)
    sessions: list[UserSession] | None = bulk(resolvers.sessions_of_users, key="id", who=SELF)
    locked_until: datetime | None = bulk(
        resolvers.locks_of_accounts, key="email", who=READ, description="Set while wrong passwords keep everybody out."
    )


@strawberry.type(description="The answer to everybody who registers, whether or not the address had an account.")
class Registration:
    __reads__ = (resolvers.Registration,)

    email: str


@strawberry.type(description="The tokens of a session.")
class Authentication:
    __reads__ = (resolvers.Authentication,)

    user: User
    session: UserSession
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    refresh_token: str = strawberry.field(description="Good for one use of refreshToken.")
    expires_in: int = strawberry.field(description="Seconds until the access token runs out.")


@strawberry.type(description="A role and what it permits.")
class Role:
    __reads__ = (resolvers.RoleEntry, RoleDefinition)

    name: str
    description: str | None
    is_preset = computed(lambda role, _context: not isinstance(role, RoleDefinition) and role.is_preset, bool)
    permissions: list[str]


@strawberry.type(description="Something that can be allowed.")
class Permission:
    name: str
    description: str


async def _update_preferences(context: Context, preferences: JSON) -> Any:
    given: Any = preferences
    return await resolvers.update_preferences(context, given)


@strawberry.type
class Query:
    me = query(resolvers.me, User | None, who=PUBLIC, description="Whoever is logged in.")
    user = query(resolvers.user, User | None, who=PUBLIC)
    users = query(resolvers.users, connection(User), who=READ)
    my_addresses = query(resolvers.my_addresses, list[UserAddress], who=AUTHENTICATED)
    my_sessions = query(resolvers.my_sessions, list[UserSession], who=AUTHENTICATED)
    my_login_log = query(resolvers.my_login_log, connection(LoginLogEntry), who=AUTHENTICATED)
    login_log = query(resolvers.login_log, connection(LoginLogEntry), who=READ)
    roles = query(resolvers.role_matrix, list[Role], who=READ)
    permissions = query(resolvers.permissions, list[Permission], who=READ)


AT_THE_DOOR = [login.InvalidCredentials, login.TooManyAttempts, Unavailable]
CLOSED = [users.AccountLocked, users.AccountDeactivated]
GRANTING = [Forbidden, AlreadyExists]
GOVERNING = [Forbidden, InvalidStateTransition]


@strawberry.type
class Mutation:
    register = action(
        resolvers.register,
        Registration,
        who=PUBLIC,
        result="RegisterResult",
        errors=[passwords.WeakPassword, Unavailable],
    )
    login = action(resolvers.log_in, Authentication, who=PUBLIC, result="LoginResult", errors=[*AT_THE_DOOR, *CLOSED])
    refresh_token = action(
        resolvers.refresh_token,
        Authentication,
        who=PUBLIC,
        result="RefreshTokenResult",
        errors=[sessions.InvalidRefreshToken, *CLOSED],
    )
    logout = action(
        resolvers.log_out, UserSession, who=PUBLIC, result="LogoutResult", errors=[sessions.InvalidRefreshToken]
    )
    revoke_session = action(resolvers.revoke_session, UserSession, who=AUTHENTICATED, result="RevokeSessionResult")
    change_password = action(
        resolvers.change_password,
        User,
        who=AUTHENTICATED,
        result="ChangePasswordResult",
        errors=[*AT_THE_DOOR, passwords.WeakPassword],
    )
    update_profile = command(resolvers.update_profile, User, who=AUTHENTICATED)
    update_preferences = action(_update_preferences, User, who=AUTHENTICATED, result="UpdatePreferencesResult")
    add_address = command(resolvers.add_address, UserAddress, who=AUTHENTICATED, errors=[users.AddressLimitReached])
    update_address = command(resolvers.update_address, UserAddress, who=AUTHENTICATED)
    set_default_address = command(resolvers.set_default_address, UserAddress, who=AUTHENTICATED)
    delete_address = command(resolvers.delete_address, UserAddress, who=AUTHENTICATED)
    assign_role = command(resolvers.assign_role, User, who=ROLES, errors=GRANTING)
    revoke_role = command(resolvers.revoke_role, User, who=ROLES, errors=GRANTING)
    define_role = command(resolvers.define_role, Role, who=ROLES, errors=GRANTING)
    delete_role = command(resolvers.delete_role, Role, who=ROLES, errors=[Forbidden, RoleInUse])
    lock_user = command(resolvers.lock_user, User, who=MANAGE, errors=GOVERNING)
    unlock_user = command(resolvers.unlock_user, User, who=MANAGE, errors=GOVERNING)
    deactivate_user = command(resolvers.deactivate_user, User, who=MANAGE, errors=GOVERNING)


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[User])
