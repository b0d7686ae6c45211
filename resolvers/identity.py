"""Verbs of identity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.identity import administration, login, roles, self_service, sessions
from domain.identity.login import Challenge, InvalidCredentials, TooManyAttempts, account_subject
from domain.identity.passwords import PasswordHasher, accept_password, normalise_password
from domain.identity.profile import Profile
from domain.identity.roles import PERMISSIONS, PRESETS, RoleReads
from domain.identity.sessions import AccessTokens, Client, InvalidRefreshToken, Session, SignIn, hash_token
from domain.identity.text import clean_email
from domain.identity.users import Credentials, User, UserFilter, UserReads, UserStatus
from domain.kernel import UNCHANGED
from domain.paging import Page, PageRequest
from domain.processes import access
from resolvers.kernel import Context, transacts

update_profile = transacts(self_service.update_profile)
add_address = transacts(self_service.add_address)
update_address = transacts(self_service.update_address)
set_default_address = transacts(self_service.set_default_address)
delete_address = transacts(self_service.delete_address)
assign_role = transacts(access.assign_role)
revoke_role = transacts(administration.revoke_role)
define_role = transacts(roles.define_role)
delete_role = transacts(roles.delete_role)
lock_user = transacts(administration.lock_user)
unlock_user = transacts(administration.unlock_user)
deactivate_user = transacts(administration.deactivate_user)


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """The tokens of a session, and whose they are; `expires_in` in seconds."""

    user: User
    session: Session
    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What everybody who registers is told."""

    email: str


