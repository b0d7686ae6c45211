"""Setting a password anew with the token that was sent to the address of the account."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.codes import OneTimeCode, OneTimeCodes, OtpPurpose
from domain.identity.factors import Factors, Secrets
from domain.identity.guarding import LoginGuard, account_subject, address_subject, note_failure
from domain.identity.login import PasswordChange
from domain.identity.sessions import AccessPolicy, Client, SessionEnding, Sessions
from domain.identity.users import ContactKind, User, Users
from domain.kernel import DomainError, Work, also_when_suspended


@dataclass(eq=False)
class InvalidResetToken(DomainError):
    """The token is unknown, used up, or run out; which of them stays untold."""

    template = "This link was used already, or it has run out. Please ask for another one."


@dataclass(frozen=True, kw_only=True)
class BeginReset:
    """Ask whose password a token sets, before the new one is looked at and hashed."""

    token: str
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class ResetLeave:
    """The e-mail address of the account that a token is for; without one, the token is not good."""

    email: str | None = None
    locked_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ResetPassword:
    """Set the password with a token."""

    token: str
    password_hash: str


async def begin_reset(
    command: BeginReset,
    work: Work,
    guard: LoginGuard,
    codes: OneTimeCodes,
    users: Users,
    vault: Secrets,
    log: LoginLog,
    policy: AccessPolicy,
) -> ResetLeave:
    there = await guard.peek(address_subject(command.client.address), work.now)
    if there.locked_until is not None:
        return ResetLeave(locked_until=there.locked_until)
    found = await _user_of(command.token, work, codes, users, vault)
    if found is not None:
        return ResetLeave(email=found[1].email)
    log.add(LoginAttempt.at_login(None, command.client, work, reason="wrong_token"))
    await note_failure(command.client, work, guard, policy)
    return ResetLeave()


@also_when_suspended
async def reset_password(
    command: ResetPassword,
    work: Work,
    codes: OneTimeCodes,
    users: Users,
    vault: Secrets,
    sessions: Sessions,
    factors: Factors,
    guard: LoginGuard,
) -> PasswordChange:
    """Take over the new password, end all sessions, and lift a lock that failures brought.

    Who made an account with an address that was never confirmed may not be its owner: what they set up besides goes too.
    Raises: InvalidResetToken.
    """
    found = await _user_of(command.token, work, codes, users, vault)
    if found is None:
        raise InvalidResetToken
    code, user = found
    if code.contact is ContactKind.EMAIL and user.email_verified_at is None:
        await factors.forget_all(user.id)
    user.change_password(command.password_hash)
    user.verify(code.contact, work.now)
    await codes.remove(code)
    await guard.clear(account_subject(user.email))
    return PasswordChange(user=user, ended=await sessions.end_all(user.id, SessionEnding.PASSWORD_RESET, work.now))


async def _user_of(
    token: str, work: Work, codes: OneTimeCodes, users: Users, vault: Secrets
) -> tuple[OneTimeCode, User] | None:
    place = f"{work.tenant_id}/identity.one_time_code/{OtpPurpose.PASSWORD_RESET}"
    code = await codes.by_digest(vault.digest(token, place))
    if code is None or not code.by_link or code.user_id is None or work.now >= code.expires_at:
        return None
    return code, await users.get(code.user_id)
