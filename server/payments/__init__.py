"""How money is moved in reality: the providers that the settings name, behind one router, and their webhooks."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from data.database import Database
from domain.tenancy import Cipher
from server.payments.accounts import OwnAccount, OwnAccounts
from server.payments.offline import BankTransfer, Cash
from server.payments.routing import ProviderAdapter, ProviderCall, ProviderRouter, unobserved
from server.payments.webhooks import Endpoints, WebhookReceiver


@dataclass(frozen=True, kw_only=True)
class PaymentSettings:
    """Which providers there are: those with a key. Several webhook secrets are valid while they are being exchanged.

    The sandbox is asked at `sandbox_url`, or in this very process where `sandbox_app` is given.
    """

    stripe_key: str = ""
    stripe_webhook_secrets: Sequence[str] = ()
    stripe_api_base: str | None = None
    sandbox_url: str = ""
    sandbox_app: ASGIApp | None = None
    sandbox_key: str = ""
    sandbox_webhook_secrets: Sequence[str] = ()
    timeout_seconds: float = 10.0


@dataclass(frozen=True)
class Payments:
    """What is open: the router is the domain's `PaymentProvider` and `ProviderDirectory`."""

    router: ProviderRouter
    receivers: Sequence[WebhookReceiver]
    endpoints: Endpoints | None = None


@asynccontextmanager
async def open_payments(
    settings: PaymentSettings,
    database: Database | None = None,
    cipher: Cipher | None = None,
    *,
    observe: Callable[[ProviderCall], None] | None = None,
) -> AsyncIterator[Payments]:
    """Open the providers of these settings; bank transfer and cash need none.

    With a database and a cipher, tenants' own accounts with them as well.
    """
    adapters: list[ProviderAdapter] = []
    receivers: list[WebhookReceiver] = []
    kinds: dict[str, OwnAccount] = {}
    if settings.stripe_key:
        # The SDK weighs 33 MB, which a server without Stripe has better uses for.
        from server.payments.stripe import StripeProvider  # noqa: PLC0415
        from server.payments.stripe_webhooks import StripeWebhooks  # noqa: PLC0415

        def stripe_account(key: str) -> StripeProvider:
            return StripeProvider(key, api_base=settings.stripe_api_base, timeout_seconds=settings.timeout_seconds)

        stripe = stripe_account(settings.stripe_key)
        adapters.append(stripe)
        receivers.append(StripeWebhooks(stripe, settings.stripe_webhook_secrets))
        kinds[stripe.name] = OwnAccount(stripe_account, lambda own, secret: StripeWebhooks(own, [secret]))
    if settings.sandbox_url or settings.sandbox_app:
        from server.payments.sandbox import SandboxProvider, SandboxWebhooks  # noqa: PLC0415

        def sandbox_account(key: str) -> SandboxProvider:
            return SandboxProvider(
                settings.sandbox_url, key, timeout_seconds=settings.timeout_seconds, app=settings.sandbox_app
            )

        adapters.append(sandbox_account(settings.sandbox_key))
        receivers.append(SandboxWebhooks(settings.sandbox_webhook_secrets))
        kinds["sandbox"] = OwnAccount(sandbox_account, lambda _, secret: SandboxWebhooks([secret]))
    accounts = None if database is None or cipher is None else OwnAccounts(database, cipher, kinds)
    router = ProviderRouter(
        [*adapters, BankTransfer(), Cash()],
        patience_seconds=settings.timeout_seconds + 5,
        accounts=accounts,
        observe=observe or unobserved,
    )
    try:
        yield Payments(router, receivers, accounts)
    finally:
        await router.close()
