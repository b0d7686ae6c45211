"""ID tokens: whose signature counts, and what they have to say to be for us, now, and about this log-in."""

from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from domain.identity.identity_providers import SocialLoginRefused

# Whoever knows a client's secret could sign by HMAC, and anybody signs by "none".
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
LEEWAY_SECONDS = 60
LONGEST_TOKEN = 64 * 1024
OLDEST_SECONDS = 600


class UnknownKey(Exception):
    """None of the provider's keys that are known here has signed it: they may have changed."""


def read_id_token(
    token: Any, keys: KeySet, *, issuer: str, client_id: str, nonce: str, access_token: str | None, now: int
) -> dict[str, Any]:
    """Give the claims of a token that the provider has just made for this very log-in.

    Raises: UnknownKey, SocialLoginRefused.
    Source: OpenID Connect Core 1.0 §3.1.3.7.
    """
    # The library brings a machinery that a server on which nobody logs in by a provider never needs.
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415

    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        raise SocialLoginRefused(reason="the provider gave no ID token")
    try:
        decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    except (InvalidKeyIdError, BadSignatureError) as error:
        raise UnknownKey from error
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SocialLoginRefused(reason="the provider's ID token is not valid") from error
    audience = decoded.claims.get("aud")
    wanted: dict[str, Any] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "nonce": {"essential": True, "value": nonce},
    }
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        wanted,
        {"client_id": client_id, "nonce": nonce, "access_token": access_token},
    )
    try:
        claims.validate(now=now, leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SocialLoginRefused(reason="the provider's ID token is not valid") from error
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client_id:
        raise SocialLoginRefused(reason="the provider's ID token is not for us")
    if not isinstance(claims["iat"], int | float) or claims["iat"] < now - OLDEST_SECONDS:
        raise SocialLoginRefused(reason="the provider's ID token is old")
    return dict(claims)
