"""Which payment providers a tenant uses, and with which secrets; these are sealed by the cipher that keeps all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.identity.single_sign_on import SingleSignOns
from domain.kernel import InvalidInput, NotFound, Work
from domain.payments.credentials import LONGEST_SECRET, ProviderCredential, ProviderCredentials
from domain.payments.policy import Policies
from domain.payments.providers import ProviderDirectory, ProviderOffer
from domain.tenancy import Cipher, ResealSettings, StoreSettings, reseal_settings


@dataclass(frozen=True, kw_only=True)
class ConfigureProvider:
    """Take a provider into use or out of it, and exchange the secret that the tenant has with it, where one is given.

    `credentials` is the secret key to the tenant's own account, `webhookSecret` what that account signs its webhooks with.
    """

    provider: str
    is_active: bool = True
    credentials: str | None = None
    webhook_secret: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateProviderCredentials:
    """Exchange the secret that the tenant has with a provider; nobody can read it again.

    Payments go through the tenant's own account from the next order on; `webhookSecret` stays where none is given.
    """

    provider: str
    credentials: str
    webhook_secret: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProviderSetup:
    """A provider as a tenant has set it up; `credentials_changed_at` is empty where the tenant has none of its own.

    `webhook_endpoint` names where the tenant's own account sends its webhooks.
    """

    provider: str
    methods: tuple[str, ...]
    is_active: bool
    credentials_changed_at: datetime | None = None
    webhook_endpoint: UUID | None = None


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
        secrets = UpdateProviderCredentials(
            provider=offer.provider, credentials=command.credentials, webhook_secret=command.webhook_secret
        )
        known = _exchange(known, secrets, work, credentials, cipher)
        policy.use_own_account(offer.provider)
    elif command.webhook_secret is not None:
        raise InvalidInput(field="webhookSecret", reason="it is exchanged together with the credentials")
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
    policy = await policies.lock_or_create(work.tenant_id)
    known = await credentials.of_provider(offer.provider)
    known = _exchange(known, command, work, credentials, cipher)
    policy.use_own_account(offer.provider)
    return _setup(offer, policy.inactive_providers, known)


async def reseal_secrets(
    command: ResealSettings,
    settings: StoreSettings,
    credentials: ProviderCredentials,
    connections: SingleSignOns,
    cipher: Cipher,
) -> int:
    """Seal all secrets of the tenant anew after the key was rotated, those with providers too; gives how many were."""
    resealed = await reseal_settings(command, settings, cipher)
    resealed += sum([each.reseal(cipher) for each in await credentials.all()])
    return resealed + sum([each.reseal(cipher) for each in await connections.all()])


def _offer(provider: str, directory: ProviderDirectory) -> ProviderOffer:
    found = next((each for each in directory.offers() if each.provider == provider), None)
    if found is None:
        raise NotFound(kind="PaymentProvider", id=provider)
    return found


def _exchange(
    known: ProviderCredential | None,
    command: UpdateProviderCredentials,
    work: Work,
    credentials: ProviderCredentials,
    cipher: Cipher,
) -> ProviderCredential:
    for name, secret in (("credentials", command.credentials), ("webhookSecret", command.webhook_secret)):
        if secret is not None and not 0 < len(secret) <= LONGEST_SECRET:
            raise InvalidInput(field=name, reason=f"it has between 1 and {LONGEST_SECRET} characters")
    if known is None:
        known = ProviderCredential(tenant_id=work.tenant_id, provider=command.provider, changed_at=work.now)
        credentials.add(known)
    webhooks = None if command.webhook_secret is None else cipher.encrypt(command.webhook_secret, known.webhook_place)
    known.put(cipher.encrypt(command.credentials, known.place), webhooks, work.now)
    return known


def _setup(offer: ProviderOffer, inactive: Sequence[str], known: ProviderCredential | None) -> ProviderSetup:
    return ProviderSetup(
        provider=offer.provider,
        methods=offer.methods,
        is_active=offer.provider not in inactive,
        credentials_changed_at=None if known is None else known.changed_at,
        webhook_endpoint=None if known is None else known.id,
    )
