"""The door: registering, logging in and out, and what keeps a session alive."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from domain.identity import login, sessions
from domain.identity.login import Challenge, InvalidCredentials, TooManyAttempts
from domain.identity.passwords import PasswordHasher, accept_password, normalise_password
from domain.identity.profile import Profile
from domain.identity.sessions import AccessTokens, Client, InvalidRefreshToken, Session, SignIn, hash_token
from domain.identity.text import clean_email
from domain.identity.users import Credentials, User
from domain.kernel import UNCHANGED
from resolvers.kernel import Context


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
    hasher = context.service(PasswordHasher)
    async with checked_again(context, current_password) as credentials:
        new_hash = await hasher.hash(accept_password(new_password, credentials.email))
        command = login.ChangePassword(old_hash=credentials.password_hash, new_hash=new_hash)
        return await context.transact(login.change_password, command)


@asynccontextmanager
async def checked_again(context: Context, password: str) -> AsyncIterator[Credentials]:
    """Have whoever is logged in prove with the password that it is they.

    Raises: InvalidCredentials, TooManyAttempts.
    """
    given, hasher = normalise_password(password), context.service(PasswordHasher)
    async with hasher.in_turn(f"{context.tenant_id}:{context.principal.require_user()}"):
        challenge = await context.transact(login.reauthenticate, login.Reauthenticate())
        client = Client(address=context.address, user_agent=context.user_agent)
        yield await _checked(context, challenge, given, client)


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
