"""External identities: that whom a provider knows under a subject is one of our users."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.identity.events import AboutUser
from domain.identity.identity_providers import VouchedIdentity
from domain.identity.roles import Roles
from domain.identity.single_sign_on import SingleSignOnRequired, SingleSignOns, require_own_doors
from domain.identity.users import User, Users
from domain.kernel import Aggregate, AlreadyExists, DomainError, InvalidInput, NotFound, Work, event

MAX_IDENTITIES = 20


@dataclass(eq=False)
class LinkingRequired(DomainError):
    """An account has the e-mail address, and nothing proves to it that it is the same person's.

    Only the owner of the address is told so, for the provider has verified it.
    """

    template = "There is an account with your e-mail address. Log in to it, and link the provider there."


@dataclass(eq=False)
class LastWayToLogIn(DomainError):
    """Without it nobody could log in to the account."""

    template = "This is the only way to log in to your account. Set a password or link another provider first."


@event("identity.social_identity_linked")
@dataclass(frozen=True, kw_only=True)
class SocialIdentityLinked(AboutUser):
    provider: str


@event("identity.social_identity_unlinked")
@dataclass(frozen=True, kw_only=True)
class SocialIdentityUnlinked(AboutUser):
    provider: str


@dataclass(eq=False, kw_only=True)
class ExternalIdentity(Aggregate):
    """One person at one provider, by the provider's own name for them; `granted_roles` came from the provider's groups."""

    user_id: UUID
    provider: str
    subject: str
    email: str | None = None
    granted_roles: list[str] = field(default_factory=list)
    linked_at: datetime
    last_used_at: datetime | None = None

    @classmethod
    def link(cls, user: User, provider: str, vouched: VouchedIdentity, now: datetime) -> "ExternalIdentity":
        """Say that a user is whom the provider vouches for."""
        linked = cls(
            tenant_id=user.tenant_id,
            user_id=user.id,
            provider=provider,
            subject=vouched.subject,
            email=vouched.email,
            linked_at=now,
        )
        linked.record(SocialIdentityLinked(user_id=user.id, provider=provider))
        return linked

    def use(self, vouched: VouchedIdentity, now: datetime) -> None:
        """Note a log-in by it."""
        self.email = vouched.email
        self.last_used_at = now

    def unlink(self) -> None:
        self.record(SocialIdentityUnlinked(user_id=self.user_id, provider=self.provider))


class ExternalIdentities(Protocol):
    """External identities for change."""

    async def claim(self, provider: str, subject: str) -> ExternalIdentity | None:
        """Keep others from linking this subject until the transaction ends; gives what is linked already."""
        ...

    async def of_user(self, user_id: UUID) -> Sequence[ExternalIdentity]: ...

    def add(self, identity: ExternalIdentity) -> None: ...

    async def remove(self, identity: ExternalIdentity) -> None: ...


class ExternalIdentityReads(Protocol):
    """External identities for lists."""

    async def of_users(self, user_ids: Sequence[UUID]) -> list[list[Any]]: ...


@dataclass(frozen=True, kw_only=True)
class UnlinkSocialIdentity:
    """Part with one of one's external identities."""

    id: UUID


async def link_to(
    user: User, provider: str, vouched: VouchedIdentity, work: Work, identities: ExternalIdentities
) -> ExternalIdentity:
    """Link a subject to a user; linking what is linked already changes nothing.

    Raises: AlreadyExists when it is another user's; InvalidInput when the user has too many.
    """
    known = await identities.claim(provider, vouched.subject)
    if known is not None and known.user_id != user.id:
        raise AlreadyExists(kind="ExternalIdentity", value=provider)
    if known is not None:
        return known
    if len(await identities.of_user(user.id)) >= MAX_IDENTITIES:
        raise InvalidInput(field="provider", reason=f"an account is linked to at most {MAX_IDENTITIES} identities")
    linked = ExternalIdentity.link(user, provider, vouched, work.now)
    identities.add(linked)
    return linked


async def unlink_social_identity(
    command: UnlinkSocialIdentity,
    work: Work,
    users: Users,
    identities: ExternalIdentities,
    connections: SingleSignOns,
    roles: Roles,
) -> ExternalIdentity:
    """Part with an identity; the roles that its groups gave go with it.

    Raises: NotFound, LastWayToLogIn.
    """
    # The user is locked first: of two last ones that are unlinked at once, the second sees the first gone.
    user = await users.get(work.actor.require_user())
    mine = await identities.of_user(user.id)
    found = next((each for each in mine if each.id == command.id), None)
    if found is None:
        raise NotFound(kind="ExternalIdentity", id=str(command.id))
    if len(mine) == 1 and not await _comes_in_by_password(user, connections, roles):
        raise LastWayToLogIn
    for role in found.granted_roles:
        if user.holds(role, None):
            user.revoke(role, None, work.now)
    found.unlink()
    await identities.remove(found)
    return found


async def _comes_in_by_password(user: User, connections: SingleSignOns, roles: Roles) -> bool:
    try:
        await require_own_doors(user, connections, roles)
    except SingleSignOnRequired:
        return False
    return user.has_password
