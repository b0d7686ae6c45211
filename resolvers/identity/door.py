"""The door: registering, logging in and out, and what keeps a session alive."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from domain.identity import devices, login, sessions
from domain.identity.entering import SecondFactorDue
from domain.identity.guarding import DeviceTokens, account_subject, refusal_until
from domain.identity.login import InvalidCredentials, PasswordChallenge
from domain.identity.passwords import PasswordHasher, PasswordScreen, accept_password, normalise_password
from domain.identity.profile import Profile
from domain.identity.sessions import AccessTokens, Client, InvalidRefreshToken, Session, SignIn, hash_token
from domain.identity.text import clean_email
from domain.identity.users import Credentials, User
from domain.kernel import UNCHANGED
from resolvers.kernel import Context, transacts

rename_session = transacts(devices.rename_session)


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """The tokens of a session, and whose they are; `expires_in` in seconds."""

    user: User
    session: Session
    access_token: str
    refresh_token: str
    expires_in: int
    device_token: str
    withheld_roles: Sequence[str]


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
    accepted = accept_password(password, address, context.service(PasswordScreen))
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
        client=client_of(context),
    )
    await context.transact(login.register, command)
    return Registration(email=address)


def client_of(context: Context, device_name: str | None = None, device_token: str | None = None) -> Client:
    """Say from where and with what the caller calls."""
    return Client(
        address=context.address, user_agent=context.user_agent, device_name=device_name, device_token=device_token
    )


async def log_in(
    context: Context, email: str, password: str, device_name: str | None = None, device_token: str | None = None
) -> Authentication:
    """Open a session: leave to try is taken first, the password is checked outside of any transaction."""
    address, normal = clean_email(email), normalise_password(password)
    client = client_of(context, device_name, device_token)
    hasher = context.service(PasswordHasher)
    async with hasher.in_turn(f"{context.tenant_id}:{address}"):
        challenge = await context.transact(login.begin_login, login.BeginLogin(email=address, client=client))
        credentials = await _checked(context, challenge, normal, client)
        outdated = hasher.is_outdated(credentials.password_hash)
        new_hash = await hasher.hash(normal) if outdated else None
        command = login.CompleteLogin(client=client, credentials=credentials, new_hash=new_hash)
        return authenticated(context, await context.transact(login.complete_login, command))


async def change_password(
    context: Context, current_password: str, new_password: str, device_token: str | None = None
) -> User:
    """Replace the password of the user who is logged in, and end all other sessions."""
    hasher = context.service(PasswordHasher)
    async with checked_again(context, current_password, device_token) as credentials:
        accepted = accept_password(new_password, credentials.email, context.service(PasswordScreen))
        new_hash = await hasher.hash(accepted)
        client = client_of(context, device_token=device_token)
        command = login.ChangePassword(old_hash=credentials.password_hash, new_hash=new_hash, client=client)
        changed = await context.transact(login.change_password, command)
    withdraw(context, changed.ended)
    return changed.user


@asynccontextmanager
async def checked_again(context: Context, password: str, device_token: str | None = None) -> AsyncIterator[Credentials]:
    """Have whoever is logged in prove with the password that it is they.

    Raises: InvalidCredentials, TooManyAttempts.
    """
    given, client = normalise_password(password), client_of(context, device_token=device_token)
    async with context.service(PasswordHasher).in_turn(f"{context.tenant_id}:{context.principal.require_user()}"):
        challenge = await context.transact(login.reauthenticate, login.Reauthenticate(client=client))
        yield await _checked(context, challenge, given, client)


async def _checked(context: Context, challenge: PasswordChallenge, password: str, client: Client) -> Credentials:
    if challenge.locked_until is not None:
        raise refusal_until(challenge.locked_until, context.now())
    credentials = challenge.credentials
    kept = credentials.password_hash if credentials else None
    if not await context.service(PasswordHasher).verify(kept, password) or credentials is None:
        refusal = login.RefuseLogin(client=client, credentials=credentials)
        await context.transact(login.refuse_login, refusal)
        raise InvalidCredentials
    return credentials


def authenticated(context: Context, entered: SignIn | SecondFactorDue) -> Authentication:
    """Give the tokens of whoever came in, and speak for them from here on.

    Raises: SecondFactorRequired.
    """
    if isinstance(entered, SecondFactorDue):
        raise entered.refusal()
    token = context.service(AccessTokens).issue(entered.principal, context.now())
    account = account_subject(entered.user.email)
    # From here on the operation speaks for whoever it has logged in, so that they may see themselves in the answer.
    context.principal = entered.principal
    return Authentication(
        user=entered.user,
        session=entered.session,
        access_token=token.token,
        refresh_token=entered.refresh_token,
        expires_in=token.expires_in,
        device_token=context.service(DeviceTokens).issue(context.require_tenant(), account),
        withheld_roles=sorted(entered.withheld_roles),
    )


def withdraw(context: Context, ended: Sequence[UUID]) -> None:
    """Refuse the tokens of ended sessions here and now."""
    for session_id in ended:
        context.service(AccessTokens).withdraw(session_id)


async def refresh_token(context: Context, refresh_token: str) -> Authentication:
    """Exchange a refresh token, once, for the next tokens of its session."""
    command = sessions.Refresh(token_hash=hash_token(refresh_token), address=context.address)
    signed_in = await context.transact(sessions.refresh, command)
    if signed_in is None:
        raise InvalidRefreshToken
    return authenticated(context, signed_in)


async def log_out(context: Context, refresh_token: str | None = None) -> Session:
    """End the session of the refresh token, or else of the access token that the request came with."""
    token_hash = hash_token(refresh_token) if refresh_token else None
    ended = await context.transact(sessions.log_out, sessions.LogOut(token_hash=token_hash))
    if ended is None:
        raise InvalidRefreshToken
    withdraw(context, [ended.id])
    return ended


async def revoke_session(context: Context, id: UUID) -> Session:  # noqa: A002 — the GraphQL argument's name.
    """End one of one's own sessions, or anybody's for those who manage users."""
    ended = await context.transact(sessions.revoke_session, sessions.RevokeSession(id=id))
    withdraw(context, [ended.id])
    return ended


@dataclass(frozen=True, kw_only=True)
class RevokedSessions:
    """The sessions that were ended."""

    ids: Sequence[UUID]


async def revoke_other_sessions(context: Context) -> RevokedSessions:
    """End all of one's sessions but the one that asks."""
    ended = await context.transact(devices.revoke_other_sessions, devices.RevokeOtherSessions())
    withdraw(context, ended)
    return RevokedSessions(ids=ended)
