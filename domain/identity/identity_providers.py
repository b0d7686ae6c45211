"""Identity providers: what is asked of them, what they vouch for, and the port that adapters implement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from domain.kernel import DomainError

OWN_PREFIX = "sso."
"""What the names of tenants' own providers begin with; no name of the installation's has a dot."""


@dataclass(eq=False)
class SocialLoginRefused(DomainError):
    """The way round by the provider does not prove who somebody is: begin anew."""

    reason: str = "it is unknown, has been used, or has run out"
    template = "The log-in by the provider was refused: {reason}."


class ProviderKind(StrEnum):
    """How a provider speaks."""

    OIDC = "oidc"
    APPLE = "apple"
    TELEGRAM = "telegram"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What this installation, or a tenant, has agreed with a provider; the secret is in clear and told to nobody.

    `issuer` names the provider and its discovery document. `groups_claim` is the claim that lists a person's groups.
    """

    provider: str
    title: str
    kind: ProviderKind = ProviderKind.OIDC
    issuer: str = ""
    client_id: str = ""
    secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str | None = None

    @property
    def is_own(self) -> bool:
        """Say whether a tenant has set it up: then it is trusted with no more than that tenant's administrator."""
        return self.provider.startswith(OWN_PREFIX)


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """What a browser takes along to the provider; the verifier stays here and only its digest goes."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, kw_only=True)
class Redemption:
    """What came back from the provider, beside what is known of the way there; `issuer` is the answer's `iss`."""

    code: str
    nonce: str
    verifier: str
    redirect_uri: str
    issuer: str | None = None


@dataclass(frozen=True, kw_only=True)
class VouchedIdentity:
    """Whom the provider says that it has before it.

    `proof` is the digest of what it said, where nothing but our memory keeps that from being said again.
    """

    subject: str
    email: str | None = None
    email_verified: bool = False
    first_name: str | None = None
    last_name: str | None = None
    groups: tuple[str, ...] = ()
    proof: bytes | None = None

    @property
    def verified_email(self) -> str | None:
        """Give the address if the provider has verified it; an unverified one says nothing about anybody."""
        return self.email if self.email_verified else None


@dataclass(frozen=True, kw_only=True)
class LoginOffer:
    """A provider that people can log in by."""

    provider: str
    title: str
    kind: ProviderKind


class IdentityProviders(Protocol):
    """The installation's providers, and the protocol that all of them are spoken to in."""

    def offers(self) -> Sequence[LoginOffer]: ...

    def find(self, provider: str) -> Connection | None:
        """Give one of the installation's own."""
        ...

    def accept_issuer(self, issuer: str) -> str:
        """Give the issuer of a tenant's own provider in the form that is kept.

        Raises: InvalidInput for an address that this installation does not call.
        """
        ...

    def accept_redirect(self, redirect_uri: str, further: Sequence[str]) -> str:
        """Hold the address that the browser comes back to, against the installation's list and a tenant's.

        Raises: InvalidInput.
        """
        ...

    async def authorization_url(self, connection: Connection, authorization: Authorization) -> str:
        """Say where the browser goes.

        Raises: Unavailable.
        """
        ...

    async def identify(self, connection: Connection, redemption: Redemption) -> VouchedIdentity:
        """Exchange what came back for what the provider vouches for.

        Raises: SocialLoginRefused, Unavailable.
        """
        ...
