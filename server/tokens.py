"""Access tokens: signed here with keys that change by the calendar, verified by anyone through JWKS."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.identity.sessions import AccessToken
from domain.kernel import Principal, Unauthenticated

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 — a media type.
JWKS_PATH = "/.well-known/jwks.json"
LONGEST_TOKEN = 8_192
CLOCK_SKEW_SECONDS = 5.0
ROTATION = timedelta(days=30)
# The order of the group of P-256.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SECRET_BYTES = 48

Derive = Callable[[str, int], bytes]


class KeyRing:
    """The signing keys: one per period, each derived from the instance's secret, so that no process has to ask another.

    Three periods are valid at a time: the last one's tokens are still good, and the next one's key is published before
    it signs, so that whoever keeps a copy of the key set never meets a key that it does not know.
    Source: FIPS 186-5 A.2.1 for a private key from random bits; RFC 7638 for its name.
    """

    def __init__(
        self, derive: Derive, *, rotation: timedelta = ROTATION, clock: Callable[[], float] = time.time
    ) -> None:
        self._derive = derive
        self._seconds = rotation.total_seconds()
        self._clock = clock
        self._period: int | None = None
        self._keys: dict[int, ECKey] = {}
        self._by_id: dict[str, ECKey] = {}

    def signing(self) -> ECKey:
        """Give the key of the present period."""
        period = self._turn()
        return self._keys[period]

    def find(self, key_id: Any) -> ECKey | None:
        """Give a valid key by its name."""
        self._turn()
        return self._by_id.get(key_id) if isinstance(key_id, str) else None

    def public(self) -> dict[str, Any]:
        """Give the key set that others verify with."""
        self._turn()
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key_id, "use": "sig", "alg": ALGORITHM}
                for key_id, key in self._by_id.items()
            ]
        }

    def _turn(self) -> int:
        period = int(self._clock() // self._seconds)
        if period != self._period:
            valid = (period - 1, period, period + 1)
            self._keys = {each: self._keys.get(each) or self._made(each) for each in valid}
            self._by_id = {key.thumbprint(): key for key in self._keys.values()}
            self._period = period
        return period

    def _made(self, period: int) -> ECKey:
        bits = int.from_bytes(self._derive(f"access-token-key:{period}", _SECRET_BYTES), "big")
        private = ec.derive_private_key(bits % (_ORDER - 1) + 1, ec.SECP256R1())
        return ECKey.import_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@dataclass(frozen=True, kw_only=True)
class VerifiedToken:
    """What a good token says; instants in unix seconds."""

    principal: Principal
    issued_at: float
    expires_at: float


class TokenService:
    """Issues and reads access tokens of one issuer, for one audience."""

    def __init__(
        self, keys: KeyRing, *, issuer: str, audience: str, lifetime: timedelta, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self.lifetime = lifetime

    def issue(self, principal: Principal, now: datetime, lifetime: timedelta | None = None) -> AccessToken:
        """Sign what the principal is; who acts as somebody else stands in the claim `act`.

        Source: RFC 8693 section 4.1.
        """
        issued_at, seconds = int(now.timestamp()), int((lifetime or self.lifetime).total_seconds())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(principal.user_id),
            "jti": str(uuid4()),
            "iat": issued_at,
            # A role may be taken away within the very second in which a token was made.
            "iat_us": round(now.timestamp() * 1_000_000),
            "exp": issued_at + seconds,
            "tenant": str(principal.tenant_id),
            "sid": str(principal.session_id),
            "roles": sorted(principal.roles),
            "permissions": sorted(principal.permissions),
            "stores": sorted(map(str, principal.store_ids)),
        }
        if principal.second_factor:
            # Source: RFC 8176.
            claims["amr"] = ["mfa"]
        if principal.conditions:
            claims["conditions"] = [list(each) for each in principal.conditions]
        if principal.impersonator_id is not None:
            claims["act"] = {"sub": str(principal.impersonator_id)}
        key = self._keys.signing()
        header = {"alg": ALGORITHM, "kid": key.thumbprint(), "typ": TOKEN_TYPE}
        return AccessToken(token=jwt.encode(header, claims, key, algorithms=[ALGORITHM]), expires_in=seconds)

    def verify(self, token: str) -> VerifiedToken:
        """Read a token that was signed here, for us, and is still good.

        Raises: Unauthenticated.
        """
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated(reason="the access token is not valid")
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != TOKEN_TYPE:
                raise Unauthenticated(reason="the access token is not valid")
            return self._read(decoded.claims)
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated(reason="the access token is not valid") from error

    def _key_of(self, signature: GuestProtocol) -> ECKey:
        key = self._keys.find(signature.headers().get("kid"))
        if key is None:
            raise Unauthenticated(reason="the access token is not valid")
        return key

    def _read(self, claims: Mapping[str, Any]) -> VerifiedToken:
        now, issued_at, expires_at = self._clock(), float(claims["iat_us"]) / 1_000_000, float(claims["exp"])
        if claims["iss"] != self._issuer or claims["aud"] != self._audience or issued_at > now + CLOCK_SKEW_SECONDS:
            raise Unauthenticated(reason="the access token is not valid")
        if not now < expires_at:
            raise Unauthenticated(reason="the access token has expired")
        principal = Principal(
            user_id=UUID(claims["sub"]),
            tenant_id=UUID(claims["tenant"]),
            session_id=UUID(claims["sid"]),
            roles=frozenset(claims["roles"]),
            permissions=frozenset(claims["permissions"]),
            store_ids=frozenset(map(UUID, claims["stores"])),
            conditions=tuple((str(name), str(text)) for name, text in claims.get("conditions", ())),
            impersonator_id=UUID(claims["act"]["sub"]) if "act" in claims else None,
            second_factor="mfa" in claims.get("amr", ()),
        )
        return VerifiedToken(principal=principal, issued_at=issued_at, expires_at=expires_at)


def jwks_endpoint(keys: KeyRing) -> Callable[[Request], Response]:
    """Make the handler of `JWKS_PATH`; the answer may be kept for an hour, as the next key is in it long before it signs."""

    def serve(_request: Request) -> Response:
        return JSONResponse(keys.public(), headers={"Cache-Control": "public, max-age=3600"})

    return serve
