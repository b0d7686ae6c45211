"""The identity providers that the settings name, and the one way in which these and tenants' own are spoken to."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domain.identity.identity_providers import (
    Authorization,
    Connection,
    LoginOffer,
    ProviderKind,
    Redemption,
    VouchedIdentity,
)
from domain.kernel import InvalidInput
from server.sign_on import telegram

if TYPE_CHECKING:
    from server.sign_on.oidc import RelyingParty

CALLBACK_PATH = "/auth/callback/{provider}"
LONGEST_ADDRESS = 2_000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class SignOnSettings:
    """The installation's providers, where browsers may come back to, and how far tenants' own providers are trusted.

    A `sheltered` installation, which one in development is not, calls tenants' providers by https at public addresses only.
    """

    connections: Sequence[Connection] = ()
    redirect_uris: Sequence[str] = ()
    public_url: str = "http://127.0.0.1:8000"
    sheltered: bool = True


class ConfiguredProviders:
    """Implements the domain's `IdentityProviders`."""

    def __init__(self, settings: SignOnSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._by_name = {each.provider: each for each in settings.connections}
        self._parties: dict[bool, RelyingParty] = {}

    async def close(self) -> None:
        for each in self._parties.values():
            await each.close()

    def offers(self) -> Sequence[LoginOffer]:
        return [LoginOffer(provider=each.provider, title=each.title, kind=each.kind) for each in self._by_name.values()]

    def find(self, provider: str) -> Connection | None:
        return self._by_name.get(provider)

    def accept_issuer(self, issuer: str) -> str:
        parts = _parts("issuer", issuer)
        plain = parts.scheme == "http" and not self._settings.sheltered
        if not (parts.scheme == "https" or plain) or parts.query or "?" in issuer:
            raise InvalidInput(field="issuer", reason="it is an address that begins with https://")
        return issuer

    def accept_redirect(self, redirect_uri: str, further: Sequence[str]) -> str:
        parts = _parts("redirectUri", redirect_uri)
        # Source: RFC 8252 §7: an app's own scheme is a domain written backwards.
        own_scheme = "." in parts.scheme
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not (own_scheme or local or parts.scheme == "https"):
            raise InvalidInput(field="redirectUri", reason="it begins with https:// or the scheme of an app")
        listed = redirect_uri in self._settings.redirect_uris or redirect_uri in further
        if not listed and not (local and not self._settings.sheltered):
            raise InvalidInput(field="redirectUri", reason="it is not one of those that are allowed")
        return redirect_uri

    async def authorization_url(self, connection: Connection, authorization: Authorization) -> str:
        if connection.kind is ProviderKind.TELEGRAM:
            return telegram.authorization_url(connection, authorization)
        told = replace(authorization, redirect_uri=self._told(connection, authorization.redirect_uri))
        return await self._party(connection).authorization_url(connection, told)

    async def identify(self, connection: Connection, redemption: Redemption) -> VouchedIdentity:
        if connection.kind is ProviderKind.TELEGRAM:
            return telegram.identity_in(connection, redemption.code, self._clock())
        told = replace(redemption, redirect_uri=self._told(connection, redemption.redirect_uri))
        return await self._party(connection).identify(connection, told)

    def _told(self, connection: Connection, redirect_uri: str) -> str:
        # A form can be posted to a server alone, which sends the browser on.
        if connection.kind is ProviderKind.APPLE:
            return self._settings.public_url + CALLBACK_PATH.format(provider=connection.provider)
        return redirect_uri

    def _party(self, connection: Connection) -> "RelyingParty":
        closed = connection.is_own and self._settings.sheltered
        party = self._parties.get(closed)
        if party is None:
            # A server on which nobody logs in by a provider has better uses for the memory of an HTTP client.
            from server.sign_on.fetching import Fetcher  # noqa: PLC0415
            from server.sign_on.oidc import RelyingParty  # noqa: PLC0415

            schemes = ("https",) if closed else ("https", "http")
            party = self._parties[closed] = RelyingParty(Fetcher(closed=closed), schemes)
        return party


def _parts(field: str, address: str) -> "_Parts":
    try:
        parts = urlsplit(address)
        found = _Parts(parts.scheme, parts.hostname, parts.query)
        unfit = parts.username is not None or "#" in address
    except ValueError as error:
        raise InvalidInput(field=field, reason="it is no address") from error
    visible = all("!" <= each <= "~" for each in address)
    if unfit or not visible or len(address) > LONGEST_ADDRESS or not (parts.netloc or "." in parts.scheme):
        raise InvalidInput(field=field, reason="it is no address that can be used here")
    return found


@dataclass(frozen=True)
class _Parts:
    scheme: str
    hostname: str | None
    query: str
