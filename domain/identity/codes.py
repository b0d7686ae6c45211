"""One-time codes, by mail or SMS: asked for by anybody, made when they are sent, and good once.

Asking writes one row and one event, whether or not the address has an account; the code itself is made by whoever sends
it, so that neither the answer nor its cost tells anything, and no event ever holds a code.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.identity.attempts import LoginAttempt, LoginLog
from domain.identity.entering import SecondFactorDue, enter
from domain.identity.events import CodeRequested
from domain.identity.factors import Factors, Secrets
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
from domain.identity.roles import Roles
from domain.identity.sessions import AccessPolicy, Client, Sessions, SignIn
from domain.identity.sign_in_policy import SignInPolicies
from domain.identity.single_sign_on import SingleSignOns, require_own_doors
from domain.identity.users import ContactKind, Users
from domain.kernel import Aggregate, DomainError, Work, also_when_suspended

CODE_DIGITS = 6
MAX_CODE_ATTEMPTS = 5
RESET_TOKEN_BYTES = 32


@dataclass(eq=False)
class InvalidCode(DomainError):
    """The code is wrong, used up, or run out; which of them stays untold."""

    template = "The code is wrong, or it has run out. Please ask for another one."


class OtpPurpose(StrEnum):
    """What a one-time code is good for."""

    LOGIN = "login"
    VERIFICATION = "verification"
    PASSWORD_RESET = "password_reset"  # noqa: S105 — a purpose, not a secret.


@dataclass(eq=False, kw_only=True)
class OneTimeCode(Aggregate):
    """A code that was asked for: the one live code of an account for a purpose. Of the code itself only a digest is kept.

    With `by_link` it is a long token in a link, and what is guessed at is not worth counting.
    """

    account: str
    user_id: UUID | None
    purpose: OtpPurpose
    contact: ContactKind
    by_link: bool = False
    digest: bytes | None = None
    attempts: int = 0
    device_attempts: int = 0
    requested_at: datetime
    expires_at: datetime

    @classmethod
    def ask(cls, command: "RequestCode", user_id: UUID | None, work: Work, policy: AccessPolicy) -> "OneTimeCode":
        """Note that a code was asked for."""
        lifetime = policy.reset_lifetime if command.by_link else policy.code_lifetime
        made = cls(
            tenant_id=work.tenant_id,
            account=account_subject(command.email),
            user_id=user_id,
            purpose=command.purpose,
            contact=command.contact,
            by_link=command.by_link,
            requested_at=work.now,
            expires_at=work.now + lifetime,
        )
        made.record(CodeRequested(user_id=user_id, purpose=command.purpose))
        return made

    @property
    def place(self) -> str:
        return f"{self.tenant_id}/identity.one_time_code/{self.purpose}"

    def make(self, vault: Secrets, now: datetime) -> str | None:
        """Make the code, once; gives it in clear, for whoever sends it, or None where there is nothing to be sent."""
        if self.digest is not None or self.user_id is None or now >= self.expires_at:
            return None
        if self.by_link:
            clear = secrets.token_urlsafe(RESET_TOKEN_BYTES)
        else:
            clear = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        self.digest = vault.digest(clear, self.place)
        return clear

    def accept(self, typed: str, vault: Secrets, now: datetime, *, known_device: bool = False) -> bool:
        """Say whether a code is the right one, and count the attempt; strangers' attempts do not use up the owner's."""
        spent = self.device_attempts if known_device else self.attempts
        if now >= self.expires_at or spent >= MAX_CODE_ATTEMPTS:
            return False
        if known_device:
            self.device_attempts += 1
        else:
            self.attempts += 1
        given = vault.digest("".join(typed.split()), self.place)
        return self.digest is not None and hmac.compare_digest(self.digest, given)

    def exchange(self, vault: Secrets, work: Work, policy: AccessPolicy) -> str:
        """Give a token for the code, with which the password can be set."""
        clear = secrets.token_urlsafe(RESET_TOKEN_BYTES)
        self.by_link, self.digest = True, vault.digest(clear, self.place)
        self.expires_at = work.now + policy.code_lifetime
        return clear


class OneTimeCodes(Protocol):
    """Codes for change: what is given is locked until the transaction ends."""

    async def find(self, account: str, purpose: OtpPurpose) -> OneTimeCode | None: ...

    async def get(self, code_id: UUID) -> OneTimeCode | None: ...

    async def by_digest(self, digest: bytes) -> OneTimeCode | None: ...

    async def replace(self, code: OneTimeCode) -> None:
        """Put a code in the place of the one that the account had for the same purpose."""
        ...

    async def remove(self, code: OneTimeCode) -> None: ...


@dataclass(frozen=True, kw_only=True)
class RequestCode:
    """Ask for a code, or for a link that does what a code does."""

    email: str
    purpose: OtpPurpose
    contact: ContactKind = ContactKind.EMAIL
    by_link: bool = False
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class CodeAnswer:
    """Until when what was asked for will be good, or until when nothing may be asked for."""

    expires_at: datetime
    locked_until: datetime | None = None


@also_when_suspended
async def request_code(
    command: RequestCode,
    work: Work,
    guard: LoginGuard,
    devices: DeviceTokens,
    users: Users,
    codes: OneTimeCodes,
    policy: AccessPolicy,
) -> CodeAnswer:
    """Have a code sent to whoever the e-mail address belongs to; nobody learns whether it belongs to anybody."""
    caller = Caller.at(command.email, command.client, work, devices)
    locked_until = await admit(Door.REQUEST, caller, work, guard, policy)
    credentials = await users.credentials(command.email)
    user_id = credentials.user_id if credentials and _may_ask(command, credentials.user_id, work) else None
    code = OneTimeCode.ask(command, user_id, work, policy)
    if locked_until is None:
        await codes.replace(code)
    return CodeAnswer(expires_at=code.expires_at, locked_until=locked_until)


def _may_ask(command: RequestCode, user_id: UUID, work: Work) -> bool:
    """Say whether a code is sent: to a number that nobody has confirmed yet, only its owner sends messages."""
    strangers = command.contact is ContactKind.PHONE and command.purpose is OtpPurpose.VERIFICATION
    return not strangers or work.actor.user_id == user_id


@dataclass(frozen=True, kw_only=True)
class RedeemCode:
    """Show a code that was sent."""

    email: str
    code: str
    purpose: OtpPurpose
    client: Client = field(default_factory=Client)


@dataclass(frozen=True, kw_only=True)
class CodeOutcome:
    """What a code brought; nothing, where it did not fit, and until when none is looked at, where there were too many.

    A wrong code is an answer and no refusal, for the attempt must be kept.
    """

    accepted: bool = False
    locked_until: datetime | None = None
    reset_token: str | None = None
    entered: SignIn | SecondFactorDue | None = None


@dataclass(frozen=True, kw_only=True)
class _Tried:
    caller: Caller
    code: OneTimeCode | None = None
    user_id: UUID | None = None
    locked_until: datetime | None = None


async def _try(
    command: RedeemCode,
    work: Work,
    guard: LoginGuard,
    devices: DeviceTokens,
    codes: OneTimeCodes,
    log: LoginLog,
    vault: Secrets,
    policy: AccessPolicy,
) -> _Tried:
    """Look at a code: the attempt is counted first, and what fails is noted."""
    caller = Caller.at(command.email, command.client, work, devices)
    barred = await admit(Door.CODE, caller, work, guard, policy)
    if barred is not None:
        return _Tried(caller=caller, locked_until=barred)
    code = await codes.find(caller.account, command.purpose)
    known = caller.device is not None
    fits = code is not None and not code.by_link and code.accept(command.code, vault, work.now, known_device=known)
    if code is not None and code.user_id is not None and fits:
        await forgive(Door.CODE, caller, guard)
        return _Tried(caller=caller, code=code, user_id=code.user_id)
    user_id = code.user_id if code else None
    log.add(LoginAttempt.at_login(user_id, command.client, work, reason="wrong_code"))
    await note_failure(command.client, work, guard, policy)
    return _Tried(caller=caller)


@also_when_suspended
async def log_in_with_code(
    command: RedeemCode,
    work: Work,
    guard: LoginGuard,
    devices: DeviceTokens,
    codes: OneTimeCodes,
    log: LoginLog,
    vault: Secrets,
    users: Users,
    sessions: Sessions,
    roles: Roles,
    factors: Factors,
    policies: SignInPolicies,
    policy: AccessPolicy,
    connections: SingleSignOns,
) -> CodeOutcome:
    """Open a session for whoever was sent the code, or ask for a second factor.

    Raises: AccountLocked, AccountDeactivated, SingleSignOnRequired.
    """
    tried = await _try(command, work, guard, devices, codes, log, vault, policy)
    if tried.code is None or tried.user_id is None:
        return CodeOutcome(locked_until=tried.locked_until)
    user = await users.get(tried.user_id)
    await require_own_doors(user, connections, roles)
    await codes.remove(tried.code)
    known = tried.caller.device is not None
    entered = await enter(
        user, command.client, work, sessions, roles, log, factors, policies, policy, known_device=known
    )
    if isinstance(entered, SignIn):
        # Before the second factor is shown it may be another's account, made with an address that was not theirs.
        user.verify(tried.code.contact, work.now)
    return CodeOutcome(accepted=True, entered=entered)


async def verify_code(
    command: RedeemCode,
    work: Work,
    guard: LoginGuard,
    devices: DeviceTokens,
    codes: OneTimeCodes,
    log: LoginLog,
    vault: Secrets,
    users: Users,
    policy: AccessPolicy,
) -> CodeOutcome:
    """Confirm an address or a number by the code that was sent there, or exchange it for a token that sets a password."""
    tried = await _try(command, work, guard, devices, codes, log, vault, policy)
    if tried.code is None or tried.user_id is None:
        return CodeOutcome(locked_until=tried.locked_until)
    if command.purpose is OtpPurpose.PASSWORD_RESET:
        return CodeOutcome(accepted=True, reset_token=tried.code.exchange(vault, work, policy))
    user = await users.get(tried.user_id)
    user.verify(tried.code.contact, work.now)
    await codes.remove(tried.code)
    return CodeOutcome(accepted=True)
