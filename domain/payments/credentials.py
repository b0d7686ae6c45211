"""What a tenant and its providers know of each other: secrets, which are sealed before they come here and never told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, event

LONGEST_SECRET = 16_384


@event("payments.credentials_updated")
@dataclass(frozen=True, kw_only=True)
class CredentialsUpdated(Event):
    provider: str


@dataclass(eq=False, kw_only=True)
class ProviderCredential(Aggregate):
    """A tenant's secret with one provider, as ciphertext."""

    provider: str
    sealed: str = ""
    changed_at: datetime

    @property
    def place(self) -> str:
        """Where the secret belongs: sealed for another tenant or provider, it cannot be opened here."""
        return secret_place(self.tenant_id, self.provider)

    def put(self, sealed: str, now: datetime) -> None:
        """Exchange the secret."""
        self.sealed, self.changed_at = sealed, now
        self.record(CredentialsUpdated(provider=self.provider))


def secret_place(tenant_id: UUID, provider: str) -> str:
    """Name the place that a secret is sealed for."""
    return f"{tenant_id}/payments/{provider}"


class ProviderCredentials(Protocol):
    """Secrets for change; what is given is locked until the transaction ends."""

    async def of_provider(self, provider: str) -> ProviderCredential | None: ...

    def add(self, credential: ProviderCredential) -> None: ...
