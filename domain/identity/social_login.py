"""Logging in by a provider: the way there, which is good for one return, and what its word is worth here."""

import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from domain.identity.administration import permissions_of_role
from domain.identity.attempts import LoginLog
from domain.identity.entering import SecondFactorDue, enter
from domain.identity.external import ExternalIdentities, ExternalIdentity, LinkingRequired, link_to
from domain.identity.factors import Factors
from domain.identity.identity_providers import OWN_PREFIX, SocialLoginRefused, VouchedIdentity
from domain.identity.profile import Profile
from domain.identity.roles import Roles, grants_of
from domain.identity.sessions import AccessPolicy, Client, Sessions, SignIn, hash_token, printable
from domain.identity.sign_in_policy import SignInPolicies
from domain.identity.single_sign_on import SingleSignOn, SingleSignOns, require_covered
from domain.identity.text import MAX_NAME, clean_email
from domain.identity.users import User, Users
from domain.kernel import UNCHANGED, InvalidInput, NotFound, Work, also_when_suspended, uuid7

LIFETIME = timedelta(minutes=10)
TOKEN_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class LoginSecrets:
    """What a way round by a provider is protected with, in clear: made once, and told to nobody twice.

    The state travels with the browser, the binding stays with the client that began, nonce and verifier stay here.
    """

    state: str
    binding: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> "LoginSecrets":
        return cls(**{each: secrets.token_urlsafe(TOKEN_BYTES) for each in ("state", "binding", "nonce", "verifier")})


@dataclass(eq=False, kw_only=True)
class SocialLogin:
    """A way round by a provider that somebody has begun; `sealed` holds nonce and verifier.

    Used ones stay for a while, so that their proofs are known again.
    """

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    provider: str
    state_hash: bytes
    binding_hash: bytes
    sealed: str = ""
    redirect_uri: str
    user_id: UUID | None
    first_name: str | None = None
    last_name: str | None = None
    proof: bytes | None = None
    expires_at: datetime
    used_at: datetime | None = None

    @property
    def place(self) -> str:
        """Where its secrets belong."""
        return f"{self.tenant_id}/identity/social-login/{self.id}"

    def is_open_to(self, provider: str, binding: str, now: datetime) -> bool:
        """Say whether it was begun for this provider, by this client, not long ago, and has not come to its end yet."""
        same = hmac.compare_digest(self.binding_hash, hash_token(binding))
        return same and self.provider == provider and self.used_at is None and now < self.expires_at


class SocialLogins(Protocol):
    """Ways round that somebody has begun, for change; what is given is locked until the transaction ends."""

    async def by_state(self, state_hash: bytes) -> SocialLogin | None: ...

    async def get(self, login_id: UUID) -> SocialLogin | None: ...

    def add(self, login: SocialLogin) -> None: ...


class SocialLoginReads(Protocol):
    """Ways round whose tenant is not known yet: of a browser that comes back, nothing is known but the state."""

    async def by_state(self, state_hash: bytes) -> Any | None: ...


@dataclass(frozen=True, kw_only=True)
class NoteName:
    """Keep the name that a provider tells once, beside the code; nobody vouches for it."""

    state_hash: bytes
    first_name: str | None
    last_name: str | None


async def note_name(command: NoteName, work: Work, logins: SocialLogins) -> None:
    login = await logins.by_state(command.state_hash)
    if login is not None and login.used_at is None and work.now < login.expires_at:
        login.first_name = presentable(command.first_name)
        login.last_name = presentable(command.last_name)


@dataclass(frozen=True, kw_only=True)
class ReopenSocialLogin:
    """Let somebody come back once more, because the provider could not be asked."""

    id: UUID


@also_when_suspended
async def reopen_social_login(command: ReopenSocialLogin, work: Work, logins: SocialLogins) -> None:  # noqa: ARG001 — a handler is given its work.
    login = await logins.get(command.id)
    if login is not None and login.proof is None:
        login.used_at = None


@dataclass(frozen=True, kw_only=True)
class EnterByIdentity:
    """Come in as whom a provider vouches for; `login_id` is the way round that proved it."""

    login_id: UUID
    provider: str
    vouched: VouchedIdentity
    client: Client


