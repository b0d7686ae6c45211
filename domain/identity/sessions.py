"""Sessions: one per log-in and device, kept alive by refresh tokens that are each good for one use."""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.identity.events import SecondFactorShown, SessionRenamed, TokenGenerated, TokenRevoked
from domain.identity.roles import Roles, conditions_of, grants_of
from domain.identity.sign_in_policy import SignInPolicies, asked_of
from domain.identity.text import clean_optional
from domain.identity.users import User, Users
from domain.kernel import Aggregate, DomainError, NotFound, Principal, Work, also_when_suspended, uuid7

MAX_USER_AGENT = 400
REFRESH_BYTES = 32


@dataclass(eq=False)
class InvalidRefreshToken(DomainError):
    """The refresh token is unknown, used up, run out or revoked: log in again."""

    template = "The session has ended. Please log in again."


@dataclass(eq=False)
class FreshLoginRequired(DomainError):
    """What keeps others out of an account is changed only by who has logged in just now."""

    template = "Please log in again first."


class SessionEnding(StrEnum):
    """Why a session ended."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    REUSE = "refresh_token_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 — a reason, not a secret.
    PASSWORD_RESET = "password_reset"  # noqa: S105 — a reason, not a secret.
    ACCOUNT_CLOSED = "account_closed"
    IMPERSONATION_ENDED = "impersonation_ended"


@dataclass(frozen=True, kw_only=True)
class AccessPolicy:
    """How long sessions and proofs last, how many failures are borne, and what is asked where a tenant says nothing.

    `max_failures` are those on one account from one address, or by one device.
    """

    refresh_lifetime: timedelta = timedelta(days=30)
    max_failures: int = 5
    max_failures_per_account: int = 20
    max_failures_per_address: int = 50
    lock: timedelta = timedelta(minutes=15)
    code_lifetime: timedelta = timedelta(minutes=10)
    reset_lifetime: timedelta = timedelta(hours=1)
    challenge_lifetime: timedelta = timedelta(minutes=5)
    fresh: timedelta = timedelta(minutes=15)
    confirm_email: bool = False


@dataclass(frozen=True, kw_only=True)
class Client:
    """From where and with what somebody calls; `device_token` is what the device was given at an earlier log-in."""

    address: str = ""
    user_agent: str | None = None
    device_name: str | None = None
    device_token: str | None = None


@dataclass(eq=False, kw_only=True)
class RefreshToken:
    """One refresh token; only its hash is kept. Used ones stay until they run out, so that a second use is noticed."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    session_id: UUID
    token_hash: bytes
    expires_at: datetime
    used_at: datetime | None = None


def hash_token(token: str) -> bytes:
    """Give the form of a token that is kept: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(eq=False, kw_only=True)
class Session(Aggregate):
    """A log-in on one device, from its first token to its end."""

    user_id: UUID
    device_name: str | None
    user_agent: str | None
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_reason: SessionEnding | None = None
    second_factor_at: datetime | None = None
    impersonator_id: UUID | None = None

    @classmethod
    def open(
        cls, user: User, client: Client, lifetime: timedelta, now: datetime, *, second_factor: bool = False
    ) -> "Session":
        """Start a session."""
        return cls(
            tenant_id=user.tenant_id,
            user_id=user.id,
            device_name=clean_optional("deviceName", client.device_name),
            user_agent=printable(client.user_agent),
            address=client.address,
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime,
            second_factor_at=now if second_factor else None,
        )

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    def issue(self, lifetime: timedelta, now: datetime) -> tuple[str, RefreshToken]:
        """Make the next refresh token; gives it in clear, for the client alone, and as it is kept."""
        clear = secrets.token_urlsafe(REFRESH_BYTES)
        self.last_seen_at = now
        self.expires_at = now + lifetime
        self.record(TokenGenerated(user_id=self.user_id, session_id=self.id))
        kept = RefreshToken(
            tenant_id=self.tenant_id,
            session_id=self.id,
            token_hash=hash_token(clear),
            expires_at=self.expires_at,
        )
        return clear, kept

    def redeem(self, token: RefreshToken, now: datetime) -> bool:
        """Use a refresh token up, and say whether it was good; one that was used before ends the whole session.

        Source: RFC 9700 §4.14.2, refresh token rotation.
        """
        if self.is_revoked:
            return False
        if token.used_at is not None:
            self.revoke(SessionEnding.REUSE, now)
            return False
        token.used_at = now
        return now < token.expires_at

    def rename(self, device_name: str | None) -> None:
        """Call the device by a name.

        Raises: InvalidInput.
        """
        self.device_name = clean_optional("deviceName", device_name)
        self.record(SessionRenamed(user_id=self.user_id, session_id=self.id))

    def prove(self, now: datetime) -> None:
        """Note that whoever holds the session has just shown a second factor."""
        self.second_factor_at = now
        self.record(SecondFactorShown(user_id=self.user_id, session_id=self.id))

    def require_fresh(self, within: timedelta, now: datetime) -> None:
        """Refuse what a stolen token must not do, unless its holder has logged in just now.

        Raises: FreshLoginRequired.
        """
        if self.is_revoked or now - max(self.created_at, self.second_factor_at or self.created_at) > within:
            raise FreshLoginRequired

    def revoke(self, reason: SessionEnding, now: datetime) -> None:
        """End the session; ending it twice is ending it once."""
        if self.revoked_at is None:
            self.revoked_at = now
            self.revoked_reason = reason
            self.record(TokenRevoked(user_id=self.user_id, session_id=self.id, reason=reason))


def printable(text: str | None) -> str | None:
    """Keep what a client says of itself, without what cannot be stored."""
    kept = "".join(each for each in (text or "")[:MAX_USER_AGENT] if each.isprintable())
    return kept or None


class Sessions(Protocol):
    """Sessions for change: what is given is locked until the transaction ends."""

    async def get(self, session_id: UUID) -> Session | None: ...

    async def by_token(self, token_hash: bytes) -> tuple[Session, RefreshToken] | None: ...

    def add(self, session: Session) -> None: ...

    def keep(self, token: RefreshToken) -> None: ...

    async def end_all(
        self, user_id: UUID, reason: SessionEnding, now: datetime, *, but: UUID | None = None
    ) -> Sequence[UUID]:
        """End the sessions of a user and give those that were ended."""
        ...


@dataclass(frozen=True, kw_only=True)
class Revocations:
    """Access tokens refused before their time: those of ended sessions, and those made before a user's roles changed."""

    sessions: frozenset[UUID] = frozenset()
    users: Mapping[UUID, datetime] = field(default_factory=dict)


