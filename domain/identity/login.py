"""Registering and logging in, without telling anybody whose e-mail addresses are known."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.identity.events import LoginAttempted, RegistrationRepeated
from domain.identity.profile import Profile
from domain.identity.roles import Roles
from domain.identity.sessions import AccessPolicy, Client, Session, SessionEnding, Sessions, SignIn, printable, sign_in
from domain.identity.users import Credentials, User, Users
from domain.kernel import Aggregate, DomainError, Work, also_when_suspended


@dataclass(eq=False)
class InvalidCredentials(DomainError):
    """The e-mail address and the password do not belong together; which of them is wrong stays untold."""

    template = "The e-mail address or the password is wrong."


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """Too many wrong passwords, for this account or from this address; said of unknown accounts just the same."""

    retry_after_seconds: int
    template = "Too many attempts. Try again in {retry_after_seconds} seconds."


class LoginAttemptKind(StrEnum):
    """What somebody tried to do at the door."""

    LOGIN = "login"
    REGISTRATION = "registration"
    IMPERSONATION = "impersonation"


@dataclass(eq=False, kw_only=True)
class LoginAttempt(Aggregate):
    """One line of the login log; without a user where the e-mail address is nobody's."""

    kind: LoginAttemptKind
    user_id: UUID | None
    succeeded: bool
    reason: str | None
    address: str
    user_agent: str | None
    attempted_at: datetime

    @classmethod
    def at_login(cls, user_id: UUID | None, client: Client, work: Work, *, reason: str | None = None) -> "LoginAttempt":
        """Note a log-in that succeeded, or the reason why it did not."""
        attempt = cls._made(LoginAttemptKind.LOGIN, user_id, client, work, reason)
        attempt.record(LoginAttempted(user_id=user_id, succeeded=reason is None, reason=reason))
        return attempt

    @classmethod
    def at_registration(cls, owner: UUID, client: Client, work: Work) -> "LoginAttempt":
        """Note that somebody registered anew with the e-mail address of a user."""
        attempt = cls._made(LoginAttemptKind.REGISTRATION, owner, client, work, "already_registered")
        attempt.record(RegistrationRepeated(user_id=owner))
        return attempt

    @classmethod
    def by_impersonation(cls, user_id: UUID, client: Client, work: Work) -> "LoginAttempt":
        """Note that somebody in charge came in as a user."""
        attempt = cls._made(LoginAttemptKind.IMPERSONATION, user_id, client, work, None)
        attempt.record(LoginAttempted(user_id=user_id, succeeded=True, reason="impersonation"))
        return attempt

    @classmethod
    def _made(
        cls, kind: LoginAttemptKind, user_id: UUID | None, client: Client, work: Work, reason: str | None
    ) -> "LoginAttempt":
        return cls(
            tenant_id=work.tenant_id,
            kind=kind,
            user_id=user_id,
            succeeded=reason is None,
            reason=reason,
            address=client.address,
            user_agent=printable(client.user_agent),
            attempted_at=work.now,
        )


class LoginLog(Protocol):
    """The log of who knocked at the door."""

    def add(self, attempt: LoginAttempt) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Count:
    """The failures counted for a subject, and until when it is locked."""

    failures: int
    locked_until: datetime | None


class LoginGuard(Protocol):
    """Counts failures atomically, per subject; a count runs out a lock's length after its first failure."""

    async def count(self, subject: str, limit: int, lock: timedelta, now: datetime) -> Count:
        """Add one to the count and give it; at the limit the subject is locked."""
        ...

    async def peek(self, subject: str, now: datetime) -> Count:
        """Give the count that holds now."""
        ...

    async def clear(self, subject: str) -> None: ...


def account_subject(email: str) -> str:
    """Name an account by a digest of its e-mail address: what strangers type is not kept in clear."""
    return f"account:{hashlib.sha256(email.encode()).hexdigest()}"


def address_subject(address: str) -> str:
    return f"address:{address}"


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
class Challenge:
    """Leave to try one password, or not before `locked_until`; without credentials nothing can fit."""

    locked_until: datetime | None = None
    credentials: Credentials | None = None


@also_when_suspended
async def begin_login(
    command: BeginLogin, work: Work, guard: LoginGuard, users: Users, policy: AccessPolicy
) -> Challenge:
    """Count the attempt before the password is looked at: however many come at once, only so many are let through."""
    address = await guard.peek(address_subject(command.client.address), work.now)
    account = await guard.count(account_subject(command.email), policy.max_failures, policy.lock, work.now)
    credentials = await users.credentials(command.email)
    if address.locked_until is not None:
        return Challenge(locked_until=address.locked_until)
    if account.failures > policy.max_failures:
        return Challenge(locked_until=account.locked_until)
    return Challenge(credentials=credentials)


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
    await guard.count(address_subject(command.client.address), policy.max_failures_per_address, policy.lock, work.now)


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
    log: LoginLog,
    policy: AccessPolicy,
) -> SignIn:
    """Open a session.

    Raises: InvalidCredentials when the password was changed meanwhile; AccountLocked, AccountDeactivated.
    """
    user = await users.get(command.credentials.user_id)
    if user.password_hash != command.credentials.password_hash:
        raise InvalidCredentials
    user.require_active()
    user.password_hash = command.new_hash or user.password_hash
    user.last_login_at = work.now
    await guard.clear(account_subject(user.email))
    log.add(LoginAttempt.at_login(user.id, command.client, work))
    session = Session.open(user, command.client, policy.refresh_lifetime, work.now)
    sessions.add(session)
    return await sign_in(user, session, sessions, roles, policy.refresh_lifetime, work.now)


@dataclass(frozen=True, kw_only=True)
class Reauthenticate:
    """Ask for leave to try the password of the user who is logged in already."""


async def reauthenticate(
    command: Reauthenticate,  # noqa: ARG001 — a handler's first argument is its command.
    work: Work,
    guard: LoginGuard,
    users: Users,
    policy: AccessPolicy,
) -> Challenge:
    """Count the attempt like one at the door: a stolen access token is no way to guess the password."""
    user = await users.get(work.actor.require_user())
    account = await guard.count(account_subject(user.email), policy.max_failures, policy.lock, work.now)
    if account.failures > policy.max_failures:
        return Challenge(locked_until=account.locked_until)
    return Challenge(credentials=Credentials(user_id=user.id, email=user.email, password_hash=user.password_hash))


@dataclass(frozen=True, kw_only=True)
class ChangePassword:
    """Replace one's password; the hash that the old one was checked against comes along."""

    old_hash: str
    new_hash: str


async def change_password(
    command: ChangePassword, work: Work, users: Users, sessions: Sessions, guard: LoginGuard
) -> User:
    """Take over the new password and end all other sessions.

    Raises: InvalidCredentials when the password was changed meanwhile.
    """
    user = await users.get(work.actor.require_user())
    if user.password_hash != command.old_hash:
        raise InvalidCredentials
    user.change_password(command.new_hash)
    await guard.clear(account_subject(user.email))
    await sessions.end_all(user.id, SessionEnding.PASSWORD_CHANGED, work.now, but=work.actor.session_id)
    return user