@also_when_suspended
async def enter_by_identity(
    command: EnterByIdentity,
    work: Work,
    users: Users,
    identities: ExternalIdentities,
    connections: SingleSignOns,
    logins: SocialLogins,
    sessions: Sessions,
    roles: Roles,
    log: LoginLog,
    factors: Factors,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> SignIn | SecondFactorDue | None:
    """Open a session for a user whom the provider is linked to; None where it is linked to nobody.

    Raises: SocialLoginRefused for a proof that was used before; SingleSignOnRefused, AccountLocked, AccountDeactivated.
    """
    terms = await _terms(command, connections)
    identity = await identities.claim(command.provider, command.vouched.subject)
    if identity is None:
        return None
    await _spend(command, logins)
    user = await users.get(identity.user_id)
    await _come_in(user, identity, command.vouched, terms, roles, work)
    # A tenant's own provider asks its staff for what the tenant wants to see of them.
    own = terms is not None
    return await enter(user, command.client, work, sessions, roles, log, factors, policies, policy, second_factor=own)


async def admit_by_identity(
    command: EnterByIdentity,
    work: Work,
    users: Users,
    identities: ExternalIdentities,
    connections: SingleSignOns,
    logins: SocialLogins,
    sessions: Sessions,
    roles: Roles,
    log: LoginLog,
    factors: Factors,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> SignIn | SecondFactorDue:
    """Open a session for somebody who comes by a provider for the first time: as a new user, or as one who is known.

    Raises: LinkingRequired, and what `enter_by_identity` raises.
    """
    terms = await _terms(command, connections)
    identity = await identities.claim(command.provider, command.vouched.subject)
    await _spend(command, logins)
    if identity is None:
        user = await _known(command.vouched, terms, users, roles)
        if user is None:
            user = _newcomer(command.vouched, work)
            users.add(user)
        identity = await link_to(user, command.provider, command.vouched, work, identities)
    else:
        # Whoever was first at the same time has made the user.
        user = await users.get(identity.user_id)
    await _come_in(user, identity, command.vouched, terms, roles, work)
    # A tenant's own provider asks its staff for what the tenant wants to see of them.
    own = terms is not None
    return await enter(user, command.client, work, sessions, roles, log, factors, policies, policy, second_factor=own)


@dataclass(frozen=True, kw_only=True)
class LinkSocialIdentity:
    """Link whom a provider vouches for to the user who is logged in, and who began the way round."""

    login_id: UUID
    provider: str
    vouched: VouchedIdentity


async def link_social_identity(
    command: LinkSocialIdentity,
    work: Work,
    users: Users,
    identities: ExternalIdentities,
    connections: SingleSignOns,
    logins: SocialLogins,
    roles: Roles,
) -> ExternalIdentity:
    """Link an identity.

    Raises: AlreadyExists, SocialLoginRefused, SingleSignOnRefused.
    """
    terms = await _terms(command, connections)
    if terms is not None:
        terms.require_domain(command.vouched.verified_email)
    await _spend(command, logins)
    user = await users.get(work.actor.require_user())
    user.require_active()
    if terms is not None:
        await require_covered(user, terms, roles)
    return await link_to(user, command.provider, command.vouched, work, identities)


async def _terms(command: EnterByIdentity | LinkSocialIdentity, connections: SingleSignOns) -> SingleSignOn | None:
    if not command.provider.startswith(OWN_PREFIX):
        return None
    terms = await connections.of_provider(command.provider)
    if terms is None:
        raise NotFound(kind="LoginProvider", id=command.provider)
    return terms


async def _spend(command: EnterByIdentity | LinkSocialIdentity, logins: SocialLogins) -> None:
    if command.vouched.proof is not None:
        login = await logins.get(command.login_id)
        if login is None:
            raise SocialLoginRefused
        # That a proof is kept once, over all tenants, is the table's to say.
        login.proof = command.vouched.proof


async def _known(vouched: VouchedIdentity, terms: SingleSignOn | None, users: Users, roles: Roles) -> User | None:
    """Find the user with the same e-mail address, if both sides have verified it.

    An address that the provider has not verified is not even looked up, so that no answer tells whose it is.
    A tenant's own provider says what its administrator likes: it brings nobody into an account that may do more.
    """
    email = vouched.verified_email
    if email is None:
        return None
    owner = await users.claim_email(email)
    if owner is None:
        return None
    user = await users.get(owner)
    if not user.email_is_verified or (terms and not terms.covers(await grants_of(user.roles, roles))):
        raise LinkingRequired
    return user


def _newcomer(vouched: VouchedIdentity, work: Work) -> User:
    first, last = presentable(vouched.first_name), presentable(vouched.last_name)
    profile = Profile(first_name=first or UNCHANGED, last_name=last or UNCHANGED)
    return User.register_by_provider(vouched.verified_email, profile, work)


async def _come_in(
    user: User,
    identity: ExternalIdentity,
    vouched: VouchedIdentity,
    terms: SingleSignOn | None,
    roles: Roles,
    work: Work,
) -> None:
    if terms is not None:
        terms.require_domain(vouched.verified_email)
    user.require_active()
    if terms is not None:
        await require_covered(user, terms, roles)
        await _take_roles(user, identity, vouched, terms, roles, work)
        terms.prove(work.now)
    identity.use(vouched, work.now)


async def _take_roles(
    user: User,
    identity: ExternalIdentity,
    vouched: VouchedIdentity,
    terms: SingleSignOn,
    roles: Roles,
    work: Work,
) -> None:
    """Give the roles of the groups, and take back those that the groups gave before and no longer give."""
    due = [each for each in terms.roles_for(vouched.groups) if await _may_give(each, terms, roles)]
    for role in identity.granted_roles:
        if role not in due and user.holds(role, None):
            user.revoke(role, None, work.now)
    given = [each for each in due if not user.holds(each, None)]
    for role in given:
        user.assign(role, None, work)
    identity.granted_roles = sorted({*given, *(each for each in identity.granted_roles if each in due)})


async def _may_give(role: str, terms: SingleSignOn, roles: Roles) -> bool:
    try:
        return terms.covers(await permissions_of_role(role, roles))
    except NotFound:
        # A role of the tenant's own that was deleted since.
        return False


def presentable(name: str | None) -> str | None:
    """Give a name that a provider told in a form that can be kept; None where nothing is left of it."""
    return (printable(name) or "").strip()[:MAX_NAME].strip() or None


def usable(vouched: VouchedIdentity, login: SocialLogin) -> VouchedIdentity:
    """Give what was vouched for in the forms that are kept: an address that is none counts as not told."""
    return replace(
        vouched,
        email=_address(vouched.email),
        first_name=vouched.first_name or login.first_name,
        last_name=vouched.last_name or login.last_name,
    )


def _address(email: str | None) -> str | None:
    try:
        return None if email is None else clean_email(email)
    except InvalidInput:
        return None