class RevocationReads(Protocol):
    """What was revoked of late, over all tenants: the one thing that a valid signature does not tell."""

    async def since(self, moment: datetime) -> Revocations: ...


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A signed token and the seconds that it is good for."""

    token: str
    expires_in: int


class AccessTokens(Protocol):
    """Makes access tokens, which every subgraph can verify by itself."""

    def issue(self, principal: Principal, now: datetime, lifetime: timedelta | None = None) -> AccessToken:
        """Sign what the principal is, for the usual time or for another."""
        ...

    def withdraw(self, session_id: UUID) -> None:
        """Refuse the tokens of an ended session here and now; other processes hear of it within seconds."""
        ...


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """What a log-in or a refresh gives: the user, the session, its next refresh token, and who that makes the caller.

    `withheld_roles` are those that the user has, but not in this session, for they need a second factor.
    """

    user: User
    session: Session
    refresh_token: str
    principal: Principal
    withheld_roles: frozenset[str] = frozenset()


async def sign_in(
    user: User,
    session: Session,
    sessions: Sessions,
    roles: Roles,
    lifetime: timedelta,
    now: datetime,
    *,
    demanding: Collection[str] = (),
) -> SignIn:
    """Hand out the session's next refresh token, and work out what the user may do at present.

    Of the roles, those that are `demanding` are given to a session with a second factor alone.
    """
    clear, kept = session.issue(lifetime, now)
    sessions.keep(kept)
    withheld = frozenset(demanding) & set(user.roles) if session.second_factor_at is None else frozenset()
    held = [role for role in user.roles if role not in withheld]
    principal = Principal(
        user_id=user.id,
        tenant_id=user.tenant_id,
        session_id=session.id,
        roles=frozenset(held),
        permissions=await grants_of(held, roles),
        conditions=await conditions_of(held, roles),
        second_factor=session.second_factor_at is not None,
        store_ids=user.stores_of(held),
    )
    return SignIn(
        user=user, session=session, refresh_token=clear, principal=principal, withheld_roles=frozenset(withheld)
    )


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """Exchange a refresh token for new tokens."""

    token_hash: bytes
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class LogOut:
    """End the session of a refresh token, or the one that the caller's access token belongs to."""

    token_hash: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class RevokeSession:
    """End a session, such as that of a lost device."""

    id: UUID


@also_when_suspended
async def refresh(
    command: Refresh,
    work: Work,
    sessions: Sessions,
    users: Users,
    roles: Roles,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> SignIn | None:
    """Give the next tokens, or None. A refusal is an answer here, for the end of a session must be kept."""
    found = await sessions.by_token(command.token_hash)
    if found is None:
        return None
    session, token = found
    if not session.redeem(token, work.now):
        return None
    user = await users.get(session.user_id)
    user.require_active()
    session.address = command.address
    asked = await asked_of(work, policies, confirm_email=policy.confirm_email)
    demanding = asked.demanding(user.roles)
    return await sign_in(user, session, sessions, roles, policy.refresh_lifetime, work.now, demanding=demanding)


@also_when_suspended
async def log_out(command: LogOut, work: Work, sessions: Sessions) -> Session | None:
    """End a session and give it; None where there is none to end."""
    if command.token_hash is not None:
        found = await sessions.by_token(command.token_hash)
        session = found[0] if found else None
    else:
        session = await sessions.get(work.actor.session_id) if work.actor.session_id else None
    if session is not None:
        session.revoke(SessionEnding.LOGOUT, work.now)
    return session


@also_when_suspended
async def revoke_session(command: RevokeSession, work: Work, sessions: Sessions) -> Session:
    session = await sessions.get(command.id)
    if session is None or not (session.user_id == work.actor.user_id or work.actor.may("identity.manage")):
        raise NotFound(kind="Session", id=str(command.id))
    session.revoke(SessionEnding.REVOKED, work.now)
    return session
