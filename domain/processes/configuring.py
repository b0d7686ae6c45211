"""Which payment providers a tenant uses, and with which secrets; these are sealed by the cipher that keeps all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.kernel import InvalidInput, NotFound, Work
from domain.payments.credentials import LONGEST_SECRET, ProviderCredential, ProviderCredentials
from domain.payments.policy import Policies
from domain.payments.providers import ProviderDirectory, ProviderOffer
from domain.tenancy import Cipher


@dataclass(frozen=True, kw_only=True)
class ConfigureProvider:
    """Take a provider into use or out of it, and exchange the secret that the tenant has with it, where one is given."""

    provider: str
    is_active: bool = True
    credentials: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateProviderCredentials:
    """Exchange the secret that the tenant has with a provider; nobody can read it again."""

    provider: str
    credentials: str


@dataclass(frozen=True, kw_only=True)
class ProviderSetup:
    """A provider as a tenant has set it up; `credentials_changed_at` is empty where the tenant has none of its own."""

    provider: str
    methods: tuple[str, ...]
    is_active: bool
    credentials_changed_at: datetime | None = None


async def configure_provider(
    command: ConfigureProvider,
    work: Work,
    directory: ProviderDirectory,
    policies: Policies,
    credentials: ProviderCredentials,
    cipher: Cipher,
) -> ProviderSetup:
    """Set a provider up; from the next order on, buyers can pay by it, or cannot.

    Raises: NotFound for a provider that this installation does not have; InvalidInput.
    """
    offer = _offer(command.provider, directory)
    policy = await policies.lock_or_create(work.tenant_id)
    policy.configure(offer.provider, is_active=command.is_active)
    known = await credentials.of_provider(offer.provider)
    if command.credentials is not None:
        known = _exchange(known, offer.provider, command.credentials, work, credentials, cipher)
    return _setup(offer, policy.inactive_providers, known)


async def update_provider_credentials(
    command: UpdateProviderCredentials,
    work: Work,
    directory: ProviderDirectory,
    policies: Policies,
    credentials: ProviderCredentials,
    cipher: Cipher,
) -> ProviderSetup:
    """Exchange a secret.

    Raises: NotFound for a provider that this installation does not have; InvalidInput.
    """
    offer = _offer(command.provider, directory)
    known = await credentials.of_provider(offer.provider)
    known = _exchange(known, offer.provider, command.credentials, work, credentials, cipher)
    return _setup(offer, (await policies.current(work.tenant_id)).inactive_providers, known)


def _offer(provider: str, directory: ProviderDirectory) -> ProviderOffer:
    found = next((each for each in directory.offers() if each.provider == provider), None)
    if found is None:
        raise NotFound(kind="PaymentProvider", id=provider)
    return found


def _exchange(
    known: ProviderCredential | None,
    provider: str,
    secret: str,
    work: Work,
    credentials: ProviderCredentials,
    cipher: Cipher,
) -> ProviderCredential:
    if not 0 < len(secret) <= LONGEST_SECRET:
        raise InvalidInput(field="credentials", reason=f"they have between 1 and {LONGEST_SECRET} characters")
    if known is None:
        known = ProviderCredential(tenant_id=work.tenant_id, provider=provider, changed_at=work.now)
        credentials.add(known)
    known.put(cipher.encrypt(secret, known.place), work.now)
    return known


def _setup(offer: ProviderOffer, inactive: Sequence[str], known: ProviderCredential | None) -> ProviderSetup:
    return ProviderSetup(
        provider=offer.provider,
        methods=offer.methods,
        is_active=offer.provider not in inactive,
        credentials_changed_at=None if known is None else known.changed_at,
    )
