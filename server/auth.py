"""Who is calling: from the Authorization header, or from a WebSocket's connection_init, to a principal."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from starlette.requests import HTTPConnection

from domain.identity.sessions import AccessToken, Revocations
from domain.kernel import Principal, Unauthenticated
from server.api_keys import KeyAuthenticator, VerifiedKey, is_api_key
from server.tokens import TokenService, VerifiedToken

log = structlog.get_logger("agora.auth")

REVOCATIONS_SECONDS = 5.0
REMEMBERED_TOKENS = 4_096
API_KEY_HEADER = "x-api-key"

LoadRevocations = Callable[[datetime], Awaitable[Revocations]]
Clock = Callable[[], float]


class RevocationList:
    """The sessions that ended of late, read again when five seconds old: one statement then, none per request.

    Only the span of one access token is looked at, for older tokens have run out by themselves.
    """

    def __init__(
        self,
        load: LoadRevocations,
        lifetime: timedelta,
        *,
        seconds: float = REVOCATIONS_SECONDS,
        clock: Clock = time.time,
    ) -> None:
        self._load = load
        self._lifetime = lifetime
        self._seconds = seconds
        self._clock = clock
        self._loading = asyncio.Lock()
        self._loaded_at: float | None = None
        self._known = Revocations()
        self._withdrawn: dict[UUID, float] = {}
        self.version = 0

    def withdraw(self, session_id: UUID) -> None:
        """Refuse a session's tokens in this process at once."""
        self._withdrawn[session_id] = self._clock()
        self.version += 1

    async def refresh(self) -> None:
        """Read the list again when it is too old; where that fails, go on with the one at hand."""
        if not self._stale():
            return
        async with self._loading:
            if not self._stale():
                return
            now = self._clock()
            since = datetime.fromtimestamp(now, UTC) - self._lifetime - timedelta(seconds=2 * self._seconds)
            try:
                known = await self._load(since)
                self.version += known != self._known
                self._known = known
            except Exception:
                # Without its database the server changes nothing and reads nothing that a token protects.
                if self._loaded_at is None:
                    raise
                log.exception("auth.revocations_unread")
            self._loaded_at = now
            self._withdrawn = {each: at for each, at in self._withdrawn.items() if at > since.timestamp()}

    def covers(self, token: VerifiedToken) -> bool:
        """Say whether the token was revoked."""
        who = token.principal
        if who.session_id in self._known.sessions or who.session_id in self._withdrawn:
            return True
        valid_from = self._known.users.get(who.user_id) if who.user_id else None
        return valid_from is not None and token.issued_at < valid_from.timestamp()

    def _stale(self) -> bool:
        return self._loaded_at is None or not 0 <= self._clock() - self._loaded_at < self._seconds


class Authenticator:
    """Turns credentials into a principal, at the cost of one hash for a token or a key that was seen before."""

    def __init__(
        self,
        tokens: TokenService,
        revocations: RevocationList,
        keys: KeyAuthenticator | None = None,
        *,
        remember: int = REMEMBERED_TOKENS,
        clock: Clock = time.time,
    ) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._keys = keys
        self._remember = remember
        self._clock = clock
        self._seen: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    async def authenticate(
        self, connection: HTTPConnection, params: Mapping[str, Any] | None = None
    ) -> VerifiedToken | None:
        """Give what the caller's token says, or None for a guest; `params` is the payload of connection_init.

        Raises: Unauthenticated for credentials that are no good: they are never taken for a guest's.
        """
        token = credential(connection, params)
        return None if token is None else await self.check(token)

    async def check(self, token: str) -> VerifiedToken:
        """Give what a token or an API key says.

        Raises: Unauthenticated.
        """
        if self._keys is not None and is_api_key(token):
            return await self._keys.check(token)
        verified = self._verified(token)
        await self.recheck(verified)
        return verified

    async def recheck(self, verified: VerifiedToken) -> None:
        """Make sure that a token is still good, as before each event of a subscription.

        Raises: Unauthenticated.
        """
        if self._keys is not None and isinstance(verified, VerifiedKey):
            await self._keys.recheck(verified)
            return
        await self._revocations.refresh()
        self.require_valid(verified)

    async def refresh(self) -> None:
        """Learn which sessions have ended, for `require_valid`."""
        await self._revocations.refresh()
        if self._keys is not None:
            await self._keys.refresh()

    @property
    def revocations(self) -> int:
        """Count how often what is known of ended sessions and keys has changed: until it does, what was good stays good."""
        return self._revocations.version + (self._keys.version if self._keys is not None else 0)

    def require_valid(self, verified: VerifiedToken) -> None:
        """Make sure that a token is good as far as is known.

        Raises: Unauthenticated.
        """
        if self._keys is not None and isinstance(verified, VerifiedKey):
            self._keys.require_valid(verified)
            return
        if not self._clock() < verified.expires_at:
            raise Unauthenticated(reason="the access token has expired")
        if self._revocations.covers(verified):
            raise Unauthenticated(reason="the session has ended, or its rights have changed; refresh the access token")

    def _verified(self, token: str) -> VerifiedToken:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen = self._seen.get(digest)
        if seen is not None:
            self._seen.move_to_end(digest)
            return seen
        verified = self._tokens.verify(token)
        self._seen[digest] = verified
        if len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return verified


class IssuingTokens:
    """The domain's `AccessTokens`: signs, and withdraws in this process at once."""

    def __init__(self, tokens: TokenService, revocations: RevocationList) -> None:
        self._tokens = tokens
        self._revocations = revocations

    def issue(self, principal: Principal, now: datetime, lifetime: timedelta | None = None) -> AccessToken:
        return self._tokens.issue(principal, now, lifetime)

    def withdraw(self, session_id: UUID) -> None:
        self._revocations.withdraw(session_id)


def credential(connection: HTTPConnection, params: Mapping[str, Any] | None = None) -> str | None:
    """Find the bearer token, or else the API key: in connection_init as `apiKey`, else in the X-API-Key header.

    Raises: Unauthenticated for what is neither, and for both at once, of which nobody could say whose the request is.
    """
    token = bearer_token(connection, params)
    given = {name.lower(): value for name, value in (params or {}).items()}
    key = given.get("apikey", connection.headers.get(API_KEY_HEADER))
    if key is None or key == "":
        return token
    if token is not None:
        raise Unauthenticated(reason="send an access token or an API key, not both")
    key = _text(key)
    if not is_api_key(key):
        raise Unauthenticated(reason="the API key is not valid")
    return key


def bearer_token(connection: HTTPConnection, params: Mapping[str, Any] | None = None) -> str | None:
    """Find the token: in connection_init as `authorization` or `accessToken`, else in the Authorization header.

    Raises: Unauthenticated when what stands there is no bearer token.
    """
    given = {name.lower(): value for name, value in (params or {}).items()}
    if given.get("accesstoken") is not None:
        return _text(given["accesstoken"])
    value = given.get("authorization", connection.headers.get("authorization"))
    if value is None or value == "":
        return None
    scheme, _, token = _text(value).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(reason="the Authorization header must read Bearer <access token>")
    return token.strip()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Unauthenticated(reason="the access token is not valid")
    return value
