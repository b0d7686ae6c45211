"""A tenant's own identity provider: who may come in by it, what they may do then, and whom it is the only way for."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.identity.identity_providers import OWN_PREFIX
from domain.identity.roles import PRESETS, Roles, grants_of, require_all
from domain.identity.text import clean, clean_optional
from domain.identity.users import User
from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Principal, Work, event

MAX_CONNECTIONS = 20
MAX_DOMAINS = 100
MAX_ROLES = 200
MAX_REDIRECTS = 20
PLATFORM = "tenancy.platform"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,100}")


@dataclass(eq=False)
class SingleSignOnRequired(DomainError):
    """The password is right, and the tenant lets its staff in by its own provider alone."""

    provider: str
    template = "Log in by {provider}: passwords of this organisation are not accepted."


@dataclass(eq=False)
class SingleSignOnRefused(DomainError):
    """The tenant's provider knows the person, and the tenant does not let them in by it."""

    reason: str
    template = "Single sign-on was refused: {reason}."


@dataclass(eq=False)
class SingleSignOnUntried(DomainError):
    """Nobody has come in by the provider so far: were it the only way, a slip in its settings would lock everybody out."""

    provider: str
    template = "Log in by {provider} once before it becomes the only way."


@event("identity.single_sign_on_configured")
@dataclass(frozen=True, kw_only=True)
class SingleSignOnConfigured(Event):
    provider: str
    is_enforced: bool
    roles: Sequence[str]


@event("identity.single_sign_on_resealed")
@dataclass(frozen=True, kw_only=True)
class SingleSignOnResealed(Event):
    provider: str


@event("identity.single_sign_on_removed")
@dataclass(frozen=True, kw_only=True)
class SingleSignOnRemoved(Event):
    provider: str


@dataclass(frozen=True, kw_only=True)
class RoleForGroup:
    """The role that members of a provider's group have here, in the whole tenant."""

    group: str
    role: str


@dataclass(frozen=True, kw_only=True)
class ConfigureSingleSignOn:
    """Set up the tenant's own provider, or set it up anew; what is not mentioned is emptied, but for the secret.

    The issuer stays what it was at first: another one is another provider, with other people behind the same names.
    With `domains`, only addresses of these that the provider has verified come in. With `isEnforced`, staff with such addresses
    come in by no password. Nobody maps a group to a role that permits what they may not do themselves.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: Sequence[str] | None = None
    domains: Sequence[str] | None = None
    groups_claim: str | None = None
    roles: Sequence[RoleForGroup] | None = None
    is_enforced: bool = False
    redirect_uris: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveSingleSignOn:
    """Part with the tenant's own provider, and with the identities that came by it."""

    provider: str


class Resealer(Protocol):
    """What seals a secret anew with the present key."""

    def rotate(self, sealed: str, place: str) -> str: ...


@dataclass(eq=False, kw_only=True)
class SingleSignOn(Aggregate):
    """What a tenant has agreed with its provider; the secret is sealed before it comes here.

    `ceiling` is what the administrator who set it up may do: nothing that the provider says gives anybody more, or
    touches an account that may do more.
    """

    provider: str
    title: str = ""
    issuer: str = ""
    client_id: str = ""
    sealed: str = ""
    scopes: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    groups_claim: str | None = None
    roles: list[dict[str, str]] = field(default_factory=list)
    is_enforced: bool = False
    redirect_uris: list[str] = field(default_factory=list)
    ceiling: list[str] = field(default_factory=list)
    configured_by: UUID | None = None
    changed_at: datetime
    proved_at: datetime | None = None

    @property
    def place(self) -> str:
        """Where the secret belongs: sealed for another tenant or provider, it cannot be opened here."""
        return f"{self.tenant_id}/identity/{self.provider}"

    def covers(self, permissions: Collection[str]) -> bool:
        """Say whether all of these are within what the administrator may do who set it up."""
        limits = Principal(permissions=frozenset(self.ceiling))
        return all(limits.may(each) for each in permissions)

    def roles_for(self, groups: Collection[str]) -> list[str]:
        return sorted({each["role"] for each in self.roles if each["group"] in groups})

    def require_domain(self, verified_email: str | None) -> None:
        """Let in only whom the tenant wants by this provider.

        Raises: SingleSignOnRefused.
        """
        if not self.domains:
            return
        if verified_email is None:
            raise SingleSignOnRefused(reason="the provider has verified no e-mail address")
        if domain_of(verified_email) not in self.domains:
            raise SingleSignOnRefused(reason="the e-mail address is not one of this organisation")

    def configure(self, command: ConfigureSingleSignOn, issuer: str, sealed: str, work: Work) -> None:
        """Take over the settings, of which the roles were found to be the actor's to hand on.

        Raises: InvalidInput, SingleSignOnUntried.
        """
        if self.issuer not in {"", issuer}:
            raise InvalidInput(field="issuer", reason="remove the provider and set up another one")
        domains = _domains(command.domains or ())
        if command.is_enforced and not domains:
            raise InvalidInput(field="domains", reason="say whose addresses must come in by the provider")
        if command.is_enforced and self.proved_at is None:
            raise SingleSignOnUntried(provider=self.provider)
        self.title = clean("title", command.title)
        self.issuer, self.sealed = issuer, sealed
        self.client_id = clean("clientId", command.client_id, longest=500)
        self.scopes, self.domains = _scopes(command.scopes or ()), domains
        self.groups_claim = clean_optional("groupsClaim", command.groups_claim)
        self.roles = _mapping(command.roles or ())
        self.is_enforced, self.redirect_uris = bool(command.is_enforced), list(command.redirect_uris or ())
        self.ceiling, self.configured_by = sorted(work.actor.permissions), work.actor.user_id
        self.changed_at = work.now
        mapped = tuple(sorted({each["role"] for each in self.roles}))
        self.record(
            SingleSignOnConfigured(provider=self.provider, is_enforced=self.is_enforced, roles=mapped),
        )

    def prove(self, now: datetime) -> None:
        """Note that somebody has come in by it."""
        if self.proved_at is None:
            self.proved_at = now

    def reseal(self, cipher: Resealer) -> bool:
        """Seal the secret anew with the present key; says whether there was anything to do."""
        before, self.sealed = self.sealed, cipher.rotate(self.sealed, self.place)
        if self.sealed != before:
            self.record(SingleSignOnResealed(provider=self.provider))
        return self.sealed != before

    def retire(self) -> None:
        self.record(SingleSignOnRemoved(provider=self.provider))


def domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()


def own_provider(name: str) -> str:
    """Give the name by which a tenant's own provider is asked for.

    Raises: InvalidInput.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(field="name", reason="it is written in small letters, digits and hyphens")
    return OWN_PREFIX + name


def _domains(given: Sequence[str]) -> list[str]:
    domains = sorted({each.strip().lower() for each in given})
    if len(domains) > MAX_DOMAINS or not all(_DOMAIN.fullmatch(each) for each in domains):
        raise InvalidInput(field="domains", reason=f"at most {MAX_DOMAINS}, each written like example.com")
    return domains


def _scopes(given: Sequence[str]) -> list[str]:
    if len(given) > MAX_REDIRECTS or not all(_SCOPE.fullmatch(each) for each in given):
        raise InvalidInput(field="scopes", reason="they are words of visible ASCII characters")
    return list(dict.fromkeys(("openid", *(given or ("email", "profile")))))


def _mapping(given: Sequence[RoleForGroup]) -> list[dict[str, str]]:
    if len(given) > MAX_ROLES:
        raise InvalidInput(field="roles", reason=f"there are at most {MAX_ROLES}")
    return [{"group": clean("group", each.group, longest=500), "role": each.role} for each in given]


class SingleSignOns(Protocol):
    """The tenant's own providers, for change; what is given is locked until the transaction ends."""

    async def of_provider(self, provider: str) -> SingleSignOn | None: ...

    async def all(self) -> Sequence[SingleSignOn]: ...

    async def enforcing(self, domain: str) -> Sequence[SingleSignOn]:
        """Give those that staff with addresses of a domain must come in by, without holding anybody."""
        ...

    def add(self, connection: SingleSignOn) -> None: ...

    async def remove(self, connection: SingleSignOn) -> None:
        """Drop it with the identities that came by it."""
        ...


class SingleSignOnReads(Protocol):
    """The tenant's own providers, for lists; their secrets stay where they are."""

    async def listed(self) -> list[Any]: ...


async def require_handing_on(actor: Principal, names: Collection[str], roles: Roles) -> None:
    """Refuse to map, or to touch a mapping of, roles that the actor may not hand on.

    Raises: NotFound, Forbidden.
    """
    for name in sorted(set(names)):
        if name not in PRESETS and await roles.find(name) is None:
            raise NotFound(kind="Role", id=name)
    require_all(actor, await grants_of(names, roles))


async def require_covered(user: User, connection: SingleSignOn, roles: Roles) -> None:
    """Refuse to take a provider's word for somebody who may do more than the administrator who set it up.

    Raises: SingleSignOnRefused.
    """
    if not connection.covers(await grants_of(user.roles, roles)):
        raise SingleSignOnRefused(reason="the account may do more than this provider is trusted with")


async def remove_single_sign_on(
    command: RemoveSingleSignOn, work: Work, connections: SingleSignOns, roles: Roles
) -> SingleSignOn:
    """Part with a provider.

    Raises: NotFound, Forbidden.
    """
    known = await connections.of_provider(command.provider)
    if known is None:
        raise NotFound(kind="SingleSignOn", id=command.provider)
    require_all(work.actor, await grants_of([each["role"] for each in known.roles], roles))
    known.retire()
    await connections.remove(known)
    return known


async def require_own_doors(user: User, connections: SingleSignOns, roles: Roles) -> None:
    """Refuse every door of ours to staff that must come in by the tenant's provider.

    Whoever runs the platform, or may do more than the administrator who demands it, is not bound by that: a provider that
    is gone must not lock out those who can undo the demand.
    Raises: SingleSignOnRequired.
    """
    if not user.assignments:
        return
    granted = await grants_of(user.roles, roles)
    if Principal(permissions=granted).may(PLATFORM):
        return
    for each in await connections.enforcing(domain_of(user.email)):
        if each.covers(granted):
            raise SingleSignOnRequired(provider=each.provider)
