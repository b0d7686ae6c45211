"""OpenID Connect as a relying party: authorisation code with PKCE, whatever the provider."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from domain.identity.identity_providers import (
    Authorization,
    Connection,
    ProviderKind,
    Redemption,
    SocialLoginRefused,
    VouchedIdentity,
)
from domain.kernel import Unavailable
from server.sign_on.apple import client_secret
from server.sign_on.fetching import Fetcher
from server.sign_on.id_tokens import UnknownKey, read_id_token

log = structlog.get_logger("agora.sign_on")

FRESH_SECONDS = 3_600.0
STALE_SECONDS = 86_400.0
"""While a provider cannot be asked, what it said within a day still counts."""
COOLDOWN_SECONDS = 30.0
MOST_ISSUERS = 256
LONGEST_SUBJECT = 255
MOST_GROUPS = 1_000
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass
class Known:
    """What an issuer says of itself, and its keys; instants by the clock of the one who asks."""

    metadata: dict[str, Any]
    asked_at: float
    keys: KeySet | None = None
    keys_at: float = 0.0
    forced_at: float = field(default=float("-inf"))


class RelyingParty:
    """Speaks to issuers, and remembers what they say of themselves."""

    def __init__(
        self,
        fetcher: Fetcher,
        schemes: tuple[str, ...] = ("https",),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher
        self._schemes = schemes
        self._clock = clock
        self._wall_clock = wall_clock
        self._known: OrderedDict[str, Known] = OrderedDict()

    async def close(self) -> None:
        await self._fetcher.close()

    async def authorization_url(self, connection: Connection, way: Authorization) -> str:
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 — see `read_id_token`.
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

        known = await self._discovered(connection)
        is_apple = connection.kind is ProviderKind.APPLE
        address: str = prepare_grant_uri(
            known.metadata["authorization_endpoint"],
            connection.client_id,
            "code",
            redirect_uri=way.redirect_uri,
            scope=" ".join(connection.scopes),
            state=way.state,
            nonce=way.nonce,
            code_challenge=create_s256_code_challenge(way.verifier),
            code_challenge_method="S256",
            # Apple tells a name only in a form that the browser posts.
            response_mode="form_post" if is_apple else None,
        )
        return address

    async def identify(self, connection: Connection, back: Redemption) -> VouchedIdentity:
        known = await self._discovered(connection)
        self._require_issuer(connection, known, back)
        tokens = await self._exchanged(connection, known, back)
        access_token = tokens.get("access_token")
        given = access_token if isinstance(access_token, str) else None
        claims = await self._claims(connection, known, tokens.get("id_token"), back.nonce, given)
        if given is not None and self._is_incomplete(connection, claims):
            claims = {**await self._userinfo(connection, known, given, claims["sub"]), **claims}
        return vouched_identity(connection, claims)

    @staticmethod
    def _require_issuer(connection: Connection, known: Known, back: Redemption) -> None:
        # Source: RFC 9207 §2.4; without it an answer of one provider could be taken to another.
        told = known.metadata.get("authorization_response_iss_parameter_supported") is True
        if (told and back.issuer is None) or back.issuer not in {None, connection.issuer}:
            raise SocialLoginRefused(reason="the answer is another provider's")

    async def _discovered(self, connection: Connection) -> Known:
        known, now = self._known.get(connection.issuer), self._clock()
        if known is not None and now - known.asked_at < FRESH_SECONDS:
            self._known.move_to_end(connection.issuer)
            return known
        try:
            metadata = await self._metadata(connection)
        except Unavailable:
            if known is None or now - known.asked_at > STALE_SECONDS:
                raise
            return known
        known = self._known[connection.issuer] = Known(metadata, now)
        while len(self._known) > MOST_ISSUERS:
            self._known.popitem(last=False)
        return known

    async def _metadata(self, connection: Connection) -> dict[str, Any]:
        address = connection.issuer.removesuffix("/") + "/.well-known/openid-configuration"
        found = await self._fetcher.get(address, connection.title)
        if found.get("issuer") != connection.issuer:
            log.warning("sign_on.wrong_issuer", provider=connection.provider, issuer=connection.issuer)
            raise Unavailable(part=connection.title)
        for name in (*ENDPOINTS, *({"userinfo_endpoint"} & found.keys())):
            if not self._is_address(found.get(name)):
                log.warning("sign_on.no_endpoint", provider=connection.provider, endpoint=name)
                raise Unavailable(part=connection.title)
        return found

    def _is_address(self, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            parts = urlsplit(value)
        except ValueError:
            return False
        return parts.scheme in self._schemes and bool(parts.hostname)

    async def _exchanged(self, connection: Connection, known: Known, back: Redemption) -> Mapping[str, Any]:
        from authlib.oauth2.auth import ClientAuth  # noqa: PLC0415 — see `read_id_token`.

        form = {
            "grant_type": "authorization_code",
            "code": back.code,
            "redirect_uri": back.redirect_uri,
            "code_verifier": back.verifier,
        }
        endpoint = known.metadata["token_endpoint"]
        auth = ClientAuth(connection.client_id, self._secret(connection), self._method(known))
        endpoint, headers, body = auth.prepare("POST", endpoint, {}, urlencode(form))
        status, tokens = await self._fetcher.post(endpoint, connection.title, body, headers)
        if status != 200:
            log.warning("sign_on.code_refused", provider=connection.provider, error=str(tokens.get("error"))[:100])
            raise SocialLoginRefused(reason="the provider did not accept the code")
        return tokens

    def _secret(self, connection: Connection) -> str:
        if connection.kind is ProviderKind.APPLE:
            return client_secret(connection, int(self._wall_clock()))
        return connection.secret

    @staticmethod
    def _method(known: Known) -> str:
        methods = known.metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        # In a form every letter of a secret arrives; for Basic, providers differ in how they decode it.
        return "client_secret_post" if "client_secret_post" in methods else "client_secret_basic"

    async def _claims(
        self, connection: Connection, known: Known, token: Any, nonce: str, access_token: str | None
    ) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "issuer": connection.issuer,
            "client_id": connection.client_id,
            "nonce": nonce,
            "access_token": access_token,
            "now": int(self._wall_clock()),
        }
        try:
            return read_id_token(token, await self._keys(connection, known), **wanted)
        except UnknownKey:
            if self._clock() - known.forced_at < COOLDOWN_SECONDS:
                raise SocialLoginRefused(reason="the provider's ID token is not valid") from None
            known.forced_at = self._clock()
            known.keys = None
        try:
            return read_id_token(token, await self._keys(connection, known), **wanted)
        except UnknownKey:
            raise SocialLoginRefused(reason="the provider's ID token is not valid") from None

    async def _keys(self, connection: Connection, known: Known) -> KeySet:
        now = self._clock()
        if known.keys is not None and now - known.keys_at < FRESH_SECONDS:
            return known.keys
        try:
            found: Any = await self._fetcher.get(known.metadata["jwks_uri"], connection.title)
            fresh = KeySet.import_key_set(found)
        except Unavailable:
            if known.keys is None or now - known.keys_at > STALE_SECONDS:
                raise
            return known.keys
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unavailable(part=connection.title) from error
        known.keys, known.keys_at = fresh, now
        return fresh

    @staticmethod
    def _is_incomplete(connection: Connection, claims: Mapping[str, Any]) -> bool:
        groups = connection.groups_claim
        return "email" not in claims or (groups is not None and groups not in claims)

    async def _userinfo(
        self, connection: Connection, known: Known, access_token: str, subject: str
    ) -> Mapping[str, Any]:
        endpoint = known.metadata.get("userinfo_endpoint")
        if endpoint is None:
            return {}
        found = await self._fetcher.get(endpoint, connection.title, {"authorization": f"Bearer {access_token}"})
        # Source: OpenID Connect Core 1.0 §5.3.2; else one person's details could be put under another's name.
        if not hmac.compare_digest(str(found.get("sub", "")).encode(), str(subject).encode()):
            raise SocialLoginRefused(reason="the provider speaks of two people")
        return found


def vouched_identity(connection: Connection, claims: Mapping[str, Any]) -> VouchedIdentity:
    """Read the claims.

    Raises: SocialLoginRefused.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or "\0" in subject:
        raise SocialLoginRefused(reason="the provider names nobody")
    return VouchedIdentity(
        subject=subject,
        email=_text(claims, "email"),
        # Apple and others write it as a word.
        email_verified=claims.get("email_verified") is True or claims.get("email_verified") == "true",
        first_name=_text(claims, "given_name"),
        last_name=_text(claims, "family_name"),
        groups=_groups(claims.get(connection.groups_claim)) if connection.groups_claim else (),
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _groups(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(each for each in listed[:MOST_GROUPS] if isinstance(each, str))
