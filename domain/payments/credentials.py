"""What a tenant and its providers know of each other: secrets, which are sealed before they come here and never told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, event

LONGEST_SECRET = 16_384


@event("payments.credentials_updated")
@dataclass(frozen=True, kw_only=True)
class CredentialsUpdated(Event):
    provider: str


@event("payments.credentials_resealed")
@dataclass(frozen=True, kw_only=True)
class CredentialsResealed(Event):
    provider: str


class Resealer(Protocol):
    """What seals a secret anew with the present key."""

    def rotate(self, sealed: str, place: str) -> str: ...


@dataclass(eq=False, kw_only=True)
class ProviderCredential(Aggregate):
    """A tenant's secrets with one provider, as ciphertext: the key to its account, and what the account's webhooks are signed with.

    The id names the endpoint of these webhooks.
    """

    provider: str
    sealed: str = ""
    webhook_sealed: str | None = None
    changed_at: datetime

    @property
    def place(self) -> str:
        """Where the secret belongs: sealed for another tenant or provider, it cannot be opened here."""
        return secret_place(self.tenant_id, self.provider)

    @property
    def webhook_place(self) -> str:
        return webhook_place(self.tenant_id, self.provider)

    def put(self, sealed: str, webhook_sealed: str | None, now: datetime) -> None:
        """Exchange the key, and the webhooks' secret where one is given."""
        self.sealed, self.changed_at = sealed, now
        self.webhook_sealed = webhook_sealed or self.webhook_sealed
        self.record(CredentialsUpdated(provider=self.provider))

    def reseal(self, cipher: Resealer) -> bool:
        """Seal the secrets anew with the present key; says whether there was anything to do."""
        before = (self.sealed, self.webhook_sealed)
        self.sealed = cipher.rotate(self.sealed, self.place)
        if self.webhook_sealed is not None:
            self.webhook_sealed = cipher.rotate(self.webhook_sealed, self.webhook_place)
        changed = before != (self.sealed, self.webhook_sealed)
        if changed:
            self.record(CredentialsResealed(provider=self.provider))
        return changed


def secret_place(tenant_id: UUID, provider: str) -> str:
    """Name the place that a secret is sealed for."""
    return f"{tenant_id}/payments/{provider}"


def webhook_place(tenant_id: UUID, provider: str) -> str:
    """Name the place that the secret of webhooks is sealed for."""
    return f"{secret_place(tenant_id, provider)}/webhooks"


class ProviderCredentials(Protocol):
    """Secrets for change; what is given is locked until the transaction ends."""

    async def of_provider(self, provider: str) -> ProviderCredential | None: ...

    async def all(self) -> Sequence[ProviderCredential]: ...

    def add(self, credential: ProviderCredential) -> None: ...


class CredentialReads(Protocol):
    """Secrets as they are kept, for the code that uses them and for nobody else."""

    async def of_provider(self, provider: str) -> Any | None: ...

    async def of_endpoint(self, endpoint: UUID) -> Any | None:
        """Give what belongs to an endpoint of webhooks, whose tenant is not known yet."""
        ...