@dataclass(frozen=True, kw_only=True)
class RoleEntry:
    """A line of the role matrix."""

    name: str
    description: str | None
    is_preset: bool
    permissions: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A role that a user holds."""

    role: str
    store_id: UUID | None = None
    assigned_at: datetime | None = None


async def register(
    context: Context,
    email: str,
    password: str,
    display_name: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    phone: str | None = None,
) -> Registration:
    """Make an account. Whether the e-mail address had one already is told to its owner alone."""
    address = clean_email(email)
    accepted = accept_password(password, address)
    profile = Profile(
        display_name=display_name or UNCHANGED,
        first_name=first_name,
        last_name=last_name,
        phone=phone,
        locale=context.locale,
    )
    profile.cleaned(context.now())
    password_hash = await context.service(PasswordHasher).hash(accepted)
    command = login.Register(
        email=address,
        password_hash=password_hash,
        profile=profile,
        client=Client(address=context.address, user_agent=context.user_agent),
    )
    await context.transact(login.register, command)
    return Registration(email=address)


async def log_in(context: Context, email: str, password: str, device_name: str | None = None) -> Authentication:
    """Open a session: leave to try is taken first, the password is checked outside of any transaction."""
    address, normal = clean_email(email), normalise_password(password)
    client = Client(address=context.address, user_agent=context.user_agent, device_name=device_name)
    hasher = context.service(PasswordHasher)
    async with hasher.in_turn(f"{context.tenant_id}:{address}"):
        challenge = await context.transact(login.begin_login, login.BeginLogin(email=address, client=client))
        credentials = await _checked(context, challenge, normal, client)
        outdated = hasher.is_outdated(credentials.password_hash)
        new_hash = await hasher.hash(normal) if outdated else None
        command = login.CompleteLogin(client=client, credentials=credentials, new_hash=new_hash)
        return _authenticated(context, await context.transact(login.complete_login, command))


async def change_password(context: Context, current_password: str, new_password: str) -> User:
    """Replace the password of the user who is logged in, and end all other sessions."""
    current, hasher = normalise_password(current_password), context.service(PasswordHasher)
    async with hasher.in_turn(f"{context.tenant_id}:{context.principal.require_user()}"):
        challenge = await context.transact(login.reauthenticate, login.Reauthenticate())
        credentials = await _checked(
            context, challenge, current, Client(address=context.address, user_agent=context.user_agent)
        )
        new_hash = await hasher.hash(accept_password(new_password, credentials.email))
        command = login.ChangePassword(old_hash=credentials.password_hash, new_hash=new_hash)
        return await context.transact(login.change_password, command)


async def _checked(context: Context, challenge: Challenge, password: str, client: Client) -> Credentials:
    if challenge.locked_until is not None:
        wait = (challenge.locked_until - context.now()).total_seconds()
        raise TooManyAttempts(retry_after_seconds=max(1, math.ceil(wait)))
    credentials = challenge.credentials
    kept = credentials.password_hash if credentials else None
    if not await context.service(PasswordHasher).verify(kept, password) or credentials is None:
        refusal = login.RefuseLogin(client=client, credentials=credentials)
        await context.transact(login.refuse_login, refusal)
        raise InvalidCredentials
    return credentials


def _authenticated(context: Context, signed_in: SignIn) -> Authentication:
    token = context.service(AccessTokens).issue(signed_in.principal, context.now())
    # From here on the operation speaks for whoever it has logged in, so that they may see themselves in the answer.
    context.principal = signed_in.principal
    return Authentication(
        user=signed_in.user,
        session=signed_in.session,
        access_token=token.token,
        refresh_token=signed_in.refresh_token,
        expires_in=token.expires_in,
    )


async def refresh_token(context: Context, refresh_token: str) -> Authentication:
    """Exchange a refresh token, once, for the next tokens of its session."""
    command = sessions.Refresh(token_hash=hash_token(refresh_token), address=context.address)
    signed_in = await context.transact(sessions.refresh, command)
    if signed_in is None:
        raise InvalidRefreshToken
    return _authenticated(context, signed_in)


async def log_out(context: Context, refresh_token: str | None = None) -> Session:
    """End the session of the refresh token, or else of the access token that the request came with."""
    token_hash = hash_token(refresh_token) if refresh_token else None
    ended = await context.transact(sessions.log_out, sessions.LogOut(token_hash=token_hash))
    if ended is None:
        raise InvalidRefreshToken
    context.service(AccessTokens).withdraw(ended.id)
    return ended


async def revoke_session(context: Context, id: UUID) -> Session:  # noqa: A002 — the GraphQL argument's name.
    """End one of one's own sessions, or anybody's for those who manage users."""
    ended = await context.transact(sessions.revoke_session, sessions.RevokeSession(id=id))
    context.service(AccessTokens).withdraw(ended.id)
    return ended


async def update_preferences(context: Context, preferences: dict[str, Any]) -> User:
    return await context.transact(
        self_service.update_preferences, self_service.UpdatePreferences(preferences=preferences)
    )


async def users_by_id(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).by_id(ids)


async def addresses_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).addresses(ids)


async def sessions_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(UserReads).sessions(ids, context.now())


async def roles_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    assigned = await context.read(UserReads).assignments(ids)
    return [[Grant(role=User.BASE_ROLE), *each] for each in assigned]


async def locks_of_accounts(context: Context, emails: Sequence[str]) -> Sequence[Any]:
    return await context.read(UserReads).locked_until([account_subject(each) for each in emails], context.now())


async def me(context: Context) -> Any:
    user_id = context.principal.user_id
    return None if user_id is None else await context.load(users_by_id, user_id)


async def user(context: Context, id: UUID) -> Any:  # noqa: A002 — the GraphQL argument's name.
    return await context.load(users_by_id, id)


async def users(
    context: Context,
    page: PageRequest,
    text: str | None = None,
    role: str | None = None,
    status: UserStatus | None = None,
    store_id: UUID | None = None,
) -> Page[Any]:
    wanted = UserFilter(text=text, role=role, status=status, store_id=store_id)
    return await context.read(UserReads).matching(wanted, page)


async def my_addresses(context: Context) -> Any:
    return await context.load(addresses_of_users, context.principal.require_user())


async def my_sessions(context: Context) -> Any:
    return await context.load(sessions_of_users, context.principal.require_user())


async def my_login_log(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(UserReads).login_log(context.principal.require_user(), page)


async def login_log(context: Context, page: PageRequest, user_id: UUID) -> Page[Any]:
    return await context.read(UserReads).login_log(user_id, page)


async def role_matrix(context: Context) -> Sequence[RoleEntry]:
    """List the presets, then the roles that the tenant defined itself."""
    presets = [
        RoleEntry(name=str(name), description=None, is_preset=True, permissions=sorted(permissions))
        for name, permissions in PRESETS.items()
    ]
    own = [
        RoleEntry(name=row.name, description=row.description, is_preset=False, permissions=row.permissions)
        for row in await context.read(RoleReads).defined()
    ]
    return presets + own


async def permissions(context: Context) -> Sequence[dict[str, str]]:  # noqa: ARG001 — every resolver has the context.
    return [{"name": name, "description": description} for name, description in PERMISSIONS.items()]
