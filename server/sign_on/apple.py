"""What Apple does its own way: a client secret that is signed anew each time, and a name that is told once."""

from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from domain.identity.identity_providers import Connection

ISSUER = "https://appleid.apple.com"
LIFETIME_SECONDS = 300
LONGEST_USER = 4_096


def sealed_key(team_id: str, key_id: str, private_key: str) -> str:
    """Put together what a connection has for a secret: which key of which team, and the key itself."""
    return orjson.dumps({"team": team_id, "key": key_id, "pem": private_key.replace("\\n", "\n")}).decode()


def client_secret(connection: Connection, now: int) -> str:
    """Sign the secret of the next minutes.

    Source: Apple, "Creating a client secret" (Sign in with Apple REST API).
    """
    known = orjson.loads(connection.secret)
    claims = {
        "iss": known["team"],
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "aud": ISSUER,
        "sub": connection.client_id,
    }
    key = ECKey.import_key(known["pem"])
    return jwt.encode({"alg": "ES256", "kid": known["key"]}, claims, key, algorithms=["ES256"])


def name_told(user: str | None) -> tuple[str | None, str | None]:
    """Give first and last name from the field `user`, which Apple posts at the very first log-in only."""
    if not user or len(user) > LONGEST_USER:
        return None, None
    try:
        name: Any = orjson.loads(user)["name"]
        given = [name.get(each) for each in ("firstName", "lastName")]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None, None
    first, last = (each if isinstance(each, str) else None for each in given)
    return first, last
