"""Users, their sessions, roles and addresses."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from domain.identity import addresses, attempts, factors, passkeys, sessions, sign_in_policy, users
from domain.identity.roles import RoleDefinition
from resolvers.identity import administration, door, people
from resolvers.identity import factors as factor_resolvers
from resolvers.kernel import Context
from schema.inputs import enum_of
from schema.kernel import (
    Node,
    attribute,
    bulk,
    computed,
    owner_or,
    permission,
)
from schema.scalars import JSON

READ = permission("identity.read")
MANAGE = permission("identity.manage")
ROLES = permission("identity.roles")
SELF = owner_or("identity.read", "id")

enum_of(addresses.AddressType)
enum_of(users.UserStatus)
enum_of(attempts.LoginAttemptKind)
enum_of(sessions.SessionEnding)
enum_of(factors.SecondFactorMethod)
enum_of(users.ContactKind)


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


def _impersonator(user: Any, context: Context) -> UUID | None:
    return context.principal.impersonator_id if user.id == context.principal.user_id else None


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
    second_factor_at: datetime | None = strawberry.field(description="When a second factor was last shown in it.")
    impersonator_id: UUID | None = strawberry.field(description="Who acts as the user in it, if not they themselves.")
    is_current = computed(_is_current, bool, description="Whether the request itself belongs to it.")


@strawberry.type(description="A passkey that one of the user's devices keeps.")
class Passkey:
    __reads__ = (passkeys.Passkey,)

    id: UUID
    name: str
    rp_id: str = strawberry.field(description="The site that it is good for.")
    transports: list[str]
    backed_up: bool = strawberry.field(description="Whether it is kept in more places than one device.")
    created_at: datetime
    last_used_at: datetime | None


@strawberry.type(description="An authenticator app that is in force.")
class Authenticator:
    confirmed_at: datetime
    recovery_codes_left: int


@strawberry.type(description="One line of the login log.")
class LoginLogEntry:
    id: UUID
    kind: attempts.LoginAttemptKind
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
    __references__ = {"id": people.users_by_id}
    __reads__ = (users.User,)

    id: UUID
    display_name: str
    avatar_url: str | None
    bio: str | None
    impersonated_by = computed(
        _impersonator, UUID | None, description="Who acts as the user in this very request; null for the user."
    )
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
    addresses: list[UserAddress] | None = bulk(people.addresses_of_users, key="id", who=SELF)
    roles: list[RoleAssignment] | None = bulk(people.roles_of_users, key="id", who=SELF)
    email_verified_at: datetime | None = attribute(who=SELF)
    phone_verified_at: datetime | None = attribute(who=SELF)
    authenticator: Authenticator | None = bulk(factor_resolvers.authenticators_of_users, key="id", who=SELF)
    passkeys: list[Passkey] | None = bulk(factor_resolvers.passkeys_of_users, key="id", who=SELF)
    sessions: list[UserSession] | None = bulk(people.sessions_of_users, key="id", who=SELF)
    locked_until: datetime | None = bulk(
        people.locks_of_accounts, key="email", who=READ, description="Set while failed attempts keep somebody out."
    )


@strawberry.type(description="The answer to everybody who registers, whether or not the address had an account.")
class Registration:
    __reads__ = (door.Registration,)

    email: str


@strawberry.type(description="The tokens of a session.")
class Authentication:
    __reads__ = (door.Authentication,)

    user: User
    session: UserSession
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    refresh_token: str = strawberry.field(description="Good for one use of refreshToken.")
    expires_in: int = strawberry.field(description="Seconds until the access token runs out.")
    device_token: str = strawberry.field(
        description="Keep it beyond the session and send it with the next log-in: strangers' failures do not lock its device out."
    )
    withheld_roles: list[str] = strawberry.field(
        description="Roles of the user that this session has not, for they need a second factor: set one up, then refresh."
    )


@strawberry.type(description="The sessions that were ended.")
class RevokedSessions:
    __reads__ = (door.RevokedSessions,)

    ids: list[UUID]


@strawberry.type(description="What a tenant asks of those who come in.")
class SignInPolicy:
    __reads__ = (sign_in_policy.SignInPolicy,)

    confirm_email: bool = strawberry.field(description="Whether nobody logs in before their address is confirmed.")
    second_factor_roles: list[str] = strawberry.field(description="Roles that only a session with a second factor has.")


@strawberry.type(description="A role and what it permits.")
class Role:
    __reads__ = (administration.RoleEntry, RoleDefinition)

    name: str
    description: str | None
    is_preset = computed(lambda role, _context: not isinstance(role, RoleDefinition) and role.is_preset, bool)
    permissions: list[str]
    conditions: JSON = strawberry.field(description="Further permissions, each with the expression that has to hold.")


@strawberry.type(description="Something that can be allowed.")
class Permission:
    name: str
    description: str
