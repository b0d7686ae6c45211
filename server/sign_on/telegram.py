"""Telegram's log-in: no exchange of codes, but a message that only the owner of the bot and Telegram could have signed."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from domain.identity.identity_providers import Authorization, Connection, SocialLoginRefused, VouchedIdentity

PAGE = "https://oauth.telegram.org/auth"
FRESH_SECONDS = 600
SKEW_SECONDS = 60
LONGEST_RESULT = 8_192


def authorization_url(connection: Connection, way: Authorization) -> str:
    """Say where the browser goes; it comes back with `#tgAuthResult=`, which is the code."""
    parts = urlsplit(way.redirect_uri)
    joint = "&" if parts.query else "?"
    query = {
        "bot_id": connection.client_id,
        "origin": f"{parts.scheme}://{parts.netloc}",
        "request_access": "write",
        "return_to": f"{way.redirect_uri}{joint}{urlencode({'state': way.state})}",
    }
    return f"{PAGE}?{urlencode(query)}"


def identity_in(connection: Connection, result: str, now: float) -> VouchedIdentity:
    """Read what Telegram has signed for this bot within the last minutes.

    Raises: SocialLoginRefused.
    Source: core.telegram.org/widgets/login, "Checking authorization".
    """
    told = _read(result)
    given = told.pop("hash", None)
    lines = "\n".join(f"{name}={told[name]}" for name in sorted(told))
    key = hashlib.sha256(connection.secret.encode()).digest()
    expected = hmac.new(key, lines.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    if not hmac.compare_digest(expected.hex(), given if isinstance(given, str) and given.isascii() else ""):
        raise SocialLoginRefused(reason="the signature is not Telegram's")
    age = now - _number(told.get("auth_date"))
    if not -SKEW_SECONDS <= age <= FRESH_SECONDS:
        raise SocialLoginRefused(reason="what Telegram has signed is old")
    return VouchedIdentity(
        subject=str(_number(told.get("id"))),
        first_name=_text(told, "first_name"),
        last_name=_text(told, "last_name"),
        proof=hashlib.sha256(b"telegram" + expected).digest(),
    )


def _read(result: str) -> dict[str, Any]:
    if len(result) > LONGEST_RESULT:
        raise SocialLoginRefused(reason="it is too long")
    try:
        padded = result.rstrip("=") + "=" * (-len(result.rstrip("=")) % 4)
        told = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise SocialLoginRefused(reason="it cannot be read") from error
    if not isinstance(told, dict) or not all(type(each) in {str, int} for each in told.values()):
        raise SocialLoginRefused(reason="it cannot be read")
    return told


def _number(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise SocialLoginRefused(reason="it cannot be read")
    return int(text)


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
