"""Registering and logging in, without telling anybody whose e-mail addresses are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.codes import OneTimeCodes, OtpPurpose
from domain.identity.entering import SecondFactorDue, enter
from domain.identity.factors import Factors
from domain.identity.guarding import (
    Caller,
    DeviceTokens,
    Door,
    LoginGuard,
    account_subject,
    admit,
    forgive,
    note_failure,
)
from domain.identity.profile import Profile
from domain.identity.roles import Roles
from domain.identity.sessions import AccessPolicy, Client, SessionEnding, Sessions, SignIn
from domain.identity.sign_in_policy import SignInPolicies, asked_of
from domain.identity.single_sign_on import SingleSignOns, require_own_doors
from domain.identity.users import Credentials, User, Users
from domain.kernel import DomainError, Work, also_when_suspended


@dataclass(eq=False)
class InvalidCredentials(DomainError):
    """The e-mail address and the password do not belong together; which of them is wrong stays untold."""

    template = "The e-mail address or the password is wrong."


@dataclass(frozen=True, kw_only=True)
class Register:
    """Make an account; the password comes hashed."""

    email: str
    password_hash: str
    profile: Profile = field(default_factory=Profile)
    client: Client = field(default_factory=Client)


async def register(command: Register, work: Work, users: Users, log: LoginLog) -> None:
    """Make the account, or note that its owner has one. Both write one row and one event, and answer the same."""
    user = User.register(command.email, command.password_hash, command.profile, work)
    owner = await users.claim_email(command.email)
    if owner is None:
        users.add(user)
    else:
        log.add(LoginAttempt.at_registration(owner, command.client, work))


@dataclass(frozen=True, kw_only=True)
class BeginLogin:
    """Ask for leave to try one password."""

    email: str
    client: Client


@dataclass(frozen=True, kw_only=True)
class PasswordChallenge:
    """Leave to try one password, or not before `locked_until`; without credentials nothing can fit."""

    locked_until: datetime | None = None
    credentials: Credentials | None = None


@also_when_suspended
async def begin_login(
    command: BeginLogin,
    work: Work,
    guard: LoginGuard,
    devices: DeviceTokens,
    users: Users,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> PasswordChallenge:
    """Count the attempt before the password is looked at.

    Where addresses are to be confirmed, no password fits an account that is not: it answers as if it were nobody's.
    """
    caller = Caller.at(command.email, command.client, work, devices)
    barred = await admit(Door.PASSWORD, caller, work, guard, policy)
    credentials = await users.credentials(command.email)
    asked = await asked_of(work, policies, confirm_email=policy.confirm_email)
    if barred is not None:
        return PasswordChallenge(locked_until=barred)
    if credentials is not None and asked.confirm_email and not credentials.is_verified:
        return PasswordChallenge()
    return PasswordChallenge(credentials=credentials)


@dataclass(frozen=True, kw_only=True)
class RefuseLogin:
    """Note a wrong password."""

    client: Client
    credentials: Credentials | None


@also_when_suspended
async def refuse_login(
    command: RefuseLogin, work: Work, guard: LoginGuard, log: LoginLog, policy: AccessPolicy
) -> None:
    user_id = command.credentials.user_id if command.credentials else None
    log.add(LoginAttempt.at_login(user_id, command.client, work, reason="wrong_password"))
    await note_failure(command.client, work, guard, policy)


@dataclass(frozen=True, kw_only=True)
class CompleteLogin:
    """Open a session for the holder of the right password; `new_hash` replaces a hash with outdated parameters."""

    client: Client
    credentials: Credentials
    new_hash: str | None = None


@also_when_suspended
async def complete_login(
    command: CompleteLogin,
    work: Work,
    users: Users,
    sessions: Sessions,
    roles: Roles,
    guard: LoginGuard,
    devices: DeviceTokens,
    log: LoginLog,
    factors: Factors,
    policies: SignInPolicies,
    policy: AccessPolicy,
    connections: SingleSignOns,
) -> SignIn | SecondFactorDue:
    """Open a session, or ask for a second factor.

    Raises: InvalidCredentials when the password was changed meanwhile; AccountLocked, AccountDeactivated; SingleSignOnRequired.
    """
    user = await users.get(command.credentials.user_id)
    if user.password_hash != command.credentials.password_hash:
        raise InvalidCredentials
    await require_own_doors(user, connections, roles)
    user.password_hash = command.new_hash or user.password_hash
    caller = Caller.at(user.email, command.client, work, devices)
    await forgive(Door.PASSWORD, caller, guard)
    known = caller.device is not None
    return await enter(user, command.client, work, sessions, roles, log, factors, policies, policy, known_device=known)


@dataclass(frozen=True, kw_only=True)
class Reauthenticate:
    """Ask for leave to try the password of the user who is logged in already."""

    client: Client = field(default_factory=Client)


async def reauthenticate(
    command: Reauthenticate, work: Work, guard: LoginGuard, devices: DeviceTokens, users: Users, policy: AccessPolicy
) -> PasswordChallenge:
    """Count the attempt like one at the door: a stolen access token is no way to guess the password."""
    user = await users.get(work.actor.require_user())
    caller = Caller.at(user.email, command.client, work, devices)
    barred = await admit(Door.PASSWORD, caller, work, guard, policy)
    if barred is not None:
        return PasswordChallenge(locked_until=barred)
    known = Credentials(user_id=user.id, email=user.email, password_hash=user.password_hash)
    return PasswordChallenge(credentials=known)


@dataclass(frozen=True, kw_only=True)
class ChangePassword:
    """Replace one's password; the hash that the old one was checked against comes along."""

    old_hash: str
    new_hash: str
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class PasswordChange:
    """Whose password was changed, and which sessions ended with it."""

    user: User
    ended: Sequence[UUID]


async def change_password(
    command: ChangePassword,
    work: Work,
    users: Users,
    sessions: Sessions,
    codes: OneTimeCodes,
    guard: LoginGuard,
    devices: DeviceTokens,
) -> PasswordChange:
    """Take over the new password, end all other sessions, and take back a link that would set another one.

    Raises: InvalidCredentials when the password was changed meanwhile.
    """
    user = await users.get(work.actor.require_user())
    if user.password_hash != command.old_hash:
        raise InvalidCredentials
    user.change_password(command.new_hash)
    link = await codes.find(account_subject(user.email), OtpPurpose.PASSWORD_RESET)
    if link is not None:
        await codes.remove(link)
    await forgive(Door.PASSWORD, Caller.at(user.email, command.client, work, devices), guard)
    ended = await sessions.end_all(user.id, SessionEnding.PASSWORD_CHANGED, work.now, but=work.actor.session_id)
    return PasswordChange(user=user, ended=ended)
