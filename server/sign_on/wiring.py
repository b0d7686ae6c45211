"""Which identity providers the settings name."""

from collections.abc import Iterator

from domain.identity.identity_providers import Connection, ProviderKind
from server.settings import Settings
from server.sign_on import apple
from server.sign_on.directory import SignOnSettings

GOOGLE_ISSUER = "https://accounts.google.com"


def sign_on_settings(settings: Settings) -> SignOnSettings:
    """Give the installation's providers, and where browsers may come back to."""
    return SignOnSettings(
        connections=tuple(_connections(settings)),
        redirect_uris=settings.login_redirect_uris,
        public_url=settings.url,
        sheltered=settings.production,
    )


def _connections(settings: Settings) -> Iterator[Connection]:
    if settings.google_client_id:
        yield Connection(
            provider="google",
            title="Google",
            issuer=GOOGLE_ISSUER,
            client_id=settings.google_client_id,
            secret=settings.google_client_secret,
        )
    if settings.apple_client_id:
        yield Connection(
            provider="apple",
            title="Apple",
            kind=ProviderKind.APPLE,
            issuer=apple.ISSUER,
            client_id=settings.apple_client_id,
            secret=apple.sealed_key(settings.apple_team_id, settings.apple_key_id, settings.apple_private_key),
            scopes=("openid", "email", "name"),
        )
    if settings.telegram_bot_token:
        yield Connection(
            provider="telegram",
            title="Telegram",
            kind=ProviderKind.TELEGRAM,
            client_id=settings.telegram_bot_token.partition(":")[0],
            secret=settings.telegram_bot_token,
        )
    for each in settings.oidc_providers:
        yield Connection(
            provider=each.name,
            title=each.title,
            issuer=each.issuer,
            client_id=each.client_id,
            secret=each.client_secret,
            scopes=each.scopes,
        )
